"""The upkeep of controls: chargers are told what to hold, again if need be, until it is over.

All moments come from the store, so that a start goes on where the last run ended. A limit is told
by a command that is stored together with the note that it was sent: whatever ends the process,
either both are there or neither.
"""

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final

import structlog
from msgspec.structs import replace

from tellus.commands.model import PLATFORM, SET_POWER_LIMIT, Command, Terms
from tellus.commands.service import CommandService
from tellus.consent.model import NotConsented
from tellus.fleet.directory import Device, Directory
from tellus.fleet.presence import PresenceWatch
from tellus.flexibility import rules, store, store_targets
from tellus.flexibility.census import Census
from tellus.flexibility.live import Live
from tellus.flexibility.model import Held, Limit, Phase, Stage, Step, Target
from tellus.flexibility.store_targets import Key
from tellus.kernel.clock import Clock
from tellus.kernel.errors import Conflict, NotFound, TooManyRequests
from tellus.kernel.units import SECOND_MS, to_text
from tellus.storage.database import Database, Tx

TOLD_AT_ONCE: Final = 32
_MARKED_AT_ONCE: Final = 500
_RETRY_MS: Final = 5 * SECOND_MS
_CENSUS_EVERY_S: Final = 2.0
_CENSUS_SHARE: Final = 20

Left = tuple[Target, Stage, int | None]

log = structlog.get_logger(__name__)


class _Outdated(Conflict):
    """What a connector has to hold changed while it was being told."""

    def __init__(self) -> None:
        super().__init__("The limits of this connector have changed")


