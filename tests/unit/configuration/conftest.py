"""Configuration over a real store: nodes with services of their own, chargers that speak."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from tellus.audit.model import Actor
from tellus.bus.memory import MemoryBus
from tellus.commands import device_api
from tellus.commands.service import CommandService
from tellus.configuration.model import ProfileChange, ProfileView, RunningConfig
from tellus.configuration.profiles import ProfileService
from tellus.configuration.service import ConfigurationService, StandingView
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Connector, Device, Directory
from tellus.fleet.events import EventKind
from tellus.fleet.presence import PresenceSettings, PresenceWatch
from tellus.fleet.service import FleetService
from tellus.identity.keys import KeyRing
from tellus.identity.vault import Vault
from tellus.kernel.call import NOTHING, Audience, Call, Principal
from tellus.kernel.clock import ManualClock, SystemClock
from tellus.kernel.decoding import BodyDecoder
from tellus.kernel.units import to_text
from tellus.storage.database import Database, Tx
from tests.databases import open_database

T = TypeVar("T")

OPERATOR = "op_1"
CLIENT = "cl_1"
MODEL = "TP-DC180"
BY = Actor(CLIENT, "req_1")
VALUES = {"heartbeat_s": 30, "limits": {"max_power_kw": 150.0}}


class Node:
    """The services of one process; several may stand over one store."""

    def __init__(self, database: Database, directory: Directory, clock: ManualClock) -> None:
        vault = Vault(KeyRing(bytes(range(32)), bytes(range(32, 64))))
        events = EventKind(directory, vault)
        catalogue = Catalogue.load()
        presence = PresenceWatch(database, directory, events, catalogue, PresenceSettings(), clock)
        self.clock = clock
        self.commands = CommandService(
            database,
            directory,
            FleetService(database, directory, presence),
            presence,
            catalogue,
            MemoryBus(),
            clock,
        )
        self.configuration = ConfigurationService(database, directory, self.commands, clock)
        self.commands.on_more.append(self.configuration.hear)
        self.told: list[int] = []
        self.configuration.in_tx.append(lambda _tx, device_nos: self.told.extend(device_nos))

    async def heartbeat(self, device_no: int = 1, **body: Any) -> list[dict[str, Any]]:
        """Send a heartbeat to this node; return the commands that it answers with."""
        now_ms = self.clock.now_ms()
        sent = {"timestamp": to_text(now_ms), "status": "online", "fault_code": 0} | body
        request = BodyDecoder(device_api.HeartbeatRequest).decode(msgspec.json.encode(sent))
        principal = Principal(Audience.DEVICE, f"dvc_{device_no}", OPERATOR, device_no=device_no)
        call = Call(principal, request, NOTHING, now_ms)
        answer = await device_api.report_heartbeat(self.commands, call)
        return [msgspec.to_builtins(item) for item in answer.commands]


class ConfigBench:
    """One store with a first node; ``add_node`` puts another beside it."""

    def __init__(self, path: Path) -> None:
        self.clock = ManualClock()
        # The writer measures itself: a clock that jumps would have it turn writes away.
        self.database = open_database(path, SystemClock())
        self.directory = Directory()
        self.profiles = ProfileService(self.database)
        self.nodes: list[Node] = []
        self.node = self.add_node()

    def add_node(self) -> Node:
        """Start the services of another process over the same store."""
        node = Node(self.database, self.directory, self.clock)
        self.nodes.append(node)
        return node

    async def add_device(
        self, device_no: int = 1, operator_id: str = OPERATOR, model: str = MODEL
    ) -> Device:
        """Let a device exist, in the store and in memory."""
        device_id, now_ms = f"dvc_{device_no}", self.clock.now_ms()
        row = (device_no, device_id, f"SN{device_no}", operator_id, "site_1", model, "Maker")

        def insert(tx: Tx) -> None:
            tx.execute(
                "INSERT INTO devices (device_no, device_id, sn, operator_id, site_id, model,"
                " manufacturer, firmware_version, active, created_ms, updated_ms)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                *row,
                "3.1.0",
                1,
                now_ms,
                now_ms,
            )

        await self.database.write(insert)
        device = Device(device_no, device_id, f"SN{device_no}", operator_id, "site_1")
        device.model = model
        device.connectors = {1: Connector(1)}
        device.principal = Principal(Audience.DEVICE, device_id, operator_id, device_no=device_no)
        self.directory.add(device)
        return device

    async def profile(self, name: str = "Standard", **change: Any) -> ProfileView:
        """Keep a profile."""
        wanted = ProfileChange(**({"name": name, "values": VALUES} | change))
        return await self.profiles.create_profile(OPERATOR, wanted, BY, self.clock.now_ms())

    async def assign(self, profile_id: str, device_id: str = "dvc_1") -> str:
        """Assign a profile; return the id of the command."""
        issued = await self.node.configuration.assign(
            device_id, profile_id, None, (CLIENT, OPERATOR), self.clock.now_ms(), None, BY
        )
        return issued.command.command_id

    async def standing(self, device_id: str = "dvc_1") -> StandingView:
        """Return how a device stands."""
        now_ms = self.clock.now_ms()
        return await self.node.configuration.get_standing(device_id, OPERATOR, now_ms)

    async def running(self, *device_nos: int) -> list[RunningConfig]:
        """Return what those who follow are shown, of a few devices or of all."""
        read = self.node.configuration.read_running
        return await self.database.read(read, device_nos or None)

    async def say(self, command_id: str, status: str, device_no: int = 1) -> None:
        """Let a charger say what came of a command."""
        now_ms = self.clock.now_ms()
        sent = {"command_id": command_id, "status": status, "timestamp": to_text(now_ms)}
        decoder = BodyDecoder(device_api.DeviceCommandStatusRequest)
        request = decoder.decode(msgspec.json.encode(sent))
        principal = Principal(Audience.DEVICE, f"dvc_{device_no}", OPERATOR, device_no=device_no)
        call = Call(principal, request, NOTHING, now_ms)
        await device_api.report_command_status(self.node.commands, call)

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return what the store holds."""
        return await self.database.read(lambda tx: tx.rows(sql))


@pytest.fixture
def run_bench(
    tmp_path: Path, database_kind: str
) -> Callable[[Callable[[ConfigBench], Awaitable[T]]], T]:
    """Run a coroutine function over a started bench with one device, and stop it afterwards."""

    def run(test: Callable[[ConfigBench], Awaitable[T]]) -> T:
        async def whole() -> T:
            bench = ConfigBench(tmp_path / "tellus.db")
            async with bench.database:
                await bench.add_device()
                await bench.node.commands.start()
                try:
                    return await asyncio.wait_for(test(bench), 30)
                finally:
                    for node in bench.nodes:
                        node.commands.stop()

        assert database_kind
        return asyncio.run(whole())

    return run
