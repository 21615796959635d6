"""The site around the API: pages, documents, health; failures in the envelope, headers on all."""

import asyncio
import itertools
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from tellus.surfaces.device import DEVICE_ROUTES
from tellus.surfaces.openapi.document import build_document
from tellus.surfaces.operator import OPERATOR_ROUTES
from tellus.surfaces.site.health import Check
from tellus.surfaces.site.web import SiteSources, build_site

WELL = [Check("storage", ok=True, detail="takes writes"), Check("draining", ok=True, detail="no")]
ILL = [Check("storage", ok=False, detail="the disk is full"), WELL[1]]


def make_sources(**changes: Any) -> SiteSources:
    """The sources of a site in good health."""
    numbers = itertools.count(1)
    sources = SiteSources(
        document=lambda: build_document((*OPERATOR_ROUTES, *DEVICE_ROUTES)),
        readiness=lambda: WELL,
        metrics=lambda: b"tellus_up 1\n",
        next_request_id=lambda: f"req_{next(numbers)}",
        version="9.8.7",
    )
    return replace(sources, **changes)


@pytest.fixture(scope="module")
def site() -> ASGIApp:
    """A site in good health."""
    return build_site(make_sources())


def fetch(site: ASGIApp, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    """One request to the site, without a socket."""

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=site, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(ask())


@pytest.mark.parametrize(
    "path",
    ["/", "/docs", "/openapi.json", "/llms.txt", "/livez", "/readyz", "/metrics", "/nothing",
     "/docs/assets/site.css", "/docs/assets/none.css"],
)  # fmt: skip
def test_site__any_answer__carries_request_id_and_security_headers(
    site: ASGIApp, path: str
) -> None:
    """Every answer has an identifier of its own, a content security policy, and no sniffing."""
    first, second = fetch(site, path), fetch(site, path)
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert first.headers["x-content-type-options"] == "nosniff"
    assert "unsafe" not in first.headers["content-security-policy"]
    assert first.headers["content-security-policy"].startswith("default-src 'none'")


def test_site__unknown_path__is_3001_in_the_envelope(site: ASGIApp) -> None:
    """What is not there is 404 with code 3001, like everywhere."""
    for path in ("/nothing", "/docs/assets/none.css", "/docs/assets/%2e%2e/site.py", "/livez/"):
        answer = fetch(site, path)
        assert answer.status_code == 404
        assert answer.json() == {"code": 3001, "message": "No such path", "data": None}


def test_site__wrong_method__is_1001_and_says_which_are_served(site: ASGIApp) -> None:
    """A path that serves other methods is 405 with code 1001 and Allow."""
    answer = fetch(site, "/readyz", "POST")
    assert answer.status_code == 405
    assert answer.json()["code"] == 1001
    assert "GET" in answer.headers["allow"]


def test_site__pages__hold_no_inline_script_and_nothing_from_elsewhere(site: ASGIApp) -> None:
    """Pages obey their own policy: scripts and styles in files, all from this very server."""
    for path in ("/", "/docs"):
        page = fetch(site, path).text
        assert not re.search(r"<script(?![^>]*\ssrc=)", page)
        assert "<style" not in page
        assert not re.search(r"\s(on\w+|style)=", page)
        assert not re.search(r'(src|href)="(https?:)?//', page)


def test_site__reference__finds_all_its_assets_here(site: ASGIApp) -> None:
    """The reference works without internet: each file it names is served, with its type."""
    page = fetch(site, "/docs").text
    named = re.findall(r'(?:src|href)="(/docs/assets/[^"]+)"', page)
    assert len(named) >= 4
    kinds = {"css": "text/css", "js": "text/javascript", "png": "image/png"}
    for path in named:
        answer = fetch(site, path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kinds[path.rpartition(".")[2]])
        assert answer.content
    script = fetch(site, "/docs/assets/docs.js").text
    document = re.search(r'url: "([^"]+)"', script)
    assert document is not None
    assert fetch(site, document[1]).json()["openapi"].startswith("3.0.")


def test_site__asset_known_already__is_not_sent_again(site: ASGIApp) -> None:
    """Who holds the current bytes is told so; who holds others gets the new ones."""
    path = "/docs/assets/site.css"
    tag = fetch(site, path).headers["etag"]
    again = fetch(site, path, **{"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert fetch(site, path, **{"if-none-match": '"other"'}).status_code == 200


def test_site__document__is_that_of_the_routes_for_any_origin(site: ASGIApp) -> None:
    """`/openapi.json` is the document, readable from pages of other origins."""
    answer = fetch(site, "/openapi.json")
    assert answer.json() == json.loads(
        json.dumps(build_document((*OPERATOR_ROUTES, *DEVICE_ROUTES)))
    )
    assert answer.headers["access-control-allow-origin"] == "*"


def test_site__index_for_machines__names_every_operation(site: ASGIApp) -> None:
    """`/llms.txt` lists each operation with its method and path, and the error codes."""
    text = fetch(site, "/llms.txt").text
    for route in (*OPERATOR_ROUTES, *DEVICE_ROUTES):
        assert f"`{route.method} {route.path}`" in text
    assert all(str(code) in text for code in (1001, 2002, 5001, 9001))
    assert "{{" not in text


def test_site__sandbox__is_marked_on_every_page_and_text() -> None:
    """A sandbox is plainly one wherever people look; another installation is not."""
    sandbox, other = build_site(make_sources(sandbox=True)), build_site(make_sources())
    for path in ("/", "/docs", "/llms.txt"):
        assert "This is a sandbox" in fetch(sandbox, path).text
        assert "sandbox" not in fetch(other, path).text
    assert "9.8.7" in fetch(other, "/").text


def test_readyz__all_well__is_200(site: ASGIApp) -> None:
    """Ready is 200 in the envelope; with `verbose` each check is shown."""
    assert fetch(site, "/livez").json()["data"] == {"status": "live"}
    assert fetch(site, "/readyz").json()["data"] == {"status": "ready"}
    shown = fetch(site, "/readyz?verbose").json()["data"]["checks"]
    assert shown == [check._asdict() for check in WELL]


def test_readyz__something_ill__is_503_and_names_it() -> None:
    """Not ready is 503 with 9001, `Retry-After` and the checks that failed; life goes on."""
    site = build_site(make_sources(readiness=lambda: ILL))
    answer = fetch(site, "/readyz")
    assert answer.status_code == 503
    assert answer.json()["code"] == 9001
    assert answer.json()["message"] == "Not ready: storage"
    assert answer.headers["retry-after"] == str(answer.json()["details"]["retry_after_seconds"])
    shown = fetch(site, "/readyz?verbose").json()["details"]["checks"]
    assert [check["ok"] for check in shown] == [False, True]
    assert fetch(site, "/livez").status_code == 200


def test_metrics__page__is_sent_as_it_is(site: ASGIApp) -> None:
    """`/metrics` is Prometheus' text format, never kept by anybody on the way."""
    answer = fetch(site, "/metrics")
    assert answer.text == "tellus_up 1\n"
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


def test_site__bug_in_a_source__is_9001_without_its_words() -> None:
    """A bug answers 500 in the envelope and tells nothing of itself."""
    site = build_site(make_sources(metrics=_broken("a planted bug")))
    answer = fetch(site, "/metrics")
    assert (answer.status_code, answer.json()["code"]) == (500, 9001)
    assert "planted" not in answer.text
    assert answer.headers["x-request-id"]


def _broken(words: str) -> Callable[[], Any]:
    def fail() -> Sequence[Check]:
        raise LookupError(words)

    return fail
