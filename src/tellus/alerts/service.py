"""Use cases of alerts: take in what was found, show it, let people say what they did about it."""

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from tellus.alerts import rules, store
from tellus.alerts.model import (
    Alert,
    AlertChange,
    AlertFilter,
    AlertRun,
    AlertStatus,
    AlertView,
    Cleared,
    Finding,
)
from tellus.alerts.withdrawal import Withheld, nobody
from tellus.audit.model import Actor
from tellus.audit.service import record
from tellus.fleet.administration import DeviceMoved
from tellus.kernel.clock import Clock
from tellus.kernel.errors import Conflict, NotFound
from tellus.kernel.ids import new_id
from tellus.kernel.tables import PAGE_ROWS
from tellus.kernel.units import DAY_MS
from tellus.storage.database import Database, Tx

PLATFORM: Final = "platform"
"""Who did what nobody asked for: the actor of findings and clearings."""

_TIDIED_AT_ONCE: Final = 200
_TAKEN_AT_ONCE: Final = 200
_NEWEST: Final = 2**62

InTx = Callable[[Tx, Sequence[AlertChange]], None]


class WrongTransition(Conflict):
    """4001: an alert cannot get that status from the one that it has."""

    def __init__(self, before: AlertStatus, after: AlertStatus) -> None:
        message = f"An alert that is {before.value} cannot become {after.value}"
        super().__init__(message, **{"from": before.value, "to": after.value})


