"""What has become of alerts lately, read from the store: the truth behind the stream."""

from typing import Final, NamedTuple

from tellus.alerts import store
from tellus.alerts.model import Alert, ChangeKind
from tellus.kernel.clock import Clock
from tellus.kernel.units import SECOND_MS
from tellus.storage.database import Database

OVERLAP_MS: Final = 10 * SECOND_MS
"""How far each look goes back: a change may be committed some time after its own time."""

_AT_ONCE: Final = 500
_NEVER_MS: Final = 2**62


class AlertNews(NamedTuple):
    """An alert as it is now, and what became of it since the look before."""

    kind: ChangeKind
    alert: Alert


class AlertFeed:
    """Finds the changes of alerts by whichever node, each once; several in a row become one.

    ``begin`` says from when on changes are news; ``look`` is to be called again and again.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[int, tuple[int, int]] = {}
        self._from_ms = 0

    async def begin(self, from_ms: int) -> None:
        """Take what changed before ``from_ms`` as known."""
        self._known.clear()
        self._from_ms = from_ms
        await self._find(before_ms=from_ms)

    async def look(self) -> list[AlertNews]:
        """Return what is new since the last look, oldest change first."""
        found = await self._find()
        numbers = [number for number, _ in found]
        by_no: dict[int, Alert] = {}
        for start in range(0, len(numbers), _AT_ONCE):
            part = numbers[start : start + _AT_ONCE]
            alerts = await self._database.read(store.list_by_no, part)
            by_no |= {alert.alert_no: alert for alert in alerts}
        return [
            AlertNews(_kind_of(by_no[number], is_new=is_new), by_no[number])
            for number, is_new in found
            if number in by_no
        ]

    async def _find(self, before_ms: int = _NEVER_MS) -> list[tuple[int, bool]]:
        """Return the alerts that changed before a time, and whether each was unknown."""
        after = (self._from_ms - OVERLAP_MS, 0)
        began_ms = self._clock.now_ms()
        found: dict[int, bool] = {}
        while rows := await self._database.read(store.list_changed, after, _AT_ONCE):
            for number, version, changed_ms in rows:
                before = self._known.get(number)
                is_newer = before is None or before[0] < version
                if is_newer and changed_ms < before_ms:
                    found[number] = before is None and found.get(number, True)
                    self._known[number] = version, changed_ms
            after = (rows[-1][2], rows[-1][0])
        self._from_ms = min(began_ms, before_ms)
        forgotten_ms = began_ms - 2 * OVERLAP_MS
        self._known = {no: held for no, held in self._known.items() if held[1] >= forgotten_ms}
        return list(found.items())


def _kind_of(alert: Alert, *, is_new: bool) -> ChangeKind:
    if not alert.is_live:
        return ChangeKind.CLOSED
    # An alert that was not known and changed lately was opened lately, unless it is an old one.
    was_opened = is_new and alert.changed_ms - alert.opened_ms <= OVERLAP_MS
    return ChangeKind.OPENED if was_opened else ChangeKind.CHANGED
