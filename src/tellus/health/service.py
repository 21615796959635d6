"""Component health: what keeps minutes and hours up, and what reads them."""

from collections.abc import Iterable, Sequence
from typing import Final

from tellus.health import rules, store, store_due
from tellus.health.folder import Folder, InTransaction
from tellus.health.hours import HourKeeper
from tellus.health.model import FoldedRow, HealthSpan, SpanKey
from tellus.health.recovery import Recovery
from tellus.kernel.clock import Clock
from tellus.kernel.units import HOUR_MS, MINUTE_MS
from tellus.storage.database import Database, Tx
from tellus.telemetry.service import TelemetryService

_NEWEST_WITHIN_MS: Final = 15 * MINUTE_MS


class HealthService:
    """Folds what samples tell of parts; reads it by the minute and by the hour.

    What is read is never from before the device came to its present operator. ``patience_ms`` is
    how long what is no change of a status may wait in memory until it is stored.
    """

    def __init__(
        self,
        database: Database,
        telemetry: TelemetryService,
        clock: Clock,
        patience_ms: int = MINUTE_MS,
    ) -> None:
        self._database = database
        self.folder = Folder(database, clock, patience_ms)
        self.hours = HourKeeper(database, clock)
        self._recovery = Recovery(database, telemetry, clock, self.folder.in_tx)
        self._began = False
        telemetry.kind.in_tx.append(self.folder.on_samples)
        telemetry.kind.told.append(self.folder.on_durable)

    @property
    def in_tx(self) -> list[InTransaction]:
        """Return what is called with the minutes of each round, in its transaction."""
        return self.folder.in_tx

    async def begin(self) -> None:
        """Note that this process takes samples in, and take over where it is alone.

        Raises:
            ApiError: the store cannot take it now; the first turn does it.
        """
        await self.folder.note()
        if not self._database.is_shared:
            await self._recovery.take_over(self.folder.folder_id)
        self._began = True

    async def turn(self) -> None:
        """Store what this process took in; for every process, every 10 to 15 seconds.

        Raises:
            ApiError: the store cannot take it now; it is tried again next time.
        """
        if not self._began:
            await self.begin()
        await self.folder.flush()

    async def stop(self) -> None:
        """Store what waits, at an orderly end.

        Raises:
            ApiError: the store cannot take it now; the next start finds it in the samples.
        """
        await self.folder.leave()

    async def upkeep(self) -> None:
        """Make hours, and take over from processes that died; for one process at a time.

        Raises:
            ApiError: the store cannot take it now; it is tried again next time.
        """
        if self._database.is_shared:
            await self._recovery.take_over(self.folder.folder_id)
        await self.hours.keep()

    # -------------------------------------------------------------------------------- reading

    def read_minutes(self, tx: Tx, device_no: int, from_ms: int, to_ms: int) -> list[HealthSpan]:
        """Return the minutes of a device that begin in ``[from_ms, to_ms)``, by connector."""
        from_ms = max(from_ms, store.find_owned_since(tx, device_no))
        return _spans(store.list_spans(tx, store.MINUTES, device_no, from_ms, to_ms))

    def read_hours(self, tx: Tx, device_no: int, from_ms: int, to_ms: int) -> list[HealthSpan]:
        """Return the hours of a device that begin in ``[from_ms, to_ms)``, by connector.

        Minutes that are not in their hours yet are put into them here.
        """
        return _spans(read_hour_rows(tx, device_no, from_ms, to_ms))

    def newest(self, tx: Tx, device_no: int) -> list[HealthSpan]:
        """Return what each connector of a device reported last, by connector.

        That is all within a quarter-hour up to its newest minute, or its newest hour.
        """
        return _spans(read_newest_rows(tx, device_no))


def read_hour_rows(tx: Tx, device_no: int, from_ms: int, to_ms: int) -> list[FoldedRow]:
    """Return a device's hours, with the minutes that are not in them yet, by connector."""
    owned_ms = store.find_owned_since(tx, device_no)
    # The hour in which it came has minutes of before: it is told by its own, until it is made.
    from_ms = max(from_ms, rules.hour_of(owned_ms))
    stored = store.list_spans(tx, store.HOURS, device_no, max(from_ms, owned_ms), to_ms)
    due = store_due.list_due_of(tx, device_no, from_ms, to_ms)
    return read_minutes_of_hours(tx, due, stored, owned_ms)


def read_minutes_of_hours(
    tx: Tx, due: Iterable[SpanKey], hours: Iterable[FoldedRow], owned_ms: int
) -> list[FoldedRow]:
    """Return ``hours`` with the minutes of those that are due put into them."""
    found = {row.key: row.folded for row in hours}
    for device_no, connector_id, hour_ms in due:
        minutes = store.list_spans_of(
            tx,
            store.MINUTES,
            (device_no, connector_id),
            max(hour_ms, owned_ms),
            hour_ms + HOUR_MS,
        )
        for made, folded in rules.to_hours(minutes).items():
            held = found.get(made)
            found[made] = folded if held is None else rules.merge(held, folded)
    return [FoldedRow(key, found[key]) for key in sorted(found)]


def read_newest_rows(tx: Tx, device_no: int) -> list[FoldedRow]:
    """Return what each connector of a device reported last (see ``HealthService.newest``)."""
    owned_ms = store.find_owned_since(tx, device_no)
    newest: dict[int, FoldedRow] = {}
    for table in (store.MINUTES, store.HOURS):
        starts = store.list_newest_starts(tx, table, device_no, owned_ms)
        for connector_id, start_ms in starts.items():
            if connector_id in newest:
                continue
            from_ms = (
                max(owned_ms, start_ms - _NEWEST_WITHIN_MS) if table == store.MINUTES else start_ms
            )
            rows = store.list_spans_of(tx, table, (device_no, connector_id), from_ms, start_ms + 1)
            newest[connector_id] = FoldedRow(
                rows[-1].key, rules.put_together(row.folded for row in rows)
            )
    return [newest[connector_id] for connector_id in sorted(newest)]


def _spans(rows: Sequence[FoldedRow]) -> list[HealthSpan]:
    return [row.span() for row in rows]
