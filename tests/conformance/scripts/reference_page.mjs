// Opens the reference page as a browser would, authorizes with client credentials and tries a call.
import { JSDOM, VirtualConsole } from "jsdom";

const base = process.env.BASE_URL;
const problems = [];
const fetched = [];

function fetchHere(resource, options) {
  const url = new URL(resource.url ?? resource, base);
  fetched.push(url.pathname);
  return fetch(url, options);
}

async function until(what, found) {
  for (let turn = 0; turn < 150; turn++) {
    const value = found();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`never saw ${what}; problems: ${problems}`);
}

const virtualConsole = new VirtualConsole();
virtualConsole.on("jsdomError", (error) => problems.push(String(error.message)));
virtualConsole.on("error", (...words) => problems.push(words.join(" ")));
const page = await JSDOM.fromURL(`${base}/docs`, {
  resources: "usable",
  runScripts: "dangerously",
  pretendToBeVisual: true,
  virtualConsole,
  beforeParse(window) {
    Object.assign(window, { fetch: fetchHere, Headers, Request, Response });
  },
});
const { document } = page.window;
const one = (selector, within = document) => within.querySelector(selector);

function type(input, text) {
  const setter = Object.getOwnPropertyDescriptor(page.window.HTMLInputElement.prototype, "value");
  setter.set.call(input, text);
  input.dispatchEvent(new page.window.Event("input", { bubbles: true }));
}

await until("the operations", () => one(".opblock"));
const operations = document.querySelectorAll(".opblock").length;

one(".btn.authorize").click();
const form = await until("the form", () =>
  [...document.querySelectorAll(".auth-container")].find((each) =>
    each.textContent.includes("operatorOAuth2"),
  ),
);
type(one("#client_id, [data-name=clientId]", form), process.env.CLIENT_ID);
type(one("#client_secret, [data-name=clientSecret]", form), process.env.CLIENT_SECRET);
form.querySelectorAll(".scopes input[type=checkbox]").forEach((box) => box.click());
one(".btn.modal-btn.auth.authorize", form).click();
await until("the token", () => document.body.textContent.includes("Authorized"));
one(".close-modal").click();

// Blocks are made anew when they open, so they are looked for each time.
const block = () =>
  [...document.querySelectorAll(".opblock")].find(
    (each) => one(".opblock-summary-operation-id", each)?.textContent === "listSites",
  );
one(".opblock-summary-control", block()).click();
// The parameters show that the operation is resolved, which the button does not wait for.
await until("the parameters", () => one("tr[data-param-name=page]", block()));
(await until("the button", () => one(".btn.execute", block()))).click();
const status = await until("the answer", () =>
  one(".live-responses-table .response .response-col_status", block()),
);
console.log(
  JSON.stringify({
    operations,
    status: status.textContent.trim(),
    answer: one(".live-responses-table .response .response-col_description", block()).textContent,
    fetched,
    problems,
  }),
);
page.window.close();
