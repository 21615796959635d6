"""Firmware over a real SQLite file: catalogue, upgrades, rollouts; tests move clock and engine."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from tellus.audit.model import Actor
from tellus.bus.memory import MemoryBus
from tellus.commands import device_api
from tellus.commands.model import FirmwareReport
from tellus.commands.service import CommandService
from tellus.firmware.engine import RolloutEngine
from tellus.firmware.model import Channel, Patience, Release
from tellus.firmware.model_rollouts import Cohort, Member, Rollout, Wave
from tellus.firmware.releases import ReleaseCatalogue
from tellus.firmware.rollouts import RolloutService, RolloutView
from tellus.firmware.service import FirmwareService
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Connector, Device, Directory
from tellus.fleet.events import EventKind, make_event
from tellus.fleet.model import ConnectorState, EventType, Origin, Reading
from tellus.fleet.presence import PresenceSettings, PresenceWatch
from tellus.fleet.queries import FleetQueries
from tellus.fleet.service import FleetService
from tellus.identity.keys import KeyRing
from tellus.identity.vault import Vault
from tellus.kernel.call import NOTHING, Audience, Call, Principal
from tellus.kernel.clock import ManualClock, SystemClock
from tellus.kernel.decoding import BodyDecoder
from tellus.kernel.ids import new_id
from tellus.kernel.units import to_text
from tellus.storage.sqlite import SQLiteDatabase

T = TypeVar("T")

OPERATOR = "op_1"
CLIENT = "cl_1"
BY = Actor(CLIENT, "req_1")
MODEL = "TP-DC180"
PATIENCE = Patience(preparing_ms=86_400_000, installing_ms=1_800_000, life_ms=604_800_000)
ALL = Wave(success_percent=100, max_failure_percent=0)


class FirmwareBench:
    """Services, store and chargers of one test; ``restart`` brings up new ones on the store."""

    def __init__(self, path: Path) -> None:
        self.clock = ManualClock()
        # The writer measures itself: a clock that jumps would have it turn writes away.
        self.database = SQLiteDatabase.open(path, clock=SystemClock())
        self.directory = Directory()
        self.build()

    def build(self) -> None:
        clock, database, directory = self.clock, self.database, self.directory
        vault = Vault(KeyRing(bytes(range(32)), bytes(range(32, 64))))
        self.events = EventKind(directory, vault)
        presence = PresenceWatch(
            database, directory, self.events, Catalogue({}), PresenceSettings(), clock
        )
        fleet = FleetService(database, directory, presence)
        queries = FleetQueries(database, directory, Catalogue.load(), presence, vault)
        self.commands = CommandService(
            database, directory, fleet, presence, Catalogue.load(), MemoryBus(), clock
        )
        self.releases = ReleaseCatalogue(database, directory)
        self.firmware = FirmwareService(database, directory, self.commands, PATIENCE)
        self.rollouts = RolloutService(database, directory, queries)
        self.engine = RolloutEngine(database, queries, self.commands, clock, PATIENCE)

    async def restart(self) -> None:
        self.commands.stop()
        self.build()
        await self.commands.start()

    def add_device(
        self,
        device_no: int = 1,
        operator_id: str = OPERATOR,
        model: str = MODEL,
        version: str = "3.1.0",
    ) -> Device:
        device = Device(device_no, f"dvc_{device_no}", f"SN{device_no}", operator_id, "site_1")
        device.model, device.firmware_version = model, version
        device.connectors = {1: Connector(1), 2: Connector(2)}
        device.principal = Principal(
            Audience.DEVICE, device.device_id, operator_id, device_no=device_no
        )
        device.principal.last_seen_ms = self.clock.now_ms()
        self.directory.add(device)
        return device

    def device(self, device_no: int) -> Device:
        device = self.directory.by_no(device_no)
        assert device is not None
        return device

    def set_state(self, device_no: int, state: ConnectorState) -> None:
        self.device(device_no).connectors[1].reading = Reading(state.value, 400.0, 10.0, 4.0, 1.0)

    # ------------------------------------------------------------------ the catalogue

    async def release(self, version: str = "3.2.0", **changes: Any) -> Release:
        now_ms = self.clock.now_ms()
        values: dict[str, Any] = {
            "release_id": new_id("rel"),
            "models": (MODEL,),
            "firmware_version": version,
            "platform_build": None,
            "url": f"https://firmware.example/{version}.bin",
            "sha256": "ab" * 32,
            "size_bytes": 1_000_000,
            "channel": Channel.STABLE,
            "notes": None,
            "created_ms": now_ms,
            "updated_ms": now_ms,
        }
        return await self.releases.add_release(Release(**(values | changes)), BY)

    async def withdraw(self, release: Release) -> None:
        await self.releases.change_release(
            release.release_id, BY, self.clock.now_ms(), withdrawn=True, withdrawn_reason="bad"
        )

    # ------------------------------------------------------------------ one device

    async def upgrade(self, version: str = "3.2.0", device_no: int = 1, **options: Any) -> str:
        issued = await self.firmware.upgrade_device(
            f"dvc_{device_no}", version, BY, OPERATOR, self.clock.now_ms(), **options
        )
        return issued.command.command_id

    async def status(self, device_no: int = 1) -> str:
        view = await self.firmware.read_device(f"dvc_{device_no}", OPERATOR)
        return view.history[0].status.value

    async def fetch(self, device_no: int = 1) -> list[dict[str, Any]]:
        """Let a charger ask with a heartbeat; return what it is to do."""
        now_ms = self.clock.now_ms()
        self.touch(device_no)
        leased = await self.commands.heartbeat(device_no, "online", 0, now_ms, now_ms)
        return [msgspec.json.decode(one.params) | {"id": one.command_id} for one in leased]

    def touch(self, device_no: int) -> None:
        """Let a device have been heard of now."""
        principal = self.device(device_no).principal
        assert principal is not None
        principal.last_seen_ms = self.clock.now_ms()

    async def say(
        self, status: str, device_no: int = 1, version: str = "3.2.0", **more: Any
    ) -> None:
        """Report a firmware status."""
        self.touch(device_no)
        said = {"progress_pct": None, "message": None} | more
        report = FirmwareReport(
            device_no=device_no,
            firmware_version=version,
            status=status,
            received_ms=self.clock.now_ms(),
            **said,
        )
        await self.commands.report_firmware(report)

    async def report(self, command_id: str, status: str, device_no: int = 1) -> None:
        """Report what became of a command, as any other."""
        body = {
            "command_id": command_id,
            "status": status,
            "timestamp": to_text(self.clock.now_ms()),
        }
        request = BodyDecoder(device_api.DeviceCommandStatusRequest).decode(
            msgspec.json.encode(body)
        )
        principal = self.device(device_no).principal
        assert principal is not None
        call: Call[Any, Any] = Call(principal, request, NOTHING, self.clock.now_ms())
        await device_api.report_command_status(self.commands, call)

    async def fault(self, device_no: int, code: str = "F-0421") -> None:
        """Let a charger report a fault."""
        now_ms = self.clock.now_ms()
        event = make_event(
            (device_no, 1), EventType.FAULT, now_ms, {"fault_code": code}, now_ms, Origin.DEVICE
        )
        await self.database.submit(self.events, (event,))

    # ------------------------------------------------------------------ rollouts

    async def roll_out(self, *waves: Wave, version: str = "3.2.0", **plan: Any) -> str:
        now_ms = self.clock.now_ms()
        values: dict[str, Any] = {
            "rollout_id": new_id("rol"),
            "operator_id": OPERATOR,
            "client_id": CLIENT,
            "name": None,
            "firmware_version": version,
            "rollback_version": None,
            "allow_downgrade": False,
            "max_in_flight": None,
            "cohort": Cohort(),
            "waves": waves or (ALL,),
            "created_ms": now_ms,
            "updated_ms": now_ms,
        }
        view = await self.rollouts.create_rollout(Rollout(**(values | plan)), BY)
        return view.rollout.rollout_id

    async def fleet(self, count: int) -> None:
        """Let there be so many devices, and the releases 3.1.0 and 3.2.0."""
        for device_no in range(2, count + 1):
            self.add_device(device_no)
        await self.release("3.1.0")
        await self.release()

    async def first_of(self, rollout_id: str) -> int:
        """Return the one device that has been sent its upgrade."""
        states = await self.states(rollout_id)
        [device_no] = [no for no, state in states.items() if state == "queued"]
        return device_no

    async def fly(self, rollout_id: str) -> list[int]:
        """Return the devices with an upgrade under way, in order of their numbers."""
        states = await self.states(rollout_id)
        return sorted(no for no, state in states.items() if state in {"queued", "upgrading"})

    async def act(self, action: str, rollout_id: str) -> RolloutView:
        return await self.rollouts.act(action, rollout_id, OPERATOR, BY, self.clock.now_ms())

    async def turn(self, seconds: float = 1.0) -> None:
        """Let time pass and all that runs by itself look once."""
        self.clock.advance(seconds)
        await self.firmware.sweep(self.clock.now_ms())
        await self.engine.turn()

    async def members(self, rollout_id: str) -> dict[int, Member]:
        _, members = await self.rollouts.list_members(
            rollout_id, OPERATOR, (None, None), (0, 1_000)
        )
        return {member.device_no: member for member in members}

    async def states(self, rollout_id: str) -> dict[int, str]:
        return {no: member.state.value for no, member in (await self.members(rollout_id)).items()}

    async def rollout(self, rollout_id: str) -> Rollout:
        return (await self.rollouts.read_rollout(rollout_id, OPERATOR)).rollout

    async def obey(self, device_no: int, outcome: str = "success", version: str = "3.2.0") -> None:
        """Let a charger fetch its upgrade and carry it out, to one end or another."""
        [order] = await self.fetch(device_no)
        assert order["firmware_version"] == version
        await self.say("downloading", device_no, version, progress_pct=50)
        await self.say("upgrading", device_no, version)
        if outcome != "silence":
            await self.say(outcome, device_no, version)

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return await self.database.read(lambda tx: tx.rows(sql))


@pytest.fixture
def run_bench(tmp_path: Path) -> Callable[[Callable[[FirmwareBench], Awaitable[T]]], T]:
    """Run a coroutine function over a started bench and stop it afterwards."""

    def run(test: Callable[[FirmwareBench], Awaitable[T]]) -> T:
        async def whole() -> T:
            bench = FirmwareBench(tmp_path / "tellus.db")
            async with bench.database:
                bench.add_device()
                await bench.commands.start()
                try:
                    return await asyncio.wait_for(test(bench), 20)
                finally:
                    bench.commands.stop()

        return asyncio.run(whole())

    return run
