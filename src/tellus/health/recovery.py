"""Finding again what processes that died had taken in and not stored."""

from typing import Final, NamedTuple

from tellus.fleet.model import decode_reading, tells_health
from tellus.fleet.model_health import NOTHING_TOLD
from tellus.health import rules, store_due
from tellus.health.folder import LATE_MS, InTransaction, put_minutes
from tellus.health.model import FoldedRow, SpanKey
from tellus.health.store_due import Late
from tellus.kernel.clock import Clock
from tellus.kernel.units import CLOCK_TOLERANCE_MS, MINUTE_MS, is_clock_suspect
from tellus.storage.database import Database, Row, Tx
from tellus.telemetry.history import read_samples
from tellus.telemetry.service import TelemetryService

SILENT_MS: Final = MINUTE_MS
"""A process that noted nothing for this long is taken to be dead; if it is not, no harm is done."""

# Between a sample's look at the clock and its commit.
_COMMIT_MS: Final = MINUTE_MS
_PAGE: Final = 2_000
_ROWS_AT_ONCE: Final = 200


class Page(NamedTuple):
    """What a page of the log comes to, and where the next one begins; None after the last."""

    rows: list[FoldedRow]
    after: Row | None


class Recovery:
    """Takes over from processes that are gone; ``reactions`` hear of the minutes found."""

    def __init__(
        self,
        database: Database,
        telemetry: TelemetryService,
        clock: Clock,
        reactions: list[InTransaction],
    ) -> None:
        self._reactions = reactions
        self._database = database
        self._telemetry = telemetry
        self._clock = clock

    async def take_over(self, folder_id: str) -> int:
        """Fold what others left behind; return how many of them there were.

        Where the store is not shared there are no others, so whoever is known is gone.

        Raises:
            ApiError: the store cannot take it now; it is tried again next time.
        """
        silent_ms = SILENT_MS if self._database.is_shared else -SILENT_MS
        before_ms = self._clock.now_ms() - silent_ms
        gone = await self._database.read(store_due.list_silent, folder_id, before_ms)
        if gone:
            await self._fold_log(min(one.folded_ms for one in gone))
        for one in gone:
            for late in await self._database.read(store_due.list_late, one.folder_id):
                await self._fold_late(late)
            await self._database.write(store_due.remove_folder, one)
        return len(gone)

    async def _fold_log(self, folded_ms: int) -> None:
        """Fold the log from where all that was not late may be missing."""
        after: Row | None = (folded_ms - LATE_MS - _COMMIT_MS, 0, 0, 0)
        to_ms = self._clock.now_ms() + CLOCK_TOLERANCE_MS
        while after is not None:
            page = await self._database.read(_read_page, after, to_ms)
            await self._put(page.rows)
            after = page.after

    async def _fold_late(self, late: Late) -> None:
        place = (late.device_no, late.connector_id)
        from_ms, to_ms = late.from_ms, late.to_ms + 1
        while from_ms < to_ms:
            read_recent = self._telemetry.index.reader(place, from_ms, to_ms)
            samples, from_ms = await self._database.read(
                read_samples, place, from_ms, to_ms, read_recent, _PAGE
            )
            minutes: dict[SpanKey, list[rules.Told]] = {}
            for one in samples:
                health = one.reading.component_health
                if health is not None and not one.clock_suspect:
                    key = (*place, rules.minute_of(one.time_ms))
                    told = (one.time_ms, health, one.reading.temperature_c)
                    minutes.setdefault(key, []).append(told)
            await self._put([FoldedRow(key, rules.fold(minutes[key])) for key in sorted(minutes)])

    async def _put(self, rows: list[FoldedRow]) -> None:
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            part = rows[start : start + _ROWS_AT_ONCE]
            hours = {(*row.key[:2], rules.hour_of(row.key[2])) for row in part}
            await self._database.write(put_minutes, part, hours, self._reactions)


def _read_page(tx: Tx, after: Row, to_ms: int) -> Page:
    found = store_due.list_log_page(tx, after, to_ms, _PAGE)
    minutes: dict[SpanKey, list[rules.Told]] = {}
    for time_ms, device_no, connector_id, _, received_ms, content in found:
        if tells_health(content) and not is_clock_suspect(time_ms, received_ms):
            key = (device_no, connector_id, rules.minute_of(time_ms))
            reading = decode_reading(bytes(content))
            health = reading.component_health or NOTHING_TOLD
            minutes.setdefault(key, []).append((time_ms, health, reading.temperature_c))
    rows = [FoldedRow(key, rules.fold(minutes[key])) for key in sorted(minutes)]
    return Page(rows, found[-1][:4] if len(found) == _PAGE else None)
