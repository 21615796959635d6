"""Hours made of minutes, once they are over; on the node on duty."""

import asyncio
from typing import Final

from tellus.health import rules, store, store_due
from tellus.health.model import Folded, FoldedRow
from tellus.health.store_due import DueHour
from tellus.kernel.clock import Clock
from tellus.kernel.units import HOUR_MS, MINUTE_MS
from tellus.storage.database import Database, Tx

GRACE_MS: Final = 10 * MINUTE_MS
"""How long after its end an hour is left alone: minutes of it are still being written."""

_HOURS_AT_ONCE: Final = 50


class HourKeeper:
    """Puts minutes into hours; what came late is put into its hour as well."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def keep(self) -> int:
        """Make all hours that are due; return how many.

        Raises:
            ApiError: the store cannot take it now; it is tried again next time.
        """
        before_ms = self._clock.now_ms() - GRACE_MS - HOUR_MS
        made = 0
        while True:
            due = await self._database.read(store_due.list_due, before_ms + 1, _HOURS_AT_ONCE)
            if not due:
                return made
            # Reading and putting together are the readers' work, the writer has only the rows.
            hours = await self._database.read(_make_hours, due)
            await self._database.write(_put_hours, hours)
            made += len(due)
            await asyncio.sleep(0)


def _make_hours(tx: Tx, due: list[DueHour]) -> list[tuple[DueHour, Folded]]:
    held = store.find_spans(tx, store.HOURS, [one.key for one in due])
    made = []
    for one in due:
        device_no, connector_id, start_ms = one.key
        minutes = store.list_spans_of(
            tx, store.MINUTES, (device_no, connector_id), start_ms, start_ms + HOUR_MS
        )
        hour = rules.to_hours([*minutes]).get(one.key)
        before = held.get(one.key)
        if before is not None:
            hour = before if hour is None else rules.merge(before, hour)
        made.append((one, hour or Folded({}, {})))
    return made


def _put_hours(tx: Tx, hours: list[tuple[DueHour, Folded]]) -> None:
    """Write the hours whose minutes are still those that were read; the others stay due."""
    settled = [FoldedRow(due.key, hour) for due, hour in hours if store_due.settle_due(tx, due)]
    store.put_spans(
        tx, store.HOURS, [row for row in settled if row.folded.numbers or row.folded.words]
    )
