// The quickstart's five steps with types that openapi-typescript generated from the contract.
import createClient from "openapi-fetch";
import WebSocket from "ws";
import type { components, paths } from "./api.js";

type Frame = components["schemas"]["TelemetryFrame"];

function given(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

function readFrame(url: string, token: string): Promise<Frame> {
  return new Promise((resolve, reject) => {
    const stream = new WebSocket(url, { headers: { Authorization: `Bearer ${token}` } });
    stream.once("message", (data) => {
      stream.close();
      resolve(JSON.parse(data.toString()) as Frame);
    });
    stream.once("error", reject);
  });
}

async function main(): Promise<void> {
  const base = given("BASE_URL");
  const deviceId = given("DEVICE_ID");
  const api = createClient<paths>({ baseUrl: `${base}/v1` });

  const token = await api.POST("/operator/oauth/token", {
    body: {
      client_id: given("CLIENT_ID"),
      client_secret: given("CLIENT_SECRET"),
      grant_type: "client_credentials",
    },
  });
  if (token.data === undefined) throw new Error("no token");
  const bearer = token.data.access_token;
  api.use({
    onRequest({ request }) {
      request.headers.set("Authorization", `Bearer ${bearer}`);
      return request;
    },
  });

  const sites = await api.GET("/operator/sites", { params: { query: { page: 1, size: 20 } } });
  const device = await api.GET("/operator/devices/{device_id}", {
    params: { path: { device_id: deviceId } },
  });
  const stream = base.replace("http", "ws") + `/v1/operator/stream?devices=${deviceId}`;
  const frame = await readFrame(stream, bearer);

  const queued = await api.POST("/operator/devices/{device_id}/connectors/{connector_id}/stop", {
    params: { path: { device_id: deviceId, connector_id: 1 } },
    body: { reason: "user_request" },
  });
  const commandId = queued.data?.data?.command_id;
  if (commandId === undefined) throw new Error("no command");
  let status: string | undefined;
  for (let turn = 0; turn < 100 && status !== "completed" && status !== "failed"; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const command = await api.GET("/operator/commands/{command_id}", {
      params: { path: { command_id: commandId } },
    });
    status = command.data?.data?.status;
  }
  console.log(
    JSON.stringify({
      total: sites.data?.data?.total,
      device: device.data?.data?.device_id,
      connectors: device.data?.data?.connectors?.map((connector) => connector.status),
      frame: frame.device_id,
      queued: queued.data?.data?.status,
      status,
    }),
  );
}

await main();
