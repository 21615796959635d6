"""Use cases of devices: assign a profile, apply it again, compare it with what they say."""

import contextlib
from collections.abc import Awaitable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from tellus.audit.model import Actor
from tellus.audit.service import record
from tellus.commands.desk import NotQueued
from tellus.commands.model import (
    APPLY_CONFIG_PROFILE,
    DEVICE_LEVEL,
    Command,
    HeartbeatMore,
    Issued,
    RequestKey,
    Running,
    Terms,
)
from tellus.commands.repeats import make_key
from tellus.commands.service import CommandService
from tellus.configuration import rules, store, store_devices
from tellus.configuration.model import (
    Assignment,
    Judgement,
    Profile,
    RunningConfig,
    Standing,
    SyncState,
    Version,
)
from tellus.configuration.reporting import ReportKind, RunningSaid, Told
from tellus.fleet.administration import DeviceMoved
from tellus.fleet.directory import Device, Directory
from tellus.kernel.clock import Clock
from tellus.kernel.errors import Conflict, NotFound
from tellus.storage.database import Database, Tx

_LOOKED_AT_AT_ONCE: Final = 500


class WrongModel(Conflict):
    """4001: the profile is for other models."""

    def __init__(self, model: str) -> None:
        message = "The profile is not for this model"
        super().__init__(message, reason="model_mismatch", model=model)


class NothingAssigned(Conflict):
    """4001: the device has no profile that could be applied again."""

    def __init__(self) -> None:
        super().__init__("The device has no configuration profile", reason="nothing_assigned")


class Applicable(NamedTuple):
    """A profile in the version that is to go out."""

    profile: Profile
    version: Version


class StandingView(NamedTuple):
    """A device, what it was assigned and says, and what follows from that."""

    device: Device
    standing: Standing
    judgement: Judgement


