"""The tier of one-minute means: hours of them go once nothing needs them any more."""

from collections.abc import Callable

import structlog

from tellus.kernel.errors import Unavailable
from tellus.kernel.retention import Aged, Step, timed
from tellus.kernel.units import DAY_MS
from tellus.storage.database import Database, Tx
from tellus.telemetry import store_retention
from tellus.telemetry.model_minutes import Hour
from tellus.telemetry.retention_raw import KeepHours
from tellus.telemetry.store_retention import MinutesPosition

DropPieces = Callable[[Tx, str, int, Callable[[Tx, int, int], bool]], int]
"""Drops whole pieces of the table of means, where a store keeps it in pieces.

Takes the table's name, the instant (ms) before which everything in a piece must have arrived, and
what tells whether the span (ms) of a piece is needed; returns how many rows went.
"""

KeepSpan = Callable[[Tx, int, int], bool]
"""Tells whether anything in a span of time (ms) still needs its means."""

_TABLE = "sample_minutes"
_BEFORE_ALL: MinutesPosition = (-(2**63), 0, 0, 0)

log = structlog.get_logger(__name__)


class MinutesTier:
    """One-minute means (see ``retention.Tier``)."""

    name = "minute_means"

    def __init__(
        self,
        database: Database,
        kept_days: int,
        keep_hours: KeepHours,
        keep_span: KeepSpan,
        drop_pieces: DropPieces | None = None,
    ) -> None:
        self._database = database
        self.kept_days = kept_days
        self._keep_hours = keep_hours
        self._keep_span = keep_span
        self._drop_pieces = drop_pieces
        self._position = _BEFORE_ALL
        self._pieces_due = drop_pieces is not None

    def begin(self) -> None:
        """Look from the oldest on, at whole pieces first."""
        self._position = _BEFORE_ALL
        self._pieces_due = self._drop_pieces is not None

    def plan(self, tx: Tx, now_ms: int) -> Aged:
        """Return the hours of means whose time has come."""
        return store_retention.sum_old_minutes(tx, now_ms - self.kept_days * DAY_MS)

    def find_oldest(self, tx: Tx) -> int | None:
        """Return the oldest hour (ms) of which there are means."""
        return store_retention.find_oldest_minutes(tx)

    async def step(self, now_ms: int, limit: int) -> Step:
        """Let up to ``limit`` hours go, or, first, what goes in whole pieces."""
        before_ms = now_ms - self.kept_days * DAY_MS
        if self._pieces_due and self._drop_pieces is not None:
            self._pieces_due = False
            try:
                dropped = await self._database.write(
                    self._drop_pieces, _TABLE, before_ms, self._keep_span
                )
            except Unavailable as error:
                # Somebody reads or dumps the table: its rows go one by one, or all next time.
                log.info("retention.pieces_put_off", reason=error.message)
                dropped = 0
            return Step(dropped, 0.0, more=True)
        going, last = await self._database.read(self._find, self._position, before_ms, limit)
        removed, held_s = 0, 0.0
        if going:
            removed, held_s = await self._database.write(
                timed(store_retention.remove_minutes), going, before_ms
            )
        if last is not None:
            self._position = last
        return Step(removed, held_s, last is not None)

    def _find(
        self, tx: Tx, after: MinutesPosition, before_ms: int, limit: int
    ) -> tuple[list[Hour], MinutesPosition | None]:
        """Return hours that may go, and how far was looked for them; None at the end."""
        found = store_retention.list_old_minutes(tx, after, before_ms, limit)
        if not found:
            return [], None
        hours = [(place[1], place[2], place[3]) for place in found]
        needed = self._keep_hours(tx, hours)
        return [hour for hour in hours if hour not in needed], found[-1]
