"""Readiness over a real store on a disk that fails: it follows the disk, both ways, by itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tellus.kernel.errors import Unavailable
from tellus.storage.instance import note_instance_value
from tellus.storage.sqlite import SQLiteDatabase
from tellus.surfaces.guard.draining import DrainState
from tellus.surfaces.site.health import Readiness, is_ready, keep_probing
from tests.reliability.faulty_disk import FaultyVFS

SETTLES_WITHIN_S = 10.0


@contextlib.asynccontextmanager
async def probed_store(
    vfs: FaultyVFS, folder: Path
) -> AsyncIterator[tuple[SQLiteDatabase, Readiness]]:
    """A store on ``vfs`` that is probed often, and the readiness that follows from it."""
    async with SQLiteDatabase.open(folder / "tellus.db", vfs=vfs.vfs_name) as database:
        readiness = Readiness(
            lambda: database.stats, DrainState(), queue_operations=5_000, schema_version="0001"
        )

        async def probe() -> None:
            await database.write(note_instance_value, "probe", "x")

        probing = asyncio.create_task(keep_probing(lambda: database.stats, probe, 0.02))
        try:
            yield database, readiness
        finally:
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)


async def settle(readiness: Readiness, *, ready: bool) -> None:
    """Wait until the platform is ready, or is not."""
    async with asyncio.timeout(SETTLES_WITHIN_S):
        while is_ready(readiness()) is not ready:  # noqa: ASYNC110 - read from counters
            await asyncio.sleep(0.01)


def test_readiness__disk_full_and_free_again__follows_without_any_other_write(
    tmp_path: Path,
) -> None:
    """A full disk makes the platform not ready; space alone, without traffic, makes it ready."""

    async def scenario() -> None:
        vfs = FaultyVFS()
        async with probed_store(vfs, tmp_path) as (database, readiness):
            assert is_ready(readiness())
            vfs.fault = "full"
            with pytest.raises(Unavailable):
                await database.write(note_instance_value, "k", "v")
            await settle(readiness, ready=False)
            (ill,) = [check for check in readiness() if not check.ok]
            assert (ill.name, "full" in ill.detail) == ("storage", True)
            refused = vfs.refused
            await asyncio.sleep(0.1)
            assert not is_ready(readiness())
            assert vfs.refused > refused
            vfs.fault = None
            await settle(readiness, ready=True)
        vfs.unregister()

    asyncio.run(scenario())


def test_readiness__disk_broken__stays_not_ready(tmp_path: Path) -> None:
    """After a failed sync the store has given up: no probe makes it look well again."""

    async def scenario() -> None:
        vfs = FaultyVFS()
        async with probed_store(vfs, tmp_path) as (database, readiness):
            vfs.fault = "sync"
            with pytest.raises(Unavailable):
                await database.write(note_instance_value, "k", "v")
            await settle(readiness, ready=False)
            vfs.fault = None
            await asyncio.sleep(0.1)
            assert not is_ready(readiness())
            assert "restart" in readiness()[0].detail
        vfs.unregister()

    asyncio.run(scenario())
