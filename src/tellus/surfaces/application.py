"""The ASGI application: which part serves a request, and the life of the whole."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

Part = Callable[[dict[str, Any], Any, Any], Awaitable[Any]]


class Served(Protocol):
    """What the application serves, and starts and stops as one."""

    start_failure: Exception | None

    @property
    def pipeline(self) -> Part:
        """Return what serves the API."""
        ...

    @property
    def site(self) -> Part:
        """Return what serves the pages beside it."""
        ...

    @property
    def streams(self) -> Part:
        """Return what serves WebSockets."""
        ...

    async def start(self) -> None:
        """Begin."""
        ...

    async def stop(self) -> None:
        """End."""
        ...


class Application:
    """The ASGI application: the API, the stream, and the pages beside them."""

    def __init__(self, platform: Served) -> None:
        self._platform = platform

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve one request, stream, or the life of the server."""
        kind = scope["type"]
        if kind == "http":
            path = scope["path"]
            if path.startswith(("/v1/", "/e/")):
                await self._platform.pipeline(scope, receive, send)
            else:
                await self._platform.site(scope, receive, send)
        elif kind == "websocket":
            await self._platform.streams(scope, receive, send)
        elif kind == "lifespan":
            await self._live(receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        try:
            await self._platform.start()
        except Exception as error:  # noqa: BLE001 - told to whoever serves, who ends the process
            self._platform.start_failure = error
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._platform.stop()
        await send({"type": "lifespan.shutdown.complete"})
