"""A token that expires in the middle of a stream, on a platform whose clock is moved."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tellus.app import Platform
from tellus.audit.model import PLATFORM
from tellus.config import load_configuration
from tellus.identity.model import AdminScope
from tellus.kernel.clock import ManualClock
from tellus.logs import LogRecorder
from tellus.surfaces.application import Application
from tellus.surfaces.guard.server import GuardServer, build_server
from tests.contract.client import Refused
from tests.contract.stream import open_stream
from tests.server import RunningServer

DAY_S = 86_400


class ServedPlatform:
    """A platform in a thread of this process, so that its clock can be moved."""

    def __init__(self, data_dir: Path) -> None:
        flags = {"data_dir": str(data_dir), "registration.mode": "open", "limits.scale": 1000.0}
        self.clock = ManualClock()
        self.settings = load_configuration(flags, environment={}).settings
        self.platform: Platform
        self.server: GuardServer
        self.loop: asyncio.AbstractEventLoop
        self._built = threading.Event()
        self.thread = threading.Thread(target=asyncio.run, args=(self._serve(),), daemon=True)

    async def _serve(self) -> None:
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        self.loop = asyncio.get_running_loop()
        self.platform = Platform(self.settings, LogRecorder(), clock=self.clock)
        application = Application(self.platform)
        self.server = build_server(application, port=0, drain=self.platform.drain)
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


class ServedApi(RunningServer):
    """The helpers of a running server for one in a thread, which writes no administrator's file."""

    def __init__(self, served: ServedPlatform, base_url: str) -> None:
        self.base_url = base_url
        self._admin_token = ""
        self._account = asyncio.run_coroutine_threadsafe(
            served.platform.identity.create_service_account(
                "first administrator", frozenset(AdminScope), PLATFORM
            ),
            served.loop,
        ).result(10)

    @property
    def admin_file(self) -> dict[str, str]:
        account = self._account.account
        return {
            "service_account_id": account.service_account_id,
            "service_account_secret": self._account.text,
        }


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedPlatform]:
    """A served platform with a clock of its own."""
    platform = ServedPlatform(tmp_path / "data")
    yield platform
    platform.stop()


def test_token__that_expires_in_mid_stream__closes_with_4401_and_2002(
    served: ServedPlatform,
) -> None:
    """A day after its token was issued a stream ends within 5 s, and not before."""
    base_url = served.start()
    api = ServedApi(served, base_url)
    client, device = api.create_client(), api.register()
    with open_stream(base_url, [device.device_id], client.token) as stream:
        stream.read()
        served.clock.advance(DAY_S - 60)
        with pytest.raises(TimeoutError):
            stream.read(0.5)
        served.clock.advance(61)
        assert stream.closing(5.0) == (4401, "2002")
    with pytest.raises(Refused) as refusal:
        open_stream(base_url, [device.device_id], client.token)
    assert (refusal.value.reply.status, refusal.value.reply.code) == (401, 2002)
