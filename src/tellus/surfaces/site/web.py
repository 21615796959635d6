"""What is not the API: the landing page, the reference, the document, health and metrics.

Works without internet: all assets come from installed packages. No inline scripts or styles, so the
content security policy can forbid them. Failures are in the envelope here too.
"""

import asyncio
import html
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as SiteRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tellus.kernel.errors import (
    ApiError,
    InternalError,
    MethodNotAllowed,
    NotFound,
    TooManyRequests,
    Unavailable,
)
from tellus.surfaces.envelope import encode_failure, encode_success, failure_headers
from tellus.surfaces.openapi.llms import describe_site
from tellus.surfaces.openapi.older import to_openapi30
from tellus.surfaces.site.assets import Asset, load_assets, load_page, make_asset
from tellus.surfaces.site.health import Check, is_ready

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_JSON: Final = "application/json"
_HTML: Final = "text/html; charset=utf-8"
_NOT_FOUND, _METHOD_NOT_ALLOWED = 404, 405
_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_DATA_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
_HEADERS: Final[list[tuple[bytes, bytes]]] = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
_BANNER: Final = (
    '<p class="sandbox">This is a sandbox: its chargers are simulated and its data may go.</p>'
)


@dataclass(frozen=True, slots=True)
class SiteSources:
    """Where the site takes its content from.

    ``document`` returns the OpenAPI 3.1 document, ``readiness`` the checks, ``metrics`` the whole
    page in Prometheus' text format; it is called in a thread. ``next_request_id`` is the
    pipeline's, so that no identifier is given twice. ``admits`` tells of an ASGI scope whether its
    address may ask: nobody needs a token here, and the metrics of a large fleet are work.
    """

    document: Callable[[], dict[str, Any]]
    readiness: Callable[[], Sequence[Check]]
    metrics: Callable[[], bytes]
    next_request_id: Callable[[], str]
    version: str
    sandbox: bool = False
    admits: Callable[[Any], bool] = lambda _scope: True


class Site:
    """The handlers; pages and documents are made once, at first use."""

    def __init__(self, sources: SiteSources) -> None:
        self._sources = sources
        self._assets = load_assets()
        self._documents: dict[str, Asset] = {}

    def routes(self) -> list[SiteRoute]:
        """Return the site's table."""
        table: dict[str, Callable[[Request], Awaitable[Response]]] = {
            "/": self.show_landing,
            "/docs": self.show_reference,
            "/docs/": self.show_reference,
            "/docs/openapi.json": self.send_older_document,
            "/docs/assets/{name}": self.send_asset,
            "/openapi.json": self.send_document,
            "/llms.txt": self.send_index,
            "/livez": self.tell_life,
            "/readyz": self.tell_readiness,
            "/metrics": self.send_metrics,
        }
        return [SiteRoute(path, handler, methods=["GET"]) for path, handler in table.items()]

    async def show_landing(self, _request: Request) -> Response:
        """Say what this is and where to go."""
        return self._page("landing.html")

    async def show_reference(self, _request: Request) -> Response:
        """Show the API reference, every operation ready to be tried."""
        return self._page("docs.html")

    async def send_document(self, request: Request) -> Response:
        """Send the OpenAPI 3.1 document; any origin may read it."""
        answer = _send(request, self._document("3.1"))
        answer.headers["access-control-allow-origin"] = "*"
        return answer

    async def send_older_document(self, request: Request) -> Response:
        """Send the document in the words of OpenAPI 3.0, which the reference page reads."""
        return _send(request, self._document("3.0"))

    async def send_asset(self, request: Request) -> Response:
        """Send a file that a page needs."""
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            raise HTTPException(_NOT_FOUND)
        return _send(request, asset)

    async def send_index(self, _request: Request) -> Response:
        """Send the index for machines."""
        text = describe_site(self._sources.document(), sandbox=self._sources.sandbox)
        return Response(text, media_type="text/plain; charset=utf-8")

    async def tell_life(self, _request: Request) -> Response:
        """Answer as long as the event loop turns."""
        return _json(200, encode_success({"status": "live"}))

    async def tell_readiness(self, request: Request) -> Response:
        """Tell whether to send work here; ``?verbose`` adds every check."""
        checks = self._sources.readiness()
        shown = [check._asdict() for check in checks] if "verbose" in request.query_params else None
        if is_ready(checks):
            return _json(200, encode_success({"status": "ready"} | _with_checks(shown)))
        failing = ", ".join(check.name for check in checks if not check.ok)
        error = Unavailable(f"Not ready: {failing}")
        error.details |= _with_checks(shown)
        return _failure(error)

    async def send_metrics(self, _request: Request) -> Response:
        """Send the metrics, put together off the loop: the page is long."""
        page = await asyncio.to_thread(self._sources.metrics)
        return Response(page, headers={"content-type": METRICS_TYPE})

    def _page(self, name: str) -> Response:
        sandbox = self._sources.sandbox
        text = load_page(name).substitute(
            title_mark=" (sandbox)" if sandbox else "",
            banner=_BANNER if sandbox else "",
            version=html.escape(self._sources.version),
            api_version="v1.3",
        )
        headers = {"content-security-policy": _PAGE_POLICY, "cache-control": "no-cache"}
        return Response(text, headers=headers | {"content-type": _HTML})

    def _document(self, edition: str) -> Asset:
        held = self._documents.get(edition)
        if held is None:
            document = self._sources.document()
            if edition == "3.0":
                document = to_openapi30(document)
            held = make_asset(msgspec.json.encode(document), _JSON)
            self._documents[edition] = held
        return held


