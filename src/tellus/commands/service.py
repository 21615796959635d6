"""Use cases of commands: issue, deliver, report, read."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from tellus.bus.port import COMMAND_PENDING, Bus, Keys
from tellus.commands import desk, rules, store, upgrades
from tellus.commands.aggregates import Aggregates
from tellus.commands.completing import Completions
from tellus.commands.desk import Desk, Operation
from tellus.commands.handing import Asking, Counter
from tellus.commands.loading import load_command, load_page
from tellus.commands.lookout import Lookout
from tellus.commands.model import (
    DEVICE_LEVEL,
    DISCHARGE,
    KINDS,
    Command,
    CommandFilter,
    Effect,
    FirmwareReport,
    HeartbeatMore,
    Issued,
    Moments,
    NotBidirectional,
    Report,
    Terms,
    admitting,
)
from tellus.commands.pending import Pending
from tellus.commands.waiting import SLOT_S, Left, Parked, Poll, watch
from tellus.consent.model import NotConsented
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Device, Directory
from tellus.fleet.presence import PresenceWatch
from tellus.fleet.service import FleetService
from tellus.kernel.clock import Clock
from tellus.kernel.errors import ApiError, NotFound, TooManyRequests
from tellus.kernel.ids import new_id
from tellus.storage.database import Database

_SWEPT_AT_ONCE: Final = 200
CONNECTOR_BITS: Final = 8
_PLAIN: Final = Terms()


class CommandService:
    """Commands of all devices.

    ``start`` reads back what is pending. As long as the server runs, ``run`` ends polls in time and
    wakes those whose lease has passed, whatever the store does; ``sweep`` and ``look`` are to be
    called again and again.
    """

    def __init__(
        self,
        database: Database,
        directory: Directory,
        fleet: FleetService,
        presence: PresenceWatch,
        catalogue: Catalogue,
        bus: Bus,
        clock: Clock,
        expires_after_ms: Mapping[str, int] | None = None,
    ) -> None:
        self._database = database
        self._directory = directory
        self._fleet = fleet
        self._presence = presence
        self._catalogue = catalogue
        self._clock = clock
        self._expires_after_ms = {name: kind.expires_after_ms for name, kind in KINDS.items()}
        self._expires_after_ms |= expires_after_ms or {}
        self._pending = Pending()
        self._parked = Parked()
        self._lookout = Lookout(database, self._pending, self._parked, clock)
        self._desk = Desk(self._pending, bus, fleet.note_firmware)
        self._counter = Counter(database, self._desk)
        self._stop_listening = bus.subscribe(COMMAND_PENDING, self._wake)
        self.completions = Completions()
        self.aggregates: Aggregates | None = None
        self.on_parked: Callable[[int], None] | None = None
        """Told where a poll was parked, as a number; set where other nodes park polls too."""
        self.on_more: list[Callable[[int, HeartbeatMore, int], Awaitable[Any] | None]] = []
        """Told (device, what, now in ms) what else heartbeats say; None if nothing is to store."""

    # ------------------------------------------------------------------ operators

    async def issue_command(
        self,
        name: str,
        device_id: str,
        connector_id: int,
        params: Mapping[str, Any],
        issuer: tuple[str, str],
        now_ms: int,
        terms: Terms = _PLAIN,
    ) -> Issued:
        """Queue a command for a connector (0: the device); ``issuer`` is client and operator.

        ``params`` go out with ``connector_id`` before them. A ``transaction_id`` among them, or the
        key of ``terms``, makes a repeat within 24 hours return the first command.

        Raises:
            NotFound: the device or connector is absent or another operator's.
            NotConsented: the device's owner has not agreed to what the command is for.
            NotBidirectional: a discharge, and the hardware cannot.
            KeyReused, TransactionReused: the key or transaction stands for another command.
            SessionInTheWay: the command does not go together with a session of the device.
            TooManyRequests: 50 commands of the device are pending.
        """
        client_id, operator_id = issuer
        device = self._directory.owned(device_id, operator_id)
        if device is None or connector_id not in {DEVICE_LEVEL, *device.connectors}:
            raise NotFound
        if not device.permit.allows(admitting(name), now_ms):
            raise NotConsented(KINDS[name].service)
        if name == DISCHARGE and not self._catalogue.is_v2g(device):
            raise NotBidirectional(device.model)
        command = Command(
            command_id=new_id("cmd"),
            device_no=device.device_no,
            device_id=device.device_id,
            connector_id=connector_id,
            operator_id=operator_id,
            client_id=client_id,
            command=name,
            params=msgspec.json.encode({"connector_id": connector_id, **params}).decode(),
            transaction_id=params.get("transaction_id"),
            created_ms=now_ms,
            updated_ms=now_ms,
            expires_ms=now_ms + self._life_ms(name, terms.life_ms),
        )
        states = {number: one.state for number, one in device.connectors.items()}
        online = self._presence.is_online(device, now_ms)
        issued: Issued = await self._do(desk.issue(desk.Order(command, states, online, terms)))
        return issued

    async def read_command(
        self, command_id: str, operator_id: str, now_ms: int
    ) -> tuple[Command, list[Report]]:
        """Return a command as it stands now, and all that its charger said of it.

        Raises:
            NotFound: it is absent or another operator's.
        """
        command, reports = await self._database.read(load_command, command_id)
        if command is None or command.operator_id != operator_id:
            raise NotFound
        services = self._directory.services_of(command.device_no, now_ms)
        shown = rules.show(command, services, now_ms)
        return shown, reports if command.is_admitted_by(services) else []

    async def list_commands(
        self, wanted: CommandFilter, offset: int, size: int, now_ms: int
    ) -> tuple[int, list[Command]]:
        """Return how many commands match and one page of them as they stand now, newest first."""
        # A filter by status is answered by the store, which may be up to a second behind. Where it
        # cannot be brought up to date because nothing can be written, it can still be read.
        with contextlib.suppress(ApiError):
            await self.sweep()
        total, commands = await self._database.read(load_page, wanted, size, offset)
        services_of = self._directory.services_of
        now = partial(rules.show, now_ms=now_ms)
        return total, [now(one, services_of(one.device_no, now_ms)) for one in commands]

    async def find_device_no(self, device_id: str, operator_id: str) -> int:
        """Return the number of a device that is the operator's, or was when it got commands.

        Raises:
            NotFound: it never was, or does not exist.
        """
        device = self._directory.by_id(device_id)
        if device is not None and (
            device.operator_id == operator_id
            or await self._database.read(store.has_commands, operator_id, device.device_no)
        ):
            return device.device_no
        raise NotFound

    async def cancel_command(
        self, command_id: str, operator_id: str, now_ms: int
    ) -> tuple[Command, list[Report]]:
        """Give up a queued command; return it with all that its charger said of it.

        Raises:
            NotFound: it is absent or another operator's.
            NotQueued: it was accepted or has ended.
        """
        command, reports = await self.read_command(command_id, operator_id, now_ms)
        cancelled: Command = await self._do(desk.cancel(command.device_no, command_id, now_ms))
        return cancelled, reports

    # -------------------------------------------------------------------- devices

    async def take_all(self, device_no: int, now_ms: int) -> list[Command]:
        """Lease all that the device may fetch now, oldest first."""
        if not self._pending.is_due(device_no, now_ms):
            return []
        return await self._ask(device_no, None, now_ms)

    async def wait_for_command(
        self, device_no: int, connector_id: int, wait_s: int, left: Left | None
    ) -> Command | None:
        """Lease the next command of a connector, or of the device, waiting up to ``wait_s``.

        Returns None when none came, when a newer poll of the same place took over, when the caller
        left (``left`` returns then) or when the server stops.

        Raises:
            NotFound: the device exists no longer.
        """
        device = self._known(device_no)
        if connector_id not in device.connectors:
            await self._fleet.see_connector(device, connector_id, self._clock.now_ms())
        until_s = self._clock.monotonic_s() + wait_s
        poll = self._parked.park(device_no, connector_id, until_s)
        if self.on_parked is not None:
            self.on_parked(device_no << CONNECTOR_BITS | connector_id)
        watching: asyncio.Task[None] | None = None
        try:
            while not poll.ended:
                command = await self._take_next(poll)
                if command is not None:
                    return command
                if watching is None and left is not None:
                    watching = asyncio.ensure_future(watch(poll, left))
                await poll.wait()
            return None
        finally:
            self._parked.leave(poll)
            if watching is not None:
                watching.cancel()

    async def report(self, device_no: int, said: Report) -> Effect:
        """Take what a charger says of one of its commands; the first terminal report stands.

        Raises:
            NotFound: the command is unknown or another device's.
            NotConsented: the device's owner has not agreed, or no longer does.
        """
        services = self._directory.services_of(device_no, said.received_ms)
        effect: Effect = await self._do(desk.report(device_no, said, services))
        return effect

    async def heartbeat(
        self,
        device_no: int,
        status: str,
        fault_code: float | str | None,
        timestamp_ms: int,
        now_ms: int,
        more: HeartbeatMore | None = None,
    ) -> list[Command]:
        """Take a heartbeat; return what the charger is to do, leased. One that goes gets nothing.

        Raises:
            NotFound: the device exists no longer.
        """
        await self._fleet.heartbeat(device_no, status, fault_code, timestamp_ms, now_ms)
        if more is not None:
            for tell in self.on_more:
                storing = tell(device_no, more, now_ms)
                if storing is not None:
                    await storing
        return [] if status == "offline" else await self.take_all(device_no, now_ms)

    async def report_firmware(self, said: FirmwareReport) -> None:
        """Store how far an upgrade has come and move its command on; a repeat changes nothing.

        After a success the device runs the version that it named.
        """
        await self._do(upgrades.report_firmware(said, self._fleet.set_firmware))

    async def settle_upgrade(self, operation: Operation) -> Any:
        """Run one of the platform's own operations on an upgrade (``upgrades``); its answer."""
        return await self._do(operation)

    # ------------------------------------------------------------------- lifetime

    async def start(self) -> None:
        """Read back which devices have commands to fetch."""
        await self._lookout.start()

    async def run(self) -> None:
        """Keep time until cancelled."""
        while True:
            await asyncio.sleep(SLOT_S)
            self.tick()
            while self._pending.has_newly_due(self._clock.now_ms()):
                await asyncio.sleep(0)
                self._wake_due()

    async def look(self) -> None:
        """Find in the store what was queued lately without a word of it.

        Raises:
            TooManyRequests, Unavailable: the store cannot be read now; the next look makes up.
        """
        await self._lookout.look()

    def note_elsewhere(self, device_nos: Keys) -> None:
        """Look again for these devices: another node has issued something for them."""
        now_ms = self._clock.now_ms()
        for device_no in device_nos:
            self._pending.learn(device_no, Moments({DEVICE_LEVEL: now_ms}, now_ms))
            self._parked.wake(device_no)

    def end_older(self, places: Keys) -> None:
        """End the polls parked at these places: newer ones were parked on another node."""
        for place in places:
            self._parked.end(place >> CONNECTOR_BITS, place & (1 << CONNECTOR_BITS) - 1)

    def tick(self) -> None:
        """End the polls whose time has come; wake those for which a lease has run out."""
        self._parked.sweep(self._clock.monotonic_s())
        self._wake_due()

    def _wake_due(self) -> None:
        for device_no in self._pending.list_newly_due(self._clock.now_ms()):
            self._parked.wake(device_no)

    async def sweep(self) -> None:
        """Give up the commands whose moment has passed, so that the store says so too.

        Nothing depends on it: reads settle what they show.
        """
        now_ms = self._clock.now_ms()
        lapsing = self._pending.list_lapsing(now_ms)
        for start in range(0, len(lapsing), _SWEPT_AT_ONCE):
            part = lapsing[start : start + _SWEPT_AT_ONCE]
            await asyncio.gather(*(self._do(desk.settle(no, now_ms)) for no in part))

    def look_again(self, device_no: int) -> None:
        """Let a device's polls look whether something was queued beside this service."""
        now_ms = self._clock.now_ms()
        self._pending.learn(device_no, Moments({DEVICE_LEVEL: now_ms}, now_ms))
        self._parked.wake(device_no)

    def release_all(self) -> None:
        """Answer all parked polls with nothing, and new ones at once: the server is stopping."""
        self._parked.release_all()

    def stop(self) -> None:
        """Release the polls and listen no more."""
        self.release_all()
        self._stop_listening()

    @property
    def parked(self) -> int:
        """Return how many polls are parked."""
        return len(self._parked)

    # -------------------------------------------------------------------- private

    def _life_ms(self, name: str, shorter_ms: int | None) -> int:
        life_ms = self._expires_after_ms[name]
        return life_ms if shorter_ms is None else min(life_ms, shorter_ms)

    async def _do(self, operation: Operation) -> Any:
        change = await self._database.submit(self._desk, operation)
        return change.answer

    async def _take_next(self, poll: Poll) -> Command | None:
        now_ms = self._clock.now_ms()
        if not self._pending.is_due(poll.device_no, now_ms, poll.connector_id):
            return None
        try:
            leased = await self._ask(poll.device_no, poll.connector_id, now_ms)
        except TooManyRequests:
            # It waits anyway: sent away it would be back later than the queue of writes is short.
            self._parked.wake_soon(poll, self._clock.monotonic_s())
            return None
        return leased[0] if leased else None

    async def _ask(self, device_no: int, connector_id: int | None, now_ms: int) -> list[Command]:
        device = self._directory.by_no(device_no)
        operator_id = None if device is None else device.operator_id
        services = self._directory.services_of(device_no, now_ms)
        asking = Asking(device_no, connector_id, now_ms, operator_id, services)
        return await self._counter.ask(asking)

    def _known(self, device_no: int) -> Device:
        device = self._directory.by_no(device_no)
        if device is None:
            raise NotFound
        return device

    def _wake(self, device_nos: Keys) -> None:
        now_ms = self._clock.now_ms()
        for device_no in device_nos:
            self._pending.suspect(device_no, now_ms)
            self._parked.wake(device_no)
