"""A loop that looks every millisecond how late it is: the platform's, or a bare one.

    python -m bench.ticking serve ...     the platform, as ``tellus serve``
    python -m bench.ticking bare SECONDS  a loop with nothing to do; prints how often it was late

The platform itself looks four times a second, which sees one stall in fifty.
"""

import asyncio
import contextlib
import sys

import uvloop

from tellus.cli import main
from tellus.surfaces.site import looplag

EVERY_S = 0.001
STALL_S = 0.005


async def count_stalls(seconds: float) -> int:
    """Return how often a loop without work was late by more than 5 ms."""
    lag = looplag.LoopLag()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(lag.run(), seconds)
    return sum(lag.counts[lag.bounds.index(STALL_S) + 1 :])


if __name__ == "__main__":
    looplag.EVERY_S = EVERY_S
    if sys.argv[1] == "bare":
        print(uvloop.run(count_stalls(float(sys.argv[2]))))
    else:
        sys.argv[0] = "tellus"
        sys.exit(main())
