"""Use cases of controls: issue, cancel, show."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from msgspec.structs import replace

from tellus.audit.model import Actor
from tellus.audit.service import record
from tellus.commands import repeats
from tellus.commands.model import RequestKey
from tellus.commands.service import CommandService
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Directory
from tellus.fleet.presence import PresenceWatch
from tellus.flexibility import rules, store, store_targets
from tellus.flexibility.census import Census
from tellus.flexibility.live import Live
from tellus.flexibility.model import (
    ChargerOutcome,
    Control,
    ControlFilter,
    Phase,
    Target,
    Verdict,
    Wanted,
)
from tellus.flexibility.targeting import Targeting
from tellus.flexibility.upkeep import Upkeep
from tellus.kernel.clock import Clock
from tellus.kernel.errors import ApiError, Conflict, InvalidParameter, NotFound
from tellus.kernel.ids import new_id
from tellus.kernel.units import MINUTE_MS, SECOND_MS
from tellus.storage.database import Database, Tx

T = TypeVar("T")
Show = Callable[[Sequence[ChargerOutcome]], bytes]

TARGETS_AT_ONCE: Final = 500
_DELETED_AT_ONCE: Final = 250
_TURN_S: Final = 0.5
_PREPARED_FOR_MS: Final = MINUTE_MS
"""Another node may be at work on what it has not answered for yet, but no longer than this."""


class ControlBounds(NamedTuple):
    """How many chargers one control may reach, how long it may last and be spread (s)."""

    max_chargers: int = 10_000
    max_duration_s: int = 604_800
    max_stagger_s: int = 3_600


class ControlEnded(Conflict):
    """4001: the control is over, so that it cannot be cancelled."""

    def __init__(self) -> None:
        super().__init__("The control has ended", status="ended")


class ControlView(NamedTuple):
    """A control, what became of it, and what became of it at each charger.

    ``targets`` is what the caller made of the outcomes, some at a time, in order of devices.
    """

    control: Control
    verdict: Verdict
    targets: list[bytes]


class FlexibilityService:
    """Controls of all operators; each sees its own and nothing else exists for it.

    ``start`` reads back what is under way; ``keep`` is to be called again and again.
    """

    def __init__(
        self,
        database: Database,
        directory: Directory,
        presence: PresenceWatch,
        catalogue: Catalogue,
        commands: CommandService,
        clock: Clock,
        bounds: ControlBounds,
    ) -> None:
        self._database = database
        self._clock = clock
        self._bounds = bounds
        self._targeting = Targeting(database, directory, catalogue, bounds.max_chargers)
        census = Census(database, directory, self._targeting)
        self._upkeep = Upkeep(database, directory, presence, commands, census, clock)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_on_duty: Callable[[], bool] = lambda: True
        self._prepared_for_ms = 0
        self._stale = False

    # ------------------------------------------------------------------ operators

    async def issue_control(
        self, wanted: Wanted, by: Actor, operator_id: str, now_ms: int, key_text: str = ""
    ) -> str:
        """Store a control with all its targets, to be told to the chargers; return its id.

        ``by`` is the client. ``key_text`` makes a repeat within 24 hours return the first control.

        Raises:
            InvalidParameter: duration or stagger is longer than the configuration allows.
            TooManyChargers: it would reach more chargers than that.
            NotFound: a target is absent or another operator's; nothing has been done.
            KeyReused: the key stands for another request.
        """
        self._check_times(wanted)
        key = repeats.make_key(by.name, key_text, "flexibility", wanted)
        if key is not None:
            first = await self._database.write(repeats.recall, key, now_ms)
            if first is not None:
                return str(first)
        devices = await self._targeting.find_chargers(wanted, operator_id, now_ms)
        control = _new_control(wanted, by.name, operator_id, len(devices), now_ms)
        targets = await self._targeting.plan(control, devices)
        return await self._whole(self._store(control, targets, by, key))

    def _check_times(self, wanted: Wanted) -> None:
        for field, value_s, most_s, name in (
            ("duration", wanted.duration_s, self._bounds.max_duration_s, "max_duration_s"),
            ("stagger_seconds", wanted.stagger_s, self._bounds.max_stagger_s, "max_stagger_s"),
            ("stagger_seconds", wanted.stagger_s, wanted.duration_s, ""),
        ):
            if value_s > most_s:
                limit = f"{most_s} (flexibility.{name})" if name else "the duration"
                message = f"Parameter 'params.{field}' must not exceed {limit}"
                raise InvalidParameter(message, f"params.{field}", value_s)

    async def _store(
        self, control: Control, targets: Sequence[Target], by: Actor, key: RequestKey | None
    ) -> str:
        """Store a control; it takes effect with the last transaction, whole or not at all."""
        parts = [
            targets[start : start + TARGETS_AT_ONCE]
            for start in range(0, len(targets), TARGETS_AT_ONCE)
        ]
        control_no, live = 0, Live(control)
        try:
            if len(parts) > 1:
                control_no = await self._database.write(store.append_control, control)
            for part in parts[:-1]:
                await self._database.write(store_targets.append_targets, control_no, part)
                live.count(part)
            stored = replace(control, control_no=control_no)
            last = parts[-1] if parts else ()
            control_no, control_id = await self._database.write(_activate, stored, last, by, key)
        except ApiError:
            if control_no:
                await self._drop(control_no)
            raise
        if control_id == control.control_id:
            live.control = replace(control, control_no=control_no, phase=Phase.ACTIVE)
            live.count(last)
            self._upkeep.take_over(live)
        elif control_no:
            await self._drop(control_no)
        return control_id

    async def cancel_control(
        self, control_id: str, operator_id: str, by: Actor, now_ms: int
    ) -> Control:
        """Take a control back: its chargers are told at once what else they have to hold.

        Where it is spread over time the release is as well. Cancelling it again changes nothing.

        Raises:
            NotFound: it is absent or another operator's.
            ControlEnded: it was over in its time.
        """
        return await self._whole(self._cancel(control_id, operator_id, by, now_ms))

    async def _cancel(self, control_id: str, operator_id: str, by: Actor, now_ms: int) -> Control:
        before, control = await self._database.write(_cancel, control_id, operator_id, by, now_ms)
        if before.cancelled_ms is None:
            self._upkeep.note_cancelled(control.control_no, now_ms)
        return control

    async def read_control(
        self,
        control_id: str,
        operator_id: str,
        now_ms: int,
        show: Show,
    ) -> ControlView:
        """Return a control as it stands now; ``show`` makes the targets of the view.

        ``show`` runs on a reader's thread, for some chargers at a time: there may be thousands.

        Raises:
            NotFound: it is absent or another operator's.
        """
        view = await self._database.read(_load_view, control_id, operator_id, now_ms, show)
        if view is None:
            raise NotFound
        return view

    async def list_controls(
        self, wanted: ControlFilter, page: tuple[int, int], now_ms: int
    ) -> tuple[int, list[Control]]:
        """Return how many controls match, and a page (offset, size) of them, newest first."""
        return await self._database.read(_load_page, wanted, page, now_ms)

    # ------------------------------------------------------------------ lifetime

    def share(self, is_on_duty: Callable[[], bool]) -> None:
        """Look after controls only while on duty: other nodes issue and look after them too."""
        self._is_on_duty = is_on_duty
        self._prepared_for_ms = _PREPARED_FOR_MS

    async def start(self) -> None:
        """Forget what was never answered for, and read back what is under way."""
        await self._read_back()

    async def keep(self) -> None:
        """Wait for half a second, or until there is something to do, and do it."""
        if not self._is_on_duty():
            self._stale = True
            await asyncio.sleep(_TURN_S)
            return
        if self._stale:
            await self._read_back()
        await self._upkeep.wait(_TURN_S)
        await self._upkeep.sweep()

    async def look_again(self, control_nos: Sequence[str] = ()) -> None:
        """Read back what is under way soon: another node has changed it."""
        del control_nos
        self._stale = True
        self._upkeep.wake()

    async def _read_back(self) -> None:
        self._stale = False
        before_ms = self._clock.now_ms() - self._prepared_for_ms
        for control_no in await self._database.read(store.list_prepared, before_ms):
            await self._drop(control_no)
        await self._upkeep.start()

    async def sweep(self) -> None:
        """Do all that is due now."""
        await self._upkeep.sweep()

    @property
    def active(self) -> int:
        """Return how many controls are under way."""
        return self._upkeep.active

    async def _drop(self, control_no: int) -> None:
        while await self._database.write(
            store_targets.delete_targets, control_no, _DELETED_AT_ONCE
        ):
            pass
        await self._database.write(store.delete_control, control_no)

    async def _whole(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` to its end, even when the caller goes away."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # the caller has it; where it went away, nobody is left to tell


def _new_control(
    wanted: Wanted, client_id: str, operator_id: str, chargers: int, now_ms: int
) -> Control:
    duration_ms, stagger_ms = wanted.duration_s * SECOND_MS, wanted.stagger_s * SECOND_MS
    last_ms = rules.stagger(chargers - 1, chargers, stagger_ms) if chargers else 0
    return Control(
        control_no=0,
        control_id=new_id("ctl"),
        operator_id=operator_id,
        client_id=client_id,
        target_type=wanted.target_type,
        target_ids=wanted.target_ids,
        command=wanted.command,
        limit_pct=wanted.limit_pct,
        reason=wanted.reason,
        duration_ms=duration_ms,
        stagger_ms=stagger_ms,
        chargers=chargers,
        phase=Phase.PREPARING,
        created_ms=now_ms,
        until_ms=now_ms + duration_ms + last_ms,
    )


def _activate(
    tx: Tx, control: Control, last: Sequence[Target], by: Actor, key: RequestKey | None
) -> tuple[int, str]:
    """Let a control take effect; return its number and id, or the id of the first of a repeat."""
    if key is not None:
        first = repeats.recall(tx, key, control.created_ms)
        if first is not None:
            return control.control_no, str(first)
        repeats.remember(tx, key, control.control_id, control.created_ms)
    control_no = control.control_no or store.append_control(tx, control)
    store_targets.append_targets(tx, control_no, last)
    store.set_active(tx, control_no)
    record(
        tx,
        by.name,
        "control.issued",
        "control",
        control.control_id,
        control.operator_id,
        by.request_id,
        control.created_ms,
        command=control.command,
        target_type=control.target_type,
        limit_pct=control.limit_pct,
        duration_s=control.duration_ms // SECOND_MS,
        chargers=control.chargers,
    )
    return control_no, control.control_id


def _cancel(
    tx: Tx, control_id: str, operator_id: str, by: Actor, now_ms: int
) -> tuple[Control, Control]:
    tx.lock(f"control:{control_id}")
    control = store.find_control(tx, control_id, operator_id)
    if control is None:
        raise NotFound
    state = control.state_at(now_ms)
    if state == "cancelled":
        return control, control
    if state == "ended":
        raise ControlEnded
    store.set_cancelled(tx, control.control_no, now_ms)
    record(
        tx,
        by.name,
        "control.cancelled",
        "control",
        control_id,
        operator_id,
        by.request_id,
        now_ms,
        chargers=control.chargers,
    )
    return control, replace(control, phase=Phase.CANCELLED, cancelled_ms=now_ms)


def _load_view(
    tx: Tx,
    control_id: str,
    operator_id: str,
    now_ms: int,
    show: Show,
) -> ControlView | None:
    control = store.find_control(tx, control_id, operator_id)
    if control is None:
        return None
    tally, pieces, after_no = rules.Tally(), [], 0
    while held := store_targets.list_of_control(tx, control.control_no, after_no):
        outcomes = list(rules.outcomes_of(held, control.state_at(now_ms), now_ms))
        for outcome in outcomes:
            tally.add(outcome.outcome)
        for one in held:
            tally.note_change(one)
        pieces.append(show(outcomes))
        after_no = held[-1].target.device_no
    return ControlView(control, tally.verdict_on(control, now_ms), pieces)


def _load_page(
    tx: Tx, wanted: ControlFilter, page: tuple[int, int], now_ms: int
) -> tuple[int, list[Control]]:
    return (
        store.count_controls(tx, wanted, now_ms),
        store.list_controls(tx, wanted, page, now_ms),
    )
