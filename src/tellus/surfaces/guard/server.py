"""The server: uvicorn's, with a guard at the door and an orderly end.

A stop goes: not ready, listeners closed, parked polls released and streams closed with 1012 spread
over some seconds, ``Connection: close`` on every answer, requests in flight awaited, application
shut down; all within 30 seconds. A second signal cuts the waiting short.
"""

import asyncio
import contextlib
import signal
import socket
import ssl
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from uvicorn.config import Config
from uvicorn.server import HANDLED_SIGNALS, Server

from tellus.surfaces.guard.draining import DrainState
from tellus.surfaces.guard.errands import Clerk
from tellus.surfaces.guard.limits import GuardLimits
from tellus.surfaces.guard.phases import patience
from tellus.surfaces.guard.protocol import GuardProtocol
from tellus.surfaces.guard.state import Guard, LogSink, discard_log

_BACKLOG = 4096
_SWEEP_SLICE = 2000  # looks before other work gets its turn: well under 2 ms
_SWEEP_ACTION = 100  # looks that one refusal costs
_FORCED_STOP_S = 2.0
_TICK_S = 0.05


class ServerStartError(RuntimeError):
    """The application refused to start; its own log says why."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The certificate chain and key (PEM) for serving TLS 1.2 or newer directly."""

    certificate: Path
    key: Path
    key_password: str | None = None

    def context(self) -> ssl.SSLContext:
        """Return a server context; raises ``OSError`` (``ssl.SSLError``) for unusable files."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key, self.key_password)
        context.set_alpn_protocols(["http/1.1"])
        return context


class GuardServer(Server):
    """Serves one ASGI application on one address and port.

    ``ready`` is set (also for other threads) once connections are accepted; ``bound_port`` is then
    the real port, also where 0 was asked for. ``stopped_by`` is the first signal that came. Where
    ``shares_port`` is set other processes may listen there too: connections spread over all.
    """

    def __init__(self, config: Config, guard: Guard, tls: TlsFiles | None) -> None:
        super().__init__(config)
        self.shares_port = False
        self.guard = guard
        self.server_state = guard.state
        self.ready = threading.Event()
        self.bound_port = 0
        self.stopped_by: signal.Signals | None = None
        self._tls = tls
        self._log = guard.log
        self._listeners: list[asyncio.base_events.Server] = []

    # ------------------------------------------------------------------ start

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop.

        Raises ``OSError`` when the address cannot be bound and ``ServerStartError`` when the
        application does not start. ``sockets`` are listening sockets to use instead of binding.
        """
        with self.capture_signals():
            listening = sockets or _bind(
                self.config.host, self.config.port, shares_port=self.shares_port
            )
            self.bound_port = listening[0].getsockname()[1]
            sweeper = asyncio.create_task(self._sweep_forever())
            try:
                await self._run(listening)
            finally:
                sweeper.cancel()
                for listener in listening:
                    listener.close()

    async def _run(self, listening: list[socket.socket]) -> None:
        if not self.config.loaded:
            self.config.load()
            # uvicorn would wrap the application in a logger of whole scopes where the root logger
            # is set low enough; tokens are in there.
            self.config.loaded_app = self.config.app
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup(listening)
        while not self.should_exit:  # noqa: ASYNC110 - set by signal handlers and other threads
            await asyncio.sleep(_TICK_S)
        await self.shutdown()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then accept connections."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            raise ServerStartError("the application did not start")
        self.guard.refresh_date(time.time())
        loop = asyncio.get_running_loop()
        context = self._tls.context() if self._tls is not None else None
        handshake_s = self.guard.limits.head_timeout_s if context is not None else None
        for listener in sockets or []:
            server = await loop.create_server(
                self._protocol,
                sock=listener,
                ssl=context,
                ssl_handshake_timeout=handshake_s,
                backlog=_BACKLOG,
            )
            self._listeners.append(server)
        self.started = True
        self.ready.set()
        self._log("server_started", {"host": self.config.host, "port": self.bound_port})

    def _protocol(self) -> GuardProtocol:
        return GuardProtocol(self.guard, self.config, self.lifespan.state)

    # ------------------------------------------------------------------ the sweep

    async def _sweep_forever(self) -> None:
        while True:
            self.guard.refresh_date(time.time())
            await self._sweep(asyncio.get_running_loop().time())
            await asyncio.sleep(self.guard.limits.sweep_every_s)

    async def _sweep(self, now_s: float) -> None:
        """Look at every connection once, in slices that let the loop breathe."""
        limits = patience(self.guard.limits)
        live = self.guard.requests
        budget = _SWEEP_SLICE
        for protocol in list(live):
            budget -= 1
            if now_s - protocol.since > limits[protocol.phase] and protocol in live:
                protocol.check_deadline(now_s)
                budget -= _SWEEP_ACTION
            if budget <= 0:
                budget = _SWEEP_SLICE
                await asyncio.sleep(0)

    # ------------------------------------------------------------------ stop

    def request_stop(self) -> None:
        """Begin an orderly stop; may be called from any thread."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop in order, within ``stop_within_s``."""
        del sockets  # closed with the listeners
        limits = self.guard.limits
        ends_at = time.monotonic() + limits.stop_within_s
        self._log("server_draining", {"connections": self.guard.register.open_count})
        self.guard.drain.draining = True
        for listener in self._listeners:
            listener.close()
        await self._until_forced(self._release_waiters())
        for protocol in list(self.guard.requests):
            protocol.shutdown()
        await self._until_forced(self._requests_done(limits.drain_requests_s))
        await self._break_off()
        left_s = _FORCED_STOP_S if self.force_exit else max(1.0, ends_at - time.monotonic())
        try:
            await asyncio.wait_for(self.lifespan.shutdown(), left_s)
        except TimeoutError:
            self._log("shutdown_timed_out", {"waited_s": left_s})
        self._log("server_stopped", {"forced": self.force_exit})

    async def _until_forced(self, work: Any) -> None:
        """Await ``work``, or leave it when a second signal comes."""
        task = asyncio.ensure_future(work)
        while not task.done() and not self.force_exit:
            await asyncio.wait({task}, timeout=_TICK_S)
        if not task.done():
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _release_waiters(self) -> None:
        limits = self.guard.limits
        outcomes, _ = await asyncio.gather(
            self.guard.drain.begin(limits.drain_hooks_s),
            self._close_streams(limits.stream_close_spread_s),
        )
        for outcome in outcomes:
            self._log("drain_hook_failed", {"exc_info": outcome})

    async def _close_streams(self, spread_s: float) -> None:
        """Close all streams with 1012, evenly spread, so that they do not come back at once."""
        streams = list(self.guard.streams)
        began = time.monotonic()
        for done, stream in enumerate(streams):
            wait_s = began + spread_s * done / len(streams) - time.monotonic()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            if not stream.disconnected:
                stream.shutdown()
        for stream in list(self.guard.streams):
            stream.shutdown()

    async def _requests_done(self, within_s: float) -> None:
        ends_at = time.monotonic() + within_s
        while self.server_state.connections or self.server_state.tasks:
            if time.monotonic() >= ends_at:
                return
            await asyncio.sleep(_TICK_S)

    async def _break_off(self) -> None:
        """Cancel what has not ended and drop every connection that is left."""
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            self._log("requests_broken_off", {"count": len(tasks)})
            await asyncio.wait(tasks, timeout=1.0)
        for protocol in list(self.guard.requests):
            protocol.transport.abort()
        for stream in list(self.guard.streams):
            stream.transport.abort()
        await asyncio.sleep(0)

    # ------------------------------------------------------------------ signals

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Handle SIGTERM and SIGINT while serving; in a thread there are none to handle.

        Unlike uvicorn's, the signals are not raised again afterwards: an orderly stop ends with
        exit code 0.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in HANDLED_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the stop at the first signal, force it at the second."""
        del frame
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True
        if self.stopped_by is None:
            self.stopped_by = signal.Signals(sig)


def build_server(
    app: Any,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    limits: GuardLimits | None = None,
    drain: DrainState | None = None,
    tls: TlsFiles | None = None,
    clerk: Clerk | None = None,
    log: LogSink = discard_log,
) -> GuardServer:
    """Return a server for an ASGI 3 application; ``run()`` or ``await serve()`` starts it.

    ``port`` 0 takes a free one. ``clerk`` knows the requests that need no task. ``log`` gets events
    by name with their facts; nothing of a request's target, headers or body is among them.
    """
    config = Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=GuardProtocol,
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=True,
    )
    guard = Guard(limits or GuardLimits(), drain or DrainState(), log)
    if clerk is not None:
        guard.errands.clerk = clerk
    return GuardServer(config, guard, tls)


def _bind(host: str, port: int, *, shares_port: bool = False) -> list[socket.socket]:
    """Return one bound socket per address that ``host`` stands for, all on the same port."""
    found = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_ADDRCONFIG
    )
    bound: list[socket.socket] = []
    try:
        for family, kind, proto, _, address in dict.fromkeys(found):
            listener = socket.socket(family, kind, proto)
            bound.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shares_port:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            chosen = bound[0].getsockname()[1] if port == 0 and len(bound) > 1 else port
            listener.bind((address[0], chosen, *address[2:]))
            listener.setblocking(False)
    except OSError:
        for listener in bound:
            listener.close()
        raise
    return bound