class ConfigurationService:
    """What devices ought to run: ``start`` comes first.

    ``turn`` is to be called every few seconds on the node on duty.
    """

    def __init__(
        self,
        database: Database,
        directory: Directory,
        commands: CommandService,
        clock: Clock,
    ) -> None:
        self._database = database
        self._directory = directory
        self._commands = commands
        self._clock = clock
        self._reports = ReportKind()
        self.in_tx: list[Told] = self._reports.in_tx
        """Called in the transaction with the devices whose assignment or word has changed."""

    async def start(self) -> None:
        """Read back what chargers last said, so that a fleet that comes back writes nothing."""
        stored = await self._database.read(store_devices.list_reports)
        self._reports.heard |= {no: Running(*said) for no, said in stored.items()}

    # ------------------------------------------------------------------ what chargers say

    def hear(self, device_no: int, more: HeartbeatMore, now_ms: int) -> Awaitable[Any] | None:
        """Take what a heartbeat says of the configuration; None where it says nothing new."""
        running = more.running
        if running is None or self._reports.heard.get(device_no) == running:
            return None
        return self._database.submit(self._reports, RunningSaid(device_no, running, now_ms))

    async def forget_heard(self, device_nos: Sequence[int]) -> None:
        """Compare these devices' next words with the store: another node has written of them."""
        for device_no in device_nos:
            self._reports.heard.pop(device_no, None)

    async def forget_all_heard(self) -> None:
        """Compare every device's next word with the store."""
        self._reports.heard.clear()

    def read_running(self, tx: Tx, device_nos: Sequence[int] | None) -> list[RunningConfig]:
        """Return what devices ought to run and say they do, of a few or (None) of all, by number.

        Devices that were assigned nothing are not among them.
        """
        return [_to_running(one) for one in store_devices.list_standings(tx, device_nos)]

    # ------------------------------------------------------------------ operators

    async def get_standing(self, device_id: str, operator_id: str, now_ms: int) -> StandingView:
        """Return how a device stands to what it was assigned.

        Raises:
            NotFound: the device is absent or another operator's.
        """
        device = self._owned(device_id, operator_id)
        standing = await self._database.read(store_devices.find_standing, device.device_no)
        return StandingView(device, standing, rules.judge(standing, now_ms))

    async def list_standings(
        self,
        profile_id: str,
        operator_id: str,
        state: SyncState | None,
        page: tuple[int, int],
        now_ms: int,
    ) -> tuple[int, list[StandingView]]:
        """Return how many devices a profile is assigned to, in a state, and a page of them.

        Raises:
            NotFound: the profile is absent or another operator's.
        """
        total, judged = await self._database.read(
            _judge_page, (profile_id, operator_id), state, page, now_ms
        )
        views = []
        for standing, judgement in judged:
            device = self._directory.by_no(standing.device_no)
            if device is not None:
                views.append(StandingView(device, standing, judgement))
        return total, views

    async def assign(
        self,
        device_id: str,
        profile_id: str,
        version: int | None,
        issuer: tuple[str, str],
        now_ms: int,
        key: RequestKey | None,
        by: Actor,
    ) -> Issued:
        """Assign a profile, by default its newest version, and send it to the device.

        ``issuer`` is the client and its operator, ``by`` who is named in the audit log.

        Raises:
            NotFound: the device, profile or version is absent or another operator's.
            WrongModel: the profile is for other models.
            TooManyRequests: too many commands of the device are pending.
        """
        device = self._owned(device_id, issuer[1])
        wanted = await self._database.read(_load_applicable, profile_id, issuer[1], version)
        return await self._send(device, wanted, issuer, now_ms, Terms(key, by))

    async def apply_again(
        self,
        device_id: str,
        issuer: tuple[str, str],
        now_ms: int,
        key: RequestKey | None,
        by: Actor,
    ) -> Issued:
        """Send a device once more what it was assigned.

        Raises:
            NotFound: the device is absent or another operator's.
            NothingAssigned: it was assigned nothing.
            TooManyRequests: too many commands of the device are pending.
        """
        device = self._owned(device_id, issuer[1])
        standing = await self._database.read(store_devices.find_standing, device.device_no)
        assignment = standing.assignment
        if assignment is None:
            raise NothingAssigned
        wanted = await self._database.read(
            _load_applicable, assignment.profile_id, issuer[1], assignment.version
        )
        return await self._send(device, wanted, issuer, now_ms, Terms(key, by))

    async def unassign(self, device_id: str, operator_id: str, now_ms: int, by: Actor) -> None:
        """Take a device's assignment away, if it has one; what is still queued does not go out.

        The charger goes on running what it runs.

        Raises:
            NotFound: the device is absent or another operator's.
        """
        device = self._owned(device_id, operator_id)
        find = store_devices.find_standing
        while assignment := (await self._database.read(find, device.device_no)).assignment:
            with contextlib.suppress(NotFound, NotQueued):
                await self._commands.cancel_command(assignment.command_id, operator_id, now_ms)
            if await self._database.write(self._unassign, device, assignment, now_ms, by):
                return
            # Assigned anew meanwhile: then it is that which is taken away.

    # ------------------------------------------------------------------ by itself

    async def turn(self) -> None:
        """Look at what is on its way: whoever follows is told once it has arrived or failed."""
        now_ms = self._clock.now_ms()
        if await self._database.read(store_devices.list_due, now_ms, 1):
            await self._database.write(self._look, now_ms)

    def clear(self, tx: Tx, moved: DeviceMoved) -> None:
        """Drop the assignment of a device that goes to another operator."""
        if store_devices.remove_assignment(tx, moved.device_no):
            self._tell(tx, moved.device_no)

    # ------------------------------------------------------------------ private

    async def _send(
        self,
        device: Device,
        wanted: Applicable,
        issuer: tuple[str, str],
        now_ms: int,
        terms: Terms,
    ) -> Issued:
        profile, version = wanted
        if not rules.fits(profile.models, device.model):
            raise WrongModel(device.model)
        params = {
            "config_profile_id": profile.profile_id,
            "running_config_hash": version.hash,
            "values": rules.read_values(version.content),
        }
        along = partial(self._put, wanted, terms.by)
        return await self._commands.issue_command(
            APPLY_CONFIG_PROFILE,
            device.device_id,
            DEVICE_LEVEL,
            params,
            issuer,
            now_ms,
            terms._replace(along=along),
        )

    def _put(self, wanted: Applicable, by: Actor | None, tx: Tx, command: Command) -> None:
        """Store an assignment with the command that carries it."""
        profile, version = wanted
        now_ms, device_no = command.created_ms, command.device_no
        if not store.note_assigned(tx, profile.profile_id, now_ms):
            raise NotFound
        before = store_devices.find_standing(tx, device_no).assignment
        same = (profile.profile_id, version.version)
        kept_ms = None
        if before is not None and (before.profile_id, before.version) == same:
            kept_ms = before.assigned_ms
        assigned = store_devices.Assigned(
            device_no,
            command.operator_id,
            profile.profile_id,
            version.version,
            now_ms if kept_ms is None else kept_ms,
            command.command_id,
            command.expires_ms,
            now_ms + rules.LOOK_EVERY_MS,
        )
        store_devices.put_assignment(tx, assigned)
        self._tell(tx, device_no)
        if by is not None:
            verb = "assigned" if kept_ms is None else "applied"
            details = {"device_id": command.device_id, "version": version.version}
            _record(tx, by, verb, profile.profile_id, command.operator_id, now_ms, **details)

    def _unassign(
        self, tx: Tx, device: Device, assignment: Assignment, now_ms: int, by: Actor
    ) -> bool:
        """Take this assignment away; tell whether it was still the device's."""
        if not store_devices.remove_assigned(tx, device.device_no, assignment.command_id):
            return False
        self._tell(tx, device.device_no)
        operator_id, details = device.operator_id, {"device_id": device.device_id}
        _record(tx, by, "unassigned", assignment.profile_id, operator_id, now_ms, **details)
        return True

    def _look(self, tx: Tx, now_ms: int) -> None:
        for standing, known_ms in store_devices.list_due(tx, now_ms, _LOOKED_AT_AT_ONCE):
            assignment = standing.assignment
            if assignment is None:
                continue
            settled_ms = rules.settled_ms(assignment)
            look_ms = rules.look_after_ms(assignment, now_ms)
            store_devices.set_look(
                tx, standing.device_no, assignment.command_id, settled_ms, look_ms
            )
            if look_ms is None or settled_ms != known_ms:
                self._tell(tx, standing.device_no)

    def _tell(self, tx: Tx, device_no: int) -> None:
        for tell in self.in_tx:
            tell(tx, (device_no,))

    def _owned(self, device_id: str, operator_id: str) -> Device:
        device = self._directory.owned(device_id, operator_id)
        if device is None:
            raise NotFound
        return device


