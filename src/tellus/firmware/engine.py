"""What moves rollouts: a turn every second, from what the store and the fleet say to what follows.

Nothing of a rollout is in memory between two turns. A step is saved only if the rollout is still as
it was read; a device is marked as sent in the transaction that stores its command.
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import msgspec
import structlog

from tellus.audit.model import PLATFORM
from tellus.commands import upgrades
from tellus.commands.model import DEVICE_LEVEL, FIRMWARE_UPGRADE, Command, Terms
from tellus.commands.service import CommandService
from tellus.consent.model import Service
from tellus.firmware import (
    rules_cohort,
    rules_members,
    rules_rollouts,
    store,
    store_rollouts,
    store_upgrades,
)
from tellus.firmware.model import Patience, Release
from tellus.firmware.model_rollouts import (
    Member,
    MemberState,
    Reason,
    Rollout,
    Sight,
    Step,
)
from tellus.firmware.rollouts import note
from tellus.firmware.service import note_upgrade, params_of
from tellus.fleet.queries import DeviceView, FleetQueries
from tellus.kernel.clock import Clock
from tellus.kernel.errors import ApiError, Conflict, NotFound
from tellus.kernel.units import DAY_MS
from tellus.storage.database import Database, Row, Tx

_SENT_AT_ONCE: Final = 50
_SLICE: Final = 50
_FAULTS_BEFORE_MS: Final = 7 * DAY_MS
_IN_SESSION: Final = frozenset({"charging", "discharging"})

log = structlog.get_logger(__name__)


class _Moved(Conflict):
    """The rollout changed between deciding and sending; the next turn decides anew."""

    def __init__(self) -> None:
        super().__init__("The rollout has moved on")


class _Held(NamedTuple):
    """What the store holds of a rollout; commands by id, faults as (device number, fault)."""

    rollout: Rollout
    members: list[Member]
    commands: dict[str, tuple[Any, str | None, int, int]]
    faults: list[Row]
    releases: list[Release]


class RolloutEngine:
    """Moves the rollouts of all operators on; ``turn`` is to be called every second."""

    def __init__(
        self,
        database: Database,
        queries: FleetQueries,
        commands: CommandService,
        clock: Clock,
        patience: Patience,
    ) -> None:
        self._database = database
        self._queries = queries
        self._commands = commands
        self._clock = clock
        self._patience = patience

    async def turn(self) -> None:
        """Let every rollout that is not over take a step.

        Raises:
            TooManyRequests, Unavailable: the store cannot serve now; the next turn makes up.
        """
        for rollout_id in await self._database.read(store_rollouts.list_open):
            await self._take_step(rollout_id)

    async def _take_step(self, rollout_id: str) -> None:
        held = await self._database.read(_load, rollout_id)
        if held is None:
            return
        now_ms = self._clock.now_ms()
        seen = await self._look(held, now_ms)
        # Beside the loop: a large cohort takes longer than others should wait.
        step = await asyncio.to_thread(
            rules_rollouts.next_step, held.rollout, held.members, seen, now_ms, self._patience
        )
        if (step.changed or step.rollout != held.rollout) and not await self._database.write(
            _save, held.rollout, step
        ):
            return
        await self._withdraw(step, now_ms)
        for start in range(0, len(step.send), _SENT_AT_ONCE):
            part = step.send[start : start + _SENT_AT_ONCE]
            await asyncio.gather(*(self._send(held, step, one, now_ms) for one in part))

    # ------------------------------------------------------------------ what is seen

    async def _look(self, held: _Held, now_ms: int) -> dict[int, Sight]:
        """Return what is known of the devices of which anything can still follow."""
        faults: dict[int, set[str]] = {}
        for device_no, fault in held.faults:
            faults.setdefault(device_no, set()).add(fault)
        ways = _Ways(held.rollout, held.releases)
        seen: dict[int, Sight] = {}
        moving = [one for one in held.members if rules_members.can_move(held.rollout, one)]
        for number, member in enumerate(moving, 1):
            if number % _SLICE == 0:
                await asyncio.sleep(0)
            try:
                view = self._queries.get_device(member.device_id, held.rollout.operator_id, now_ms)
            except NotFound:
                view = None
            fresh = frozenset(faults.get(member.device_no, ()))
            command = held.commands.get(member.current_command_id or "")
            seen[member.device_no] = _sight_of(member, view, command, fresh, ways, now_ms)
        return seen

    # ------------------------------------------------------------------ what is done

    async def _send(self, held: _Held, step: Step, member: Member, now_ms: int) -> None:
        rollout = step.rollout
        release = _Ways(rollout, held.releases).release_for(member)
        try:
            view = self._queries.get_device(member.device_id, rollout.operator_id, now_ms)
            if release is None:
                return
            along = partial(_mark_sent, rollout, member, view, release)
            await self._commands.issue_command(
                FIRMWARE_UPGRADE,
                member.device_id,
                DEVICE_LEVEL,
                params_of(release),
                (rollout.client_id, rollout.operator_id),
                now_ms,
                Terms(by=PLATFORM, along=along),
            )
        except ApiError as error:
            log.info("rollout.not_sent", device_id=member.device_id, error=error.message)

    async def _withdraw(self, step: Step, now_ms: int) -> None:
        for member in step.withdraw:
            command_id = member.current_command_id or ""
            along = partial(_mark_recalled, step.rollout, member, now_ms)
            operation = upgrades.withdraw(member.device_no, command_id, now_ms, along)
            try:
                await self._commands.settle_upgrade(operation)
            except _Moved:
                return


class _Ways:
    """Where a rollout takes its devices, and where they would go back to."""

    def __init__(self, rollout: Rollout, releases: Sequence[Release]) -> None:
        self._rollout = rollout
        self._releases = releases
        self._known: dict[tuple[str, str], Release | None] = {}

    def forward(self, member: Member) -> Release | None:
        """Return the release that the rollout is about, for the device's model."""
        return self._find(member.model, self._rollout.firmware_version)

    def back(self, member: Member) -> Release | None:
        """Return the release that the device would go back to."""
        version = self._rollout.rollback_version or member.previous_version
        return None if version is None else self._find(member.model, version)

    def release_for(self, member: Member) -> Release | None:
        """Return the release that the device is to be sent now."""
        back = member.state is MemberState.ROLLBACK_WAITING
        return self.back(member) if back else self.forward(member)

    def _find(self, model: str, version: str) -> Release | None:
        key = (model, version)
        if key not in self._known:
            self._known[key] = rules_cohort.find_release(self._releases, *key)
        return self._known[key]