class Upkeep:
    """Keeps the controls under way; ``sweep`` is to be called again and again."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        presence: PresenceWatch,
        commands: CommandService,
        census: Census,
        clock: Clock,
    ) -> None:
        self._database = database
        self._directory = directory
        self._presence = presence
        self._commands = commands
        self._census = census
        self._clock = clock
        self._live: dict[int, Live] = {}
        self._census_due_s = 0.0
        self._woken = asyncio.Event()

    # ------------------------------------------------------------------ what is under way

    async def start(self) -> None:
        """Read back what is under way, in place of what is known."""
        found: dict[int, Live] = {}
        controls = await self._database.read(store.list_unfinished, self._clock.now_ms())
        for control in controls:
            live = Live(control)
            live.unmarked = live.is_cancelled
            number = control.control_no
            for row in await self._database.read(store_targets.list_known, number):
                device_no, connectors, is_unrated, is_away = row
                live.known[device_no] = connectors
                if is_unrated:
                    live.unrated.add(device_no)
                if is_away:
                    live.away.add(device_no)
            live.next_due_ms = await self._database.read(store_targets.find_next_due, number)
            found[number] = live
        self._live = found

    def wake(self) -> None:
        """Let the next turn begin at once."""
        self._woken.set()

    def take_over(self, live: Live) -> None:
        """Look after a control that has just been stored."""
        self._live[live.control.control_no] = live
        self._woken.set()

    def note_cancelled(self, control_no: int, cancelled_ms: int) -> None:
        """Follow the cancellation of a control that has just been stored."""
        live = self._live.get(control_no)
        if live is not None:
            live.control = replace(live.control, phase=Phase.CANCELLED, cancelled_ms=cancelled_ms)
            live.unmarked = True
            self._woken.set()

    @property
    def active(self) -> int:
        """Return how many controls are under way."""
        return sum(not live.is_cancelled for live in self._live.values())

    # ------------------------------------------------------------------ turns

    async def wait(self, longest_s: float) -> None:
        """Return when there is something to do at once, or after ``longest_s``."""
        try:
            await asyncio.wait_for(self._woken.wait(), longest_s)
        except TimeoutError:
            return

    async def sweep(self) -> None:
        """Do all that is due: follow the fleet, tell chargers, close what is over.

        Raises:
            TooManyRequests, Unavailable: the store cannot keep up; the next turn goes on.
        """
        self._woken.clear()
        await self._take_census()
        for live in tuple(self._live.values()):
            now_ms = self._clock.now_ms()
            if live.unmarked:
                await self._mark_cancelled(live, now_ms)
            await self._note_returns(live, now_ms)
        # In turns, so that a control of the whole fleet does not hold up one of a small site.
        while any([await self._tell_some(live) for live in tuple(self._live.values())]):
            pass
        for live in tuple(self._live.values()):
            await self._close(live)

    async def _take_census(self) -> None:
        began_s = self._clock.monotonic_s()
        if began_s < self._census_due_s:
            return
        for live in tuple(self._live.values()):
            await self._census.take(live, self._clock.now_ms())
        ended_s = self._clock.monotonic_s()
        # Many controls of a large fleet take their time: it stays a small part of all there is.
        self._census_due_s = ended_s + max(_CENSUS_EVERY_S, _CENSUS_SHARE * (ended_s - began_s))

    async def _mark_cancelled(self, live: Live, now_ms: int) -> None:
        numbers = sorted(live.known)
        for start in range(0, len(numbers), _MARKED_AT_ONCE):
            part = numbers[start : start + _MARKED_AT_ONCE]
            span = (part[0], part[-1])
            number = live.control.control_no
            await self._database.write(store_targets.note_cancelled, number, span, now_ms)
        live.unmarked = False
        live.away.clear()
        live.note_due(now_ms)

    async def _note_returns(self, live: Live, now_ms: int) -> None:
        devices = [self._directory.by_no(number) for number in live.away]
        back = [
            device.device_no
            for device in devices
            if device is not None and self._presence.is_online(device, now_ms)
        ]
        if back:
            number = live.control.control_no
            await self._database.write(store_targets.note_return, number, back, now_ms)
            live.away.difference_update(back)
            live.note_due(now_ms)

    async def _close(self, live: Live) -> None:
        control = live.control
        if control.until_ms > self._clock.now_ms():
            return
        if not live.is_cancelled:
            await self._database.write(store.set_ended, control.control_no)
        self._live.pop(control.control_no, None)

    # ------------------------------------------------------------------ telling

    async def _tell_some(self, live: Live) -> bool:
        """Look after some of the targets that are due; tell whether there may be more."""
        now_ms = self._clock.now_ms()
        if live.next_due_ms is None or live.next_due_ms > now_ms:
            return False
        number = live.control.control_no
        due = await self._database.read(store_targets.list_due, number, now_ms, TOLD_AT_ONCE)
        left: list[Left] = []
        telling: dict[Key, Held] = {}
        for held in due:
            step = rules.next_step(held, now_ms, online=self._is_online(held.target, now_ms))
            if step is Step.TELL:
                telling[held.target.device_no, held.target.connector_id] = held
            else:
                left.append(self._leave(live, held, step))
        left += await self._tell(telling, now_ms)
        if left:
            await self._database.write(store_targets.note_stages, left)
        live.next_due_ms = await self._database.read(store_targets.find_next_due, number)
        return len(due) == TOLD_AT_ONCE

    def _is_online(self, target: Target, now_ms: int) -> bool:
        device = self._directory.by_no(target.device_no)
        return device is not None and self._presence.is_online(device, now_ms)

    def _leave(self, live: Live, held: Held, step: Step) -> Left:
        if step is Step.AWAIT_RETURN:
            live.away.add(held.target.device_no)
            return held.target, Stage.AWAY, None
        sent = held.lifting or held.carrying
        if step is Step.WAIT and sent is not None:
            return held.target, Stage.TOLD, sent.expires_ms
        return held.target, Stage.DONE, None

    async def _tell(self, telling: dict[Key, Held], now_ms: int) -> list[Left]:
        """Tell connectors what to hold; return what is left to do where that was not possible."""
        if not telling:
            return []
        held = await self._database.read(_load_connectors, tuple(telling), now_ms)
        told = await asyncio.gather(
            *(self._tell_one(telling[key], held[key], now_ms) for key in telling)
        )
        return [left for left in told if left is not None]

    async def _tell_one(self, about: Held, held: Sequence[Held], now_ms: int) -> Left | None:
        target = about.target
        device = self._directory.by_no(target.device_no)
        if device is None:
            return target, Stage.DONE, None
        if device.operator_id != about.operator_id and target.gone is None:
            # It has just moved: the census is to say so first.
            return target, target.stage, now_ms + _RETRY_MS
        try:
            await self._issue(device, about, held, now_ms)
        except _Outdated:
            return None
        except NotConsented:
            # Nothing more may be said to it; the census will take it out.
            return target, Stage.DONE, None
        except (NotFound, TooManyRequests) as error:
            # The fleet changes under our hands, or 50 commands wait there already: not for long.
            log.info("flexibility.not_told", device=device.device_id, error=error.message)
            return target, target.stage, now_ms + _RETRY_MS
        return None

    async def _issue(self, device: Device, about: Held, held: Sequence[Held], now_ms: int) -> None:
        limits = rules.limits_in_force(held, device.operator_id, now_ms)
        is_own = about.operator_id == device.operator_id
        until_ms = max(one.target.until_ms for one in held)
        await self._commands.issue_command(
            SET_POWER_LIMIT,
            device.device_id,
            about.target.connector_id,
            {"limits": [_to_wire(limit) for limit in limits]},
            (about.client_id if is_own else PLATFORM, device.operator_id),
            now_ms,
            Terms(
                along=partial(_note_told, limits, device.operator_id, now_ms),
                life_ms=until_ms - now_ms,
            ),
        )


def _to_wire(limit: Limit) -> dict[str, Any]:
    return {
        "control_id": limit.control_id,
        "power_limit_kw": limit.limit_kw,
        "until": to_text(limit.until_ms),
    }


def _load_connectors(tx: Tx, keys: Iterable[Key], now_ms: int) -> dict[Key, list[Held]]:
    return {key: store_targets.list_of_connector(tx, key, now_ms) for key in keys}


def _note_told(
    limits: Sequence[Limit], operator_id: str, now_ms: int, tx: Tx, command: Command
) -> None:
    """Write that ``command`` carries ``limits``, in the transaction that stores it.

    Raises:
        _Outdated: by now they are not what the connector has to hold.
    """
    held = store_targets.list_of_connector(tx, (command.device_no, command.connector_id), now_ms)
    if rules.limits_in_force(held, operator_id, now_ms) != limits:
        raise _Outdated
    for target in rules.follow(held, limits, command.command_id, command.expires_ms):
        store_targets.note_sent(tx, target)