def build_site(sources: SiteSources) -> ASGIApp:
    """Return the ASGI application of everything outside ``/v1``."""
    app = Starlette(
        routes=Site(sources).routes(),
        exception_handlers={HTTPException: _refuse, Exception: _crash},
    )
    app.router.redirect_slashes = False
    return _Door(app, sources)


class _Door:
    """Turns floods away, and adds the headers of every answer: request identifier and security."""

    def __init__(self, app: ASGIApp, sources: SiteSources) -> None:
        self._app = app
        self._next_request_id = sources.next_request_id
        self._admits = sources.admits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._next_request_id().encode()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), *_HEADERS, (b"x-request-id", request_id)]
                if all(name != b"content-security-policy" for name, _ in headers):
                    headers.append((b"content-security-policy", _DATA_POLICY.encode()))
                message = {**message, "headers": headers}
            await send(message)

        app: ASGIApp = self._app if self._admits(scope) else _failure(TooManyRequests(1))
        await app(scope, receive, send_with_headers)


async def _refuse(request: Request, error: Exception) -> Response:
    """Put what the web framework refused into the envelope."""
    status = error.status_code if isinstance(error, HTTPException) else 0
    if status == _METHOD_NOT_ALLOWED and isinstance(error, HTTPException):
        allowed = (error.headers or {}).get("Allow", "GET, HEAD")
        return _failure(MethodNotAllowed(request.method, allowed))
    return _failure(NotFound("No such path"))


async def _crash(_request: Request, _error: Exception) -> Response:
    """Answer a bug; the framework raises it again for the server to log."""
    return _failure(InternalError())


def _failure(error: ApiError) -> Response:
    answer = _json(error.http_status, encode_failure(error))
    for name, value in failure_headers(error):
        answer.headers[name.decode()] = value.decode()
    return answer


def _json(status: int, body: bytes) -> Response:
    return Response(body, status, {"content-type": _JSON, "cache-control": "no-store"})


def _send(request: Request, asset: Asset) -> Response:
    """Send bytes, or 304 to who holds them already."""
    headers = {"etag": asset.etag, "cache-control": "no-cache", "content-type": asset.media_type}
    if request.headers.get("if-none-match") == asset.etag:
        return Response(status_code=304, headers=headers)
    return Response(asset.content, headers=headers)


def _with_checks(shown: list[dict[str, Any]] | None) -> dict[str, Any]:
    return {} if shown is None else {"checks": shown}