class AlertService:
    """Alerts of all operators; each sees its own and nothing else exists for it.

    ``in_tx`` are told of each alert that opened, changed its status, condition or severity, or
    closed, in the transaction of the change; ``told`` that there were such changes, after those
    commits that this service made itself.
    """

    def __init__(self, database: Database, clock: Clock, *, kept_days: int = 730) -> None:
        self._database = database
        self._clock = clock
        self._kept_ms = kept_days * DAY_MS
        self.in_tx: list[InTx] = []
        self.withheld: Withheld = nobody
        self.told: list[Callable[[Sequence[int]], None]] = []

    # ------------------------------------------------------------------ findings

    def take_in(
        self, tx: Tx, findings: Sequence[Finding], cleared: Sequence[Cleared], now_ms: int
    ) -> None:
        """Let findings open alerts or count for those that are live, then let matters be cleared.

        To be called in a write transaction, with some hundreds at most. Findings about a device
        that is no longer their operator's are dropped: its alerts were closed when it went. So are
        those about a device whose owner does not agree. ``now_ms`` may be from before a long round;
        what changes, changes when it is written.
        """
        self._take_in(tx, findings, cleared, max(now_ms, self._clock.now_ms()))

    async def report(self, findings: Sequence[Finding], cleared: Sequence[Cleared] = ()) -> None:
        """Take in findings, then clearings, some at a time, in transactions of their own."""
        now_ms = self._clock.now_ms
        for start in range(0, len(findings), _TAKEN_AT_ONCE):
            part = findings[start : start + _TAKEN_AT_ONCE]
            self._tell(await self._database.write(self._take_in, part, (), now_ms()))
        for start in range(0, len(cleared), _TAKEN_AT_ONCE):
            over = cleared[start : start + _TAKEN_AT_ONCE]
            self._tell(await self._database.write(self._take_in, (), over, now_ms()))

    def _take_in(
        self, tx: Tx, findings: Sequence[Finding], cleared: Sequence[Cleared], now_ms: int
    ) -> list[AlertChange]:
        device_nos = {one.device_no for one in findings if one.device_no is not None}
        matters = {(one.operator_id, one.key) for one in findings}
        matters.update((one.operator_id, one.key) for one in cleared)
        if not matters:
            return []
        # Devices before matters, as for a device that goes: so nobody waits in a circle.
        tx.lock(*map(_lock_of, sorted(device_nos)))
        tx.lock(*(f"alert:{operator_id}:{key}" for operator_id, key in sorted(matters)))
        owners = store.list_owners(tx, sorted(device_nos))
        for device_no in self.withheld(tx, device_nos):
            owners.pop(device_no, None)
        before = {matter: store.find_live(tx, *matter) for matter in matters}
        after = dict(before)
        for finding in findings:
            matter = (finding.operator_id, finding.key)
            number = finding.device_no
            if number is None or owners.get(number) == finding.operator_id:
                held = after[matter]
                after[matter] = (
                    rules.opened(finding, new_id("alr"), now_ms)
                    if held is None
                    else rules.found_again(held, finding, now_ms)
                )
        for one in cleared:
            held = after[one.operator_id, one.key]
            if held is not None:
                after[one.operator_id, one.key] = rules.cleared(held, one, now_ms)
        return self._save(tx, before, after, now_ms)

    def _save(
        self,
        tx: Tx,
        before: dict[tuple[str, str], Alert | None],
        after: dict[tuple[str, str], Alert | None],
        now_ms: int,
    ) -> list[AlertChange]:
        changes = []
        for matter in sorted(after):
            was, now = before[matter], after[matter]
            if now is None or now == was:
                continue
            if was is None:
                alert = replace(now, alert_no=store.append_alert(tx, now))
                [alert] = store.list_by_no(tx, [alert.alert_no])
                changes.append(AlertChange(None, alert, PLATFORM))
                continue
            store.update_alert(tx, now)
            if now.version != was.version:
                changes.append(AlertChange(was, now, PLATFORM))
        self._note(tx, changes, now_ms)
        return changes

    def _note(self, tx: Tx, changes: Sequence[AlertChange], now_ms: int) -> None:
        """Write the history of changes, and tell whoever follows them."""
        for change in changes:
            notes = list(rules.notes_of(change, now_ms))
            store.append_notes(tx, change.after.alert_no, notes)
        if changes:
            for tell in self.in_tx:
                tell(tx, changes)

    def _tell(self, changes: Iterable[AlertChange]) -> None:
        numbers = [change.after.alert_no for change in changes]
        if numbers:
            for tell in self.told:
                tell(numbers)

    # ------------------------------------------------------------------ reading, in a transaction

    def find(self, tx: Tx, operator_id: str, alert_id: str) -> Alert | None:
        """Return an operator's alert, or None."""
        return store.find_alert(tx, operator_id, alert_id)

    def list_live(self, tx: Tx, operator_id: str, device_no: int | None) -> list[Alert]:
        """Return an operator's live alerts, of one device or all, oldest first."""
        return store.list_live(tx, operator_id, device_no)

    def link_run(self, tx: Tx, alert_id: str, run_id: str, runbook: str) -> None:
        """Let an alert show a run of a runbook, named by its slug; repeatable.

        Raises:
            NotFound: there is no such alert.
        """
        alert_no = store.find_no(tx, alert_id)
        if alert_no is None:
            raise NotFound
        store.append_run(tx, alert_no, AlertRun(run_id, runbook, self._clock.now_ms()))

    # ------------------------------------------------------------------ operators

    async def list_alerts(
        self, wanted: AlertFilter, offset: int, size: int
    ) -> tuple[int, list[Alert]]:
        """Return how many alerts match and a page of them, newest first."""
        return await self._database.read(store.list_alerts, wanted, offset, size)

    async def read_all(self, wanted: AlertFilter) -> AsyncGenerator[Sequence[Alert], None]:
        """Yield all alerts that match, newest first, some at a time."""
        before_no = _NEWEST
        while page := await self._database.read(
            store.list_before, wanted, before_no, PAGE_ROWS // 10
        ):
            yield page
            before_no = page[-1].alert_no

    async def get_alert(self, operator_id: str, alert_id: str) -> AlertView:
        """Return an alert with its history and runs.

        Raises:
            NotFound: it is absent or another operator's.
        """
        return await self._database.read(_load_view, operator_id, alert_id)

    async def change_alert(
        self,
        operator_id: str,
        alert_id: str,
        status: AlertStatus | None,
        note: str | None,
        by: Actor,
    ) -> AlertView:
        """Give an alert a status, say something about it, or both; the same status says nothing.

        Raises:
            NotFound: it is absent or another operator's.
            WrongTransition: it cannot get that status from its own.
        """
        change, view = await self._database.write(
            self._change, operator_id, alert_id, status, note, by
        )
        if change is not None:
            self._tell((change,))
        return view

    def _change(
        self,
        tx: Tx,
        operator_id: str,
        alert_id: str,
        status: AlertStatus | None,
        note: str | None,
        by: Actor,
    ) -> tuple[AlertChange | None, AlertView]:
        before = self._locked(tx, operator_id, alert_id)
        now_ms = self._clock.now_ms()
        after = before
        if status is not None and status is not before.status:
            if not rules.may_become(before, status):
                raise WrongTransition(before.status, status)
            after = rules.with_status(before, status, now_ms)
            store.update_alert(tx, after)
        change = AlertChange(before, after, by.name, note)
        if after is before:
            store.append_notes(tx, after.alert_no, list(rules.notes_of(change, now_ms)))
        else:
            self._note(tx, (change,), now_ms)
        if after is not before or note is not None:
            _record(tx, change, by, now_ms)
        view = _load_view(tx, operator_id, alert_id)
        return (None if after is before else change), view

    @staticmethod
    def _locked(tx: Tx, operator_id: str, alert_id: str) -> Alert:
        found = store.find_alert(tx, operator_id, alert_id)
        if found is None:
            raise NotFound
        tx.lock(f"alert:{operator_id}:{found.key}")
        held = store.find_alert(tx, operator_id, alert_id)
        if held is None:
            raise NotFound
        return held

    # ------------------------------------------------------------------ devices that go

    def leave_behind(self, tx: Tx, moved: DeviceMoved) -> None:
        """Close the alerts of a device that goes to another operator, in that transaction."""
        tx.lock(_lock_of(moved.device_no))
        held = store.list_of_device(tx, moved.device_no)
        gone = [alert for alert in held if alert.operator_id != moved.operator_id]
        self._dismiss(tx, gone, "The device went to another operator", moved.now_ms)

    def note_moved(self, moved: DeviceMoved) -> None:
        """Let those who follow alerts look again, after the move is durable."""
        del moved
        for tell in self.told:
            tell(())

    def erase_some(self, tx: Tx, device_no: int, limit: int) -> int:
        """Remove up to ``limit`` alerts of a device that is erased; return how many."""
        return store.remove_of(tx, device_no, limit)

    async def tidy(self) -> None:
        """Close live alerts of devices that are gone, and forget some that ended long ago."""
        self._tell(await self._database.write(self._close_orphans, self._clock.now_ms()))
        before_ms = self._clock.now_ms() - self._kept_ms
        await self._database.write(store.remove_ended, before_ms, _TIDIED_AT_ONCE)

    def _close_orphans(self, tx: Tx, now_ms: int) -> list[AlertChange]:
        found = store.list_orphans(tx, _TIDIED_AT_ONCE)
        return self._dismiss(tx, found, "The device is gone", now_ms)

    def _dismiss(self, tx: Tx, alerts: Sequence[Alert], why: str, now_ms: int) -> list[AlertChange]:
        """Close live alerts that nobody can do anything about any more."""
        tx.lock(*sorted(f"alert:{alert.operator_id}:{alert.key}" for alert in alerts))
        changes = []
        for found in alerts:
            alert = store.find_live(tx, found.operator_id, found.key)
            if alert is not None:
                after = rules.with_status(alert, AlertStatus.DISMISSED, now_ms)
                store.update_alert(tx, after)
                changes.append(AlertChange(alert, after, PLATFORM, why))
        self._note(tx, changes, now_ms)
        return changes


def _lock_of(device_no: int) -> str:
    return f"alerts:{device_no}"


def _load_view(tx: Tx, operator_id: str, alert_id: str) -> AlertView:
    alert = store.find_alert(tx, operator_id, alert_id)
    if alert is None:
        raise NotFound
    return AlertView(
        alert, store.list_notes(tx, alert.alert_no), store.list_runs(tx, alert.alert_no)
    )


def _record(tx: Tx, change: AlertChange, by: Actor, now_ms: int) -> None:
    """Tell the audit log what somebody did; what they said stands in the alert's history."""
    before, after = change.before, change.after
    record(
        tx, by.name, "alert.updated", "alert", after.alert_id, after.operator_id, by.request_id,
        now_ms, code=after.code, status=after.status.value,
        status_before=None if before is None else before.status.value,
        noted=change.note is not None,
    )  # fmt: skip
