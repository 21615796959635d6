"""Reading a connector's samples back: packed hours and the recent log as one series."""

from collections.abc import Sequence

from tellus.storage.database import Tx
from tellus.telemetry import rules, store
from tellus.telemetry.model import PastSample
from tellus.telemetry.packing import unpack

HOURS_AT_ONCE = 26

Place = tuple[int, int]


def read_samples(
    tx: Tx, place: Place, from_ms: int, to_ms: int, log_times_ms: Sequence[int]
) -> tuple[list[PastSample], int]:
    """Return samples of (device, connector) from ``from_ms`` on, ascending, and up to where.

    Reads at most 26 packed hours; the second value is ``to_ms`` when the whole range was read, else
    the instant to go on from. ``log_times_ms`` are the instants of the range that the log held
    before this snapshot was taken.
    """
    first_hour_ms = rules.hour_of(from_ms)
    packs = store.list_packs_between(tx, *place, first_hour_ms, to_ms, HOURS_AT_ONCE + 1)
    reached_ms = packs[HOURS_AT_ONCE][0] if len(packs) > HOURS_AT_ONCE else to_ms
    packed = [
        sample
        for hour_ms, content in packs[:HOURS_AT_ONCE]
        for sample in unpack(hour_ms, content)
        if from_ms <= sample.time_ms < to_ms
    ]
    recent_ms = [time_ms for time_ms in log_times_ms if from_ms <= time_ms < reached_ms]
    recent = store.list_log_samples(tx, *place, recent_ms)
    return rules.merge(packed, recent), reached_ms
