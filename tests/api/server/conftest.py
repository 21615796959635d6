from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tellus.surfaces.guard.limits import GuardLimits
from tellus.surfaces.guard.server import TlsFiles
from tests.api.server.rig import Rig

QUICK: dict[str, Any] = {
    "head_timeout_s": 0.4,
    "body_timeout_s": 0.4,
    "linger_s": 0.3,
    "sweep_every_s": 0.05,
    "stream_close_spread_s": 0.1,
    "drain_hooks_s": 1.0,
    "drain_requests_s": 1.0,
}

Serve = Callable[..., Rig]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers with short deadlines; keywords are those of ``GuardLimits``."""
    rigs: list[Rig] = []

    def start(tls: TlsFiles | None = None, **limits: Any) -> Rig:
        rig = Rig(GuardLimits(**{**QUICK, **limits}), tls)
        rigs.append(rig)
        rig.start()
        return rig

    yield start
    for rig in rigs:
        if rig.thread.is_alive():
            rig.app.call(rig.app.release.set)
        rig.stop()
