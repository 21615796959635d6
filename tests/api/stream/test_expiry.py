"""A token that expires in the middle of a stream, on a platform whose clock is moved."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tellus.app import Application, Platform
from tellus.config import load_configuration
from tellus.kernel.clock import ManualClock
from tellus.logs import LogRecorder
from tellus.surfaces.server import GuardServer, build_server
from tests.contract.stream import open_stream
from tests.server import RunningServer

DAY_S = 86_400


class ServedPlatform:
    """A platform in a thread of this process, so that its clock can be moved."""

    def __init__(self, data_dir: Path) -> None:
        flags = {"data_dir": str(data_dir), "registration.mode": "open", "limits.scale": 1000.0}
        self.clock = ManualClock()
        self.settings = load_configuration(flags, environment={}).settings
        self.server: GuardServer
        self._built = threading.Event()
        self.thread = threading.Thread(target=asyncio.run, args=(self._serve(),), daemon=True)

    async def _serve(self) -> None:
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        platform = Platform(self.settings, LogRecorder(), clock=self.clock)
        self.server = build_server(Application(platform), port=0, drain=platform.drain)
        self._built.set()
        await self.server.serve()

    def start(self) -> str:
        """Serve; return the base URL."""
        self.thread.start()
        assert self._built.wait(10)
        assert self.server.ready.wait(10)
        return f"http://127.0.0.1:{self.server.bound_port}"

    def stop(self) -> None:
        self.server.request_stop()
        self.thread.join(15)
        assert not self.thread.is_alive()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedPlatform]:
    """A served platform with a clock of its own."""
    platform = ServedPlatform(tmp_path / "data")
    yield platform
    platform.stop()
