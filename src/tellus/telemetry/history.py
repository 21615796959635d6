"""Reading a connector's samples back: packed hours and the recent log as one series."""

from collections.abc import Sequence

from tellus.storage.database import Tx
from tellus.telemetry import rules, store
from tellus.telemetry.model import PastSample
from tellus.telemetry.packing import unpack

HOURS_AT_ONCE = 26

Place = tuple[int, int]


def read_samples(
    tx: Tx, place: Place, from_ms: int, to_ms: int, log_times_ms: Sequence[int], enough: int
) -> tuple[list[PastSample], int]:
    """Return samples of (device, connector) from ``from_ms`` on, ascending, and up to where.

    Opens packed hours until it has more than ``enough`` samples, and at most 26; the second value
    is ``to_ms`` when the whole range was read, else the instant to go on from. ``log_times_ms`` are
    the instants of the range that the log held before this snapshot was taken.
    """
    first_hour_ms = rules.hour_of(from_ms)
    packs = store.list_packs_between(tx, *place, first_hour_ms, to_ms, HOURS_AT_ONCE + 1)
    reached_ms = to_ms
    packed: list[PastSample] = []
    for number, (hour_ms, content) in enumerate(packs):
        if number >= HOURS_AT_ONCE or len(packed) > enough:
            reached_ms = hour_ms
            break
        samples = unpack(hour_ms, content)
        packed += [sample for sample in samples if from_ms <= sample.time_ms < to_ms]
    recent_ms = [time_ms for time_ms in log_times_ms if from_ms <= time_ms < reached_ms]
    recent = store.list_log_samples(tx, *place, recent_ms)
    return rules.merge(packed, recent), reached_ms
