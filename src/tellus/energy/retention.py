"""What energy needs of samples, and shapes of sessions that become coarser with age.

Samples stay until all that they tell is in the sums. Then minutes of a session become quarter-hours
once the tier of minutes has passed over everything that it was made of; only after that its means
of one minute go. Sums of sites and operators stay as long as records do.
"""

from collections.abc import Sequence

from tellus.energy import store_retention
from tellus.energy.shapes import pack_shape, to_quarters, unpack_shape
from tellus.energy.store_progress import find_folded_to
from tellus.energy.store_retention import AgedSession, Position
from tellus.fleet.erasure import ErasureService, Part
from tellus.kernel.retention import Aged, Step, timed
from tellus.kernel.units import DAY_MS, HOUR_MS
from tellus.storage.database import Database, Tx
from tellus.telemetry.model_minutes import Hour

_BEFORE_ALL: Position = (-(2**63), 0)


def keep_unfolded(tx: Tx, hours: Sequence[Hour]) -> set[Hour]:
    """Return the hours whose samples are not in the sums yet, or are to be folded again."""
    folded_to_ms = find_folded_to(tx)
    if folded_to_ms is None or not hours:
        return set(hours)
    marked = store_retention.list_marked(tx, sorted({hour[:2] for hour in hours}))
    return {hour for hour in hours if hour[2] + HOUR_MS > folded_to_ms or hour[:2] in marked}


def keep_fine(tx: Tx, hours: Sequence[Hour]) -> set[Hour]:
    """Return the hours in which there is a session that is known by the minute."""
    if not hours:
        return set()
    times_ms = [hour[2] for hour in hours]
    spans: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for device_no, connector_id, start_ms, end_ms in store_retention.list_fine_spans(
        tx, sorted({hour[:2] for hour in hours}), min(times_ms), max(times_ms) + HOUR_MS
    ):
        spans.setdefault((device_no, connector_id), []).append((start_ms, end_ms))
    return {
        hour
        for hour in hours
        if any(
            start_ms < hour[2] + HOUR_MS and end_ms >= hour[2]
            for start_ms, end_ms in spans.get(hour[:2], ())
        )
    }


def has_fine_sessions(tx: Tx, from_ms: int, to_ms: int) -> bool:
    """Tell whether there is a session in a span (ms) that is known by the minute."""
    return store_retention.has_fine_sessions(tx, from_ms, to_ms)


def is_unfolded(tx: Tx, device_no: int, to_ms: int) -> bool:
    """Tell whether anything that a device said up to an instant (ms) is not in the sums yet."""
    folded_to_ms = find_folded_to(tx)
    if folded_to_ms is not None and folded_to_ms <= to_ms:
        return True
    return store_retention.has_marks(tx, device_no)


class ShapeTier:
    """Minutes of sessions (see ``telemetry.retention.Tier``); they become quarter-hours."""

    name = "session_minutes"

    def __init__(self, database: Database, kept_days: int) -> None:
        self._database = database
        self._position = _BEFORE_ALL
        self.kept_days = kept_days

    def begin(self) -> None:
        """Look from the oldest session on."""
        self._position = _BEFORE_ALL

    def plan(self, tx: Tx, now_ms: int) -> Aged:
        """Return the sessions whose time has come by their end; those with younger facts stay."""
        return store_retention.sum_fine_sessions(tx, now_ms - self.kept_days * DAY_MS)

    def find_oldest(self, tx: Tx) -> int | None:
        """Return the end (ms) of the oldest session that is known by the minute."""
        return store_retention.find_oldest_fine(tx)

    async def step(self, now_ms: int, limit: int) -> Step:
        """Make up to ``limit`` sessions coarser."""
        before_ms = now_ms - self.kept_days * DAY_MS
        coarser, last = await self._database.read(self._find, self._position, before_ms, limit)
        changed, held_s = 0, 0.0
        if coarser:
            changed, held_s = await self._database.write(timed(_make_coarser), coarser)
        if last is not None:
            self._position = last
        return Step(changed, held_s, last is not None)

    @staticmethod
    def _find(
        tx: Tx, after: Position, before_ms: int, limit: int
    ) -> tuple[list[tuple[AgedSession, bytes]], Position | None]:
        aged, last = store_retention.list_aged_sessions(tx, after, before_ms, limit)
        coarser = [(one, pack_shape(to_quarters(unpack_shape(one.shape)))) for one in aged]
        return coarser, last


def _make_coarser(tx: Tx, sessions: Sequence[tuple[AgedSession, bytes]]) -> int:
    changed = 0
    places = {(session.device_no, session.connector_id) for session, _ in sessions}
    tx.lock(*(f"energy:{device_no}:{connector_id}" for device_no, connector_id in places))
    for session, shape in sessions:
        changed += store_retention.make_coarser(tx, session, shape)
    return changed


def session_part(erasures: ErasureService) -> Part:
    """Return the part of an erasure that sessions are; what they moved stays in the sums."""
    return erasures.part("sessions", store_retention.remove_device)
