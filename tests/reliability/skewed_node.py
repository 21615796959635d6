"""A node whose machine's clock is wrong: ``python skewed_node.py SKEW_MS [PLANT...] serve ...``.

It follows the database's clock as any node does. ``deaf`` plants a bus that delivers nothing,
``silent`` nodes that neither ping themselves nor look for what the bus may have failed to tell;
``patient`` and ``talkative`` are no faults.
"""

import math
import sys
from functools import partial
from typing import Any

from tellus import app, building
from tellus.bus.postgres import PostgresBus
from tellus.cli import main
from tellus.fleet.presence import PresenceSettings
from tellus.kernel.clock import FollowingClock, SystemClock
from tellus.nodes import following
from tellus.storage import postgres_windows
from tests.reliability.planted import replace_part

TOLD_EVERY_MS = 2_000


class SkewedClock(SystemClock):
    """The machine's clock, off by so much."""

    def __init__(self, skew_ms: int) -> None:
        self._skew_ms = skew_ms

    def now_ms(self) -> int:
        """Return the wall time in milliseconds since 1970-01-01 UTC, and the skew."""
        return super().now_ms() + self._skew_ms


def trust_the_bus() -> None:
    """Take the bus for alive whatever happens, and look nowhere else."""

    async def keep_quiet(_bus: Any) -> None:
        return

    replace_part(PostgresBus, "_ping", keep_quiet)
    replace_part(PostgresBus, "is_silent", False)
    replace_part(following, "POLL_S", math.inf)


def hear_nothing() -> None:
    """Take no message from the bus."""
    replace_part(PostgresBus, "_take", lambda _bus, _payload: None)


def be_patient() -> None:
    """Wait for the answers of a busy machine's database instead of counting alone; no fault."""
    replace_part(postgres_windows, "_SLOW_S", 10.0)


def be_talkative() -> None:
    """Tell the others every two seconds whom it hears, not every fifteen; no fault."""
    often = partial(PresenceSettings, flush_ms=TOLD_EVERY_MS)
    replace_part(building, "PresenceSettings", often)


PLANTS = {
    "silent": trust_the_bus,
    "deaf": hear_nothing,
    "patient": be_patient,
    "talkative": be_talkative,
}


def run() -> None:
    """Read what comes before the command, and run that."""
    clock = FollowingClock(SkewedClock(int(sys.argv.pop(1))))
    replace_part(app, "open_clock", lambda _settings: clock)
    while sys.argv[1] in PLANTS:
        PLANTS[sys.argv.pop(1)]()
    main(prog_name="tellus")


if __name__ == "__main__":
    run()
