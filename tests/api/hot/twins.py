"""Two platforms alike but for the short way, and raw sockets to compare what they answer."""

import asyncio
import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tellus.app import Platform
from tellus.config import load_configuration
from tellus.fleet.directory import Device
from tellus.fleet.model import DeviceIdentity
from tellus.fleet.registration import RegisterCall
from tellus.kernel.clock import ManualClock
from tellus.logs import LogRecorder
from tellus.surfaces.application import Application
from tellus.surfaces.guard.limits import GuardLimits
from tellus.surfaces.guard.server import GuardServer, build_server

T = TypeVar("T")

PATIENCE_S = 10.0
_VARYING = re.compile(rb"(date: |x-request-id: req_)[^\r]*", re.IGNORECASE)


class Twin:
    """A platform in a thread of this process, with one charger and a clock that tests move."""

    def __init__(self, folder: Path, *, short_way: bool, scale: float, limits: GuardLimits) -> None:
        flags = {"data_dir": str(folder), "registration.mode": "open", "limits.scale": scale}
        self.short_way = short_way
        self.clock = ManualClock()
        self.settings = load_configuration(flags, environment={}).settings
        self.limits = limits
        self.platform: Platform
        self.server: GuardServer
        self.loop: asyncio.AbstractEventLoop
        self.token = ""
        self._built = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),), daemon=True)

    async def _serve(self) -> None:
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        self.loop = asyncio.get_running_loop()
        self.platform = Platform(self.settings, LogRecorder(), clock=self.clock)
        self.server = build_server(
            Application(self.platform),
            drain=self.platform.drain,
            limits=self.limits,
            clerk=self.platform.hot if self.short_way else None,
        )
        self.platform.guard = self.server.guard
        self._built.set()
        await self.server.serve()

    def start(self) -> None:
        """Serve, and register the charger."""
        self._thread.start()
        assert self._built.wait(PATIENCE_S)
        assert self.server.ready.wait(PATIENCE_S)
        self.token = self.run(self._register())

    def stop(self) -> None:
        """Stop in order."""
        self.server.request_stop()
        self._thread.join(35)
        assert not self._thread.is_alive()

    async def _register(self) -> str:
        platform = self.platform
        identity = DeviceIdentity("SN-1", "TP-DC180", "Test", "1.0.0", None)
        call = RegisterCall("", "127.0.0.1", "req_test", self.clock.now_ms())
        claimed = await platform.registration.register(identity, call)
        issued = await platform.identity.issue_device_token(
            claimed.device_id, claimed.secret.text, "127.0.0.1"
        )
        return issued.text

    def run(self, work: Any) -> Any:
        """Run a coroutine on the platform's loop; return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE_S)

    def call(self, work: Callable[[], T]) -> T:
        """Call a function on the platform's loop; return its result."""

        async def called() -> T:
            return work()

        result: T = self.run(called())
        return result

    @property
    def device(self) -> Device:
        """The charger in memory."""
        return next(iter(self.platform.directory))

    @property
    def samples(self) -> tuple[int, int]:
        """How many samples were stored, and how many were repeats."""
        return self.platform.telemetry.kind.stored, self.platform.telemetry.kind.duplicates

    def statuses(self) -> dict[int, int]:
        """How many uploads were answered, by status, as the metrics tell."""
        return next(
            dict(endpoint.by_status)
            for endpoint in self.platform.router.endpoints
            if endpoint.route.operation_id == "uploadTelemetry"
        )

    @contextlib.contextmanager
    def connect(self) -> Iterator["Line"]:
        """Open a connection."""
        address = ("127.0.0.1", self.server.bound_port)
        with socket.create_connection(address, PATIENCE_S) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield Line(sock)

    @contextlib.contextmanager
    def writer_held(self) -> Iterator[None]:
        """Let nothing be committed meanwhile."""
        holds, released = threading.Event(), threading.Event()

        def hold(_tx: Any) -> None:
            holds.set()
            released.wait(PATIENCE_S)

        held = asyncio.run_coroutine_threadsafe(self.platform.database.write(hold), self.loop)
        assert holds.wait(PATIENCE_S)
        try:
            yield
        finally:
            released.set()
            held.result(PATIENCE_S)


class Line:
    """The client's end of a connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = b""

    def send(self, *pieces: bytes) -> None:
        """Send pieces one after the other, each in a packet of its own."""
        with contextlib.suppress(ConnectionError):  # what it has answered is still there to read
            for piece in pieces:
                self.sock.sendall(piece)

    def read(self) -> bytes:
        """Return one answer without what varies; what came before the end of the connection."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return self._rest()
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        if b" 100 " in head[:16]:
            self._buffer = rest
            return b"100, " + self.read()
        length = re.search(rb"content-length: (\d+)", head)
        size = len(head) + 4 + (int(length[1]) if length else 0)
        while len(self._buffer) < size:
            if not self._more():
                return self._rest()
        answer, self._buffer = self._buffer[:size], self._buffer[size:]
        return _VARYING.sub(rb"\1*", answer)

    def _more(self) -> bool:
        try:
            data = self.sock.recv(65_536)
        except ConnectionError:
            return False
        self._buffer += data
        return bool(data)

    def _rest(self) -> bytes:
        rest, self._buffer = self._buffer, b""
        return _VARYING.sub(rb"\1*", rest) + b"(closed)"


@contextlib.contextmanager
def twins(
    folder: Path, *, scale: float = 1_000.0, limits: GuardLimits | None = None
) -> Iterator[Sequence[Twin]]:
    """Serve a platform with the short way, and one without."""
    pair = [
        Twin(folder / name, short_way=short_way, scale=scale, limits=limits or GuardLimits())
        for name, short_way in (("short", True), ("long", False))
    ]
    with contextlib.ExitStack() as running:
        for twin in pair:
            twin.start()
            running.callback(twin.stop)
        yield pair
