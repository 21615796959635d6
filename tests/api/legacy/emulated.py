"""An emulated partner platform for tests that go step by step beside it."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from tellus.simulator.peer import PeerPlatform
from tellus.simulator.peer_faults import PeerFault

T = TypeVar("T")

PUSH_CLIENT = ("cl_them", "made-up-secret")
"""What it knows us by."""

ALLOWED = {"TELLUS_LEGACY__ALLOW_PRIVATE_ADDRESSES": "true"}
"""The environment of a server that is to push to this machine."""


class Emulated:
    """A peer platform on a loop of its own, so that tests may go step by step beside it."""

    def __init__(self, slow_s: float = 5.0) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.platform = PeerPlatform(push_client=PUSH_CLIENT, slow_s=slow_s)
        self.run(self.platform.__aenter__())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something on its loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def close(self) -> None:
        """End it."""
        self.run(self.platform.__aexit__())
        self.run(asyncio.sleep(0.1))  # connections that came while it ended are closed a turn later
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def misbehave(self, fault: PeerFault) -> None:
        """Let something be wrong with it."""
        self.run(self.platform.misbehave(fault))

    def behave(self) -> None:
        """Let it be well again."""
        self.run(self.platform.behave())

    @property
    def settings(self) -> dict[str, str]:
        """What an administrator of ours sets for it."""
        return {
            "push_url": self.platform.base_url,
            "auth": "client_credentials",
            "token_url": self.platform.token_url,
            "auth_id": PUSH_CLIENT[0],
            "auth_secret": PUSH_CLIENT[1],
        }
