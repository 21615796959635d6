"""Reading a connector's samples back: packed hours and the recent log as one series."""

from tellus.storage.database import Tx
from tellus.telemetry import rules, store
from tellus.telemetry.model import PastSample
from tellus.telemetry.packing import unpack
from tellus.telemetry.recent import Place, ReadRecent

HOURS_AT_ONCE = 26


def read_samples(
    tx: Tx, place: Place, from_ms: int, to_ms: int, read_recent: ReadRecent, enough: int
) -> tuple[list[PastSample], int]:
    """Return samples of (device, connector) from ``from_ms`` on, ascending, and up to where.

    Opens packed hours until it has more than ``enough`` samples, and at most 26; the second value
    is ``to_ms`` when the whole range was read, else the instant to go on from. ``read_recent``
    reads the log from ``from_ms`` on.
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
    return rules.merge(packed, read_recent(tx, reached_ms)), reached_ms
