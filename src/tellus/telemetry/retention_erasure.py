"""What of samples goes when their device is erased: all of it, log, packs and means."""

import asyncio

from tellus.fleet.erasure import Part
from tellus.kernel.retention import Step, timed
from tellus.storage.database import Database
from tellus.telemetry import store_retention


def sample_parts(database: Database, packing: asyncio.Lock) -> tuple[Part, Part]:
    """Return the parts of an erasure that samples are; ``packing`` is held while packs change."""

    async def drop_recent(device_no: int, limit: int) -> Step:
        # The log is keyed by time: a reader looks for the device's keys, the writer has only them.
        async with packing:
            keys = await database.read(store_retention.list_log_keys, device_no, limit)
            if not keys:
                return Step(0, 0.0, more=False)
            removed, held_s = await database.write(timed(store_retention.remove_log_keys), keys)
        return Step(removed, held_s, more=True)

    async def drop_hours(device_no: int, limit: int) -> Step:
        async with packing:
            removed, held_s = await database.write(
                timed(store_retention.remove_hours_of), device_no, limit
            )
        return Step(removed, held_s, removed > 0)

    return Part("recent_samples", drop_recent), Part("sample_hours", drop_hours)
