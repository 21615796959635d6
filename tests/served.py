"""A platform that serves from a thread of this process, so that its clock can be moved."""

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from tellus.app import Platform
from tellus.audit.model import PLATFORM
from tellus.config import load_configuration
from tellus.identity.model import AdminScope
from tellus.kernel.clock import ManualClock
from tellus.logs import LogRecorder
from tellus.surfaces.application import Application
from tellus.surfaces.guard.server import GuardServer, build_server
from tests.server import RunningServer

T = TypeVar("T")


class ServedPlatform:
    """A platform in a thread of this process, so that its clock can be moved."""

    def __init__(
        self,
        data_dir: Path,
        keys_file: Path | None = None,
        clock: ManualClock | None = None,
        **sections: dict[str, Any],
    ) -> None:
        flags: dict[str, Any] = {
            "data_dir": str(data_dir),
            "registration.mode": "open",
            "limits.scale": 1000.0,
        }
        flags["keys_file"] = None if keys_file is None else str(keys_file)
        for section, values in sections.items():
            flags |= {f"{section}.{name}": value for name, value in values.items()}
        self.clock = clock or ManualClock()
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
        """Stop in order."""
        self.server.request_stop()
        self.thread.join(15)
        assert not self.thread.is_alive()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the platform's loop; return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(10)


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
