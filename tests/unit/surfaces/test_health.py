"""Readiness: what makes the platform not ready, and how it finds out that it is again."""

import asyncio
import contextlib

import pytest

from tellus.kernel.errors import Unavailable
from tellus.storage.stats import StorageStats
from tellus.surfaces.guard.draining import DrainState
from tellus.surfaces.site.health import Readiness, is_ready, keep_probing


def make_readiness(
    stats: StorageStats, drain: DrainState | None = None, schema_version: str = "0001"
) -> Readiness:
    """The checks of a platform with these counters."""
    drain = drain or DrainState()
    return Readiness(lambda: stats, drain, queue_operations=10, schema_version=schema_version)


def test_readiness__all_well__is_ready_and_shows_four_checks() -> None:
    """A store that takes writes, a short queue, no draining, a schema: ready."""
    checks = make_readiness(StorageStats(queue_depth=9))()
    assert is_ready(checks)
    assert [check.name for check in checks] == ["storage", "writer_queue", "draining", "migrations"]


@pytest.mark.parametrize(
    ("stats", "failing"),
    [
        (StorageStats(failed=True), "storage"),
        (StorageStats(ailment="full"), "storage"),
        (StorageStats(ailment="busy"), "storage"),
        (StorageStats(queue_depth=10), "writer_queue"),
    ],
)
def test_readiness__store_in_trouble__is_not_ready(stats: StorageStats, failing: str) -> None:
    """A failed store, a full disk and a full queue each make the platform not ready."""
    checks = make_readiness(stats)()
    assert [check.name for check in checks if not check.ok] == [failing]
    assert not is_ready(checks)


def test_readiness__disk_full_then_free__recovers_without_restart() -> None:
    """What ails is judged anew each time."""
    stats = StorageStats(ailment="full")
    readiness = make_readiness(stats)
    assert not is_ready(readiness())
    stats.ailment = ""
    assert is_ready(readiness())


def test_readiness__draining_or_no_schema__is_not_ready() -> None:
    """While the server stops, and without a schema, no work is wanted."""
    drain = DrainState()
    readiness = make_readiness(StorageStats(), drain)
    drain.draining = True
    assert not is_ready(readiness())
    assert not is_ready(make_readiness(StorageStats(), schema_version="")())


def test_probe__writes_fail__tries_until_they_do_not() -> None:
    """A small write is tried while writes fail, survives refusals, and stops when all is well."""
    stats = StorageStats(ailment="full")
    tries = 0

    async def probe() -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise Unavailable("Storage cannot write now")
        stats.ailment = ""

    async def run() -> None:
        probing = asyncio.create_task(keep_probing(lambda: stats, probe, 0.0))
        for _ in range(100):
            await asyncio.sleep(0)
        probing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await probing

    asyncio.run(run())
    assert tries == 3