def _sight_of(
    member: Member,
    view: DeviceView | None,
    command: tuple[Any, str | None, int, int] | None,
    fresh: frozenset[str],
    ways: _Ways,
    now_ms: int,
) -> Sight:
    forward, back = ways.forward(member), ways.back(member)
    phase, result, moved_ms, deliveries = command or (None, None, 0, 0)
    said: Mapping[str, Any] = {} if result is None else msgspec.json.decode(result)
    words = said.get("message")
    sight = Sight(
        owned=view is not None,
        online=False,
        phase=phase,
        why=said.get("reason"),
        message=None if words is None else str(words),
        moved_ms=moved_ms,
        undelivered=command is not None and deliveries == 0,
        refusal=_refusal_of(forward),
        rollback_refusal=_refusal_of(back),
    )
    if view is None:
        return sight
    version = view.device.firmware_version
    states = {connector.state for connector in view.device.connectors.values()}
    since_ms = view.since_ms or view.device.seen_ms
    return sight._replace(
        online=view.online,
        agreed=view.device.allows(Service.FIRMWARE, now_ms),
        idle=not states & _IN_SESSION,
        offline_ms=0 if view.online else now_ms - since_ms,
        runs_new=forward is not None and version in forward.names,
        runs_old=back is not None and version in back.names,
        faults=fresh | ({_fault_of(view)} - {""}),
    )


def _fault_of(view: DeviceView) -> str:
    """Return the fault that the device's heartbeats report, empty for none."""
    return (view.fault_key or "fault") if view.faulty else ""


def _refusal_of(release: Release | None) -> Reason | None:
    if release is None:
        return Reason.NO_RELEASE
    return Reason.RELEASE_WITHDRAWN if release.is_withdrawn else None


# ---------------------------------------------------------------------- in transactions


def _load(tx: Tx, rollout_id: str) -> _Held | None:
    rollout = store_rollouts.find_rollout(tx, rollout_id)
    if rollout is None:
        return None
    return _Held(
        rollout,
        store_rollouts.list_members(tx, rollout_id),
        store_upgrades.list_of_rollout(tx, rollout_id),
        store_rollouts.list_fresh_faults(tx, rollout_id, rollout.wave, _FAULTS_BEFORE_MS),
        store.list_releases(tx),
    )


def _save(tx: Tx, before: Rollout, step: Step) -> bool:
    """Save a step unless the rollout changed meanwhile; tell whether it was saved."""
    tx.lock(f"firmware_rollouts:{before.operator_id}")
    after = step.rollout
    if not store_rollouts.update_rollout(tx, after):
        return False
    store_rollouts.update_members(tx, after.rollout_id, step.changed)
    if after.wave != before.wave:
        note(tx, PLATFORM, "wave_passed", after, wave=after.wave)
    if after.state is not before.state:
        halt = {} if after.halt is None else msgspec.to_builtins(after.halt)
        note(tx, PLATFORM, after.state.value, after, before=before.state.value, **halt)
    return True


def _find_unmoved(tx: Tx, rollout: Rollout, member: Member) -> Member:
    """Return a device as stored, if it and its rollout stand where they did when it was decided."""
    tx.lock(f"firmware_rollouts:{rollout.operator_id}")
    current = store_rollouts.find_rollout(tx, rollout.rollout_id)
    stored = store_rollouts.find_member(tx, rollout.rollout_id, member.device_no)
    if current is None or current.state is not rollout.state:
        raise _Moved
    if stored is None or stored.state is not member.state:
        raise _Moved
    return stored


def _mark_sent(
    rollout: Rollout, member: Member, view: DeviceView, release: Release, tx: Tx, command: Command
) -> None:
    stored = _find_unmoved(tx, rollout, member)
    if store_upgrades.find_accepted(tx, member.device_no) is not None:
        raise _Moved
    if store_rollouts.find_taker(tx, member.device_no, rollout.rollout_id) is not None:
        raise _Moved
    running = view.device.firmware_version
    note_upgrade(tx, command, running, release, rollout.rollout_id)
    fault = _fault_of(view) or None
    after = rules_members.sent(stored, command.command_id, running, fault, command.created_ms)
    store_rollouts.update_members(tx, rollout.rollout_id, [after])
    store_rollouts.touch_rollout(tx, rollout.rollout_id, command.created_ms)


def _mark_recalled(rollout: Rollout, member: Member, now_ms: int, tx: Tx, command: Command) -> None:
    stored = _find_unmoved(tx, rollout, member)
    if stored.current_command_id != command.command_id:
        raise _Moved
    after = rules_members.recalled(rollout, stored, now_ms)
    store_rollouts.update_members(tx, rollout.rollout_id, [after])
    store_rollouts.touch_rollout(tx, rollout.rollout_id, now_ms)
