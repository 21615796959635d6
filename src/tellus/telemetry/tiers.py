"""Reading a connector's past whatever is left of it: samples, or the means of their minutes."""

from tellus.kernel.units import HOUR_MS, MINUTE_MS
from tellus.storage.database import Tx
from tellus.telemetry import rules, store_minutes
from tellus.telemetry.history import HOURS_AT_ONCE, read_samples
from tellus.telemetry.minutes import unpack_minutes
from tellus.telemetry.model_minutes import MinuteMean
from tellus.telemetry.model_tiers import Resolution, TierPart
from tellus.telemetry.recent import Place, ReadRecent
from tellus.telemetry.rules_minutes import means_of, merge_means

_ALL = 2**63


def read_part(
    tx: Tx, place: Place, from_ms: int, to_ms: int, read_recent: ReadRecent, enough: int
) -> TierPart:
    """Return what comes first in ``[from_ms, to_ms)``, as far as it is of one resolution.

    An hour of which there are means is told by its means, with what came late averaged too. Once
    there is more than ``enough`` it may stop before the end. ``read_recent`` reads the log from
    ``from_ms`` on. Nothing at all is ``none``.
    """
    place_ms = from_ms
    while place_ms < to_ms:
        hour_ms = rules.hour_of(place_ms)
        rows = store_minutes.list_minutes_between(tx, place, hour_ms, to_ms, HOURS_AT_ONCE)
        if rows and rows[0][0] == hour_ms:
            return _read_means(tx, place, place_ms, to_ms, read_recent, rows)
        until_ms = rows[0][0] if rows else to_ms
        found, reached_ms = read_samples(tx, place, place_ms, until_ms, read_recent, enough)
        samples = [sample for sample in found if place_ms <= sample.time_ms < reached_ms]
        if samples:
            return TierPart(Resolution.RAW, reached_ms, samples=samples)
        place_ms = reached_ms
    return TierPart(Resolution.NONE, to_ms)


def _read_means(
    tx: Tx,
    place: Place,
    from_ms: int,
    to_ms: int,
    read_recent: ReadRecent,
    rows: list[tuple[int, bytes]],
) -> TierPart:
    """Return the means of the hours that follow one another without a gap."""
    end_ms = first_ms = rows[0][0]
    held: list[MinuteMean] = []
    for hour_ms, content in rows:
        if hour_ms != end_ms:
            break
        held += unpack_minutes(hour_ms, content)
        end_ms += HOUR_MS
    late, reached_ms = read_samples(tx, place, first_ms, end_ms, read_recent, _ALL)
    means = merge_means(held, means_of(one for one in late if one.time_ms >= first_ms))
    minute_ms = from_ms - from_ms % MINUTE_MS
    last_ms = min(to_ms, reached_ms)
    kept = [mean for mean in means if minute_ms <= mean.minute_ms < last_ms]
    return TierPart(Resolution.MINUTE, reached_ms, means=kept)