def _load_applicable(tx: Tx, profile_id: str, operator_id: str, version: int | None) -> Applicable:
    profile = store.find_profile(tx, profile_id, operator_id)
    if profile is None:
        raise NotFound
    found = store.find_version(tx, profile_id, version or profile.version)
    if found is None:
        raise NotFound
    return Applicable(profile, found)


def _judge_page(
    tx: Tx,
    whose: tuple[str, str],
    state: SyncState | None,
    page: tuple[int, int],
    now_ms: int,
) -> tuple[int, list[tuple[Standing, Judgement]]]:
    profile_id, operator_id = whose
    if store.find_profile(tx, profile_id, operator_id) is None:
        raise NotFound
    judged = [
        (standing, judgement)
        for standing in store_devices.list_standings_of(tx, profile_id)
        if (judgement := rules.judge(standing, now_ms)).state is state or state is None
    ]
    offset, size = page
    return len(judged), judged[offset : offset + size]


def _to_running(standing: Standing) -> RunningConfig:
    assignment, reported = standing.assignment, standing.reported
    if assignment is None:
        message = "a standing without an assignment is of no device to compare"
        raise ValueError(message)
    return RunningConfig(
        standing.device_no,
        assignment.profile_id,
        assignment.hash,
        rules.settled_ms(assignment),
        None if reported is None else reported.profile_id,
        None if reported is None else reported.hash,
        None if reported is None else reported.since_ms,
    )


def _record(
    tx: Tx, by: Actor, verb: str, profile_id: str, operator_id: str, now_ms: int, **details: Any
) -> None:
    action = f"config_profile.{verb}"
    record(tx, by.name, action, "config", profile_id, operator_id, by.request_id, now_ms, **details)


def request_key(client_id: str, text: str, *content: Any) -> RequestKey | None:
    """Return the key of a request with that content, None where the client gave no text."""
    return make_key(client_id, text, *content)
