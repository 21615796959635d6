"""A command service over a real SQLite file, spoken to by its handlers; tests move its clock."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
import pytest

from tellus.bus.memory import MemoryBus
from tellus.commands import device_api, diagnostics_api, operator_api
from tellus.commands.service import CommandService
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Connector, Device, Directory
from tellus.fleet.events import EventKind
from tellus.fleet.model import ConnectorState, Reading
from tellus.fleet.presence import PresenceSettings, PresenceWatch
from tellus.fleet.service import FleetService
from tellus.identity.keys import KeyRing
from tellus.identity.vault import Vault
from tellus.kernel.call import NOTHING, Audience, Call, Principal
from tellus.kernel.clock import ManualClock
from tellus.kernel.decoding import BodyDecoder, convert_query
from tellus.kernel.units import to_text
from tellus.storage.sqlite import SQLiteDatabase

T = TypeVar("T")

OPERATOR = "op_1"
CLIENT = "cl_1"
SETTINGS = PresenceSettings()


class CommandBench:
    """Service, store and callers of one test; ``restart`` brings up a new service on the store."""

    def __init__(self, path: Path) -> None:
        self.clock = ManualClock()
        self.database = SQLiteDatabase.open(path, clock=self.clock)
        self.directory = Directory()
        self.bus = MemoryBus()
        self.service = self._make_service()

    def _make_service(self) -> CommandService:
        keys = KeyRing(bytes(range(32)), bytes(range(32, 64)))
        events = EventKind(self.directory, Vault(keys))
        presence = PresenceWatch(
            self.database, self.directory, events, Catalogue({}), SETTINGS, self.clock
        )
        fleet = FleetService(self.database, self.directory, presence)
        return CommandService(
            self.database,
            self.directory,
            fleet,
            presence,
            Catalogue.load(),
            self.bus,
            self.clock,
        )

    async def restart(self) -> None:
        self.service.stop()
        self.service = self._make_service()
        await self.service.start()

    def add_device(
        self, device_no: int = 1, operator_id: str = OPERATOR, connectors: int = 2
    ) -> Device:
        device = Device(device_no, f"dvc_{device_no}", f"SN{device_no}", operator_id, "site_1")
        device.connectors = {number + 1: Connector(number + 1) for number in range(connectors)}
        principal = Principal(Audience.DEVICE, device.device_id, operator_id, device_no=device_no)
        device.principal = principal
        self.directory.add(device)
        return device

    # ------------------------------------------------------------------ operators

    async def start(
        self,
        connector_id: int = 1,
        device_id: str = "dvc_1",
        client: tuple[str, str] = (CLIENT, OPERATOR),
        key: str = "",
        **body: Any,
    ) -> operator_api.CommandQueuedResponse:
        request = _decode(operator_api.RemoteStartRequest, body)
        call = self._operator_call(request, client, device_id, connector_id)
        call.idempotency_key = key
        return await operator_api.start_charging(self.service, call)

    async def stop(
        self, connector_id: int = 1, device_id: str = "dvc_1", **body: Any
    ) -> operator_api.CommandQueuedResponse:
        request = _decode(operator_api.RemoteStopRequest, body)
        call = self._operator_call(request, (CLIENT, OPERATOR), device_id, connector_id)
        return await operator_api.stop_charging(self.service, call)

    async def discharge(
        self, connector_id: int = 1, device_id: str = "dvc_1", key: str = "", **body: Any
    ) -> operator_api.CommandQueuedResponse:
        request = _decode(operator_api.RemoteDischargeRequest, {"discharge_power": 5} | body)
        call = self._operator_call(request, (CLIENT, OPERATOR), device_id, connector_id)
        call.idempotency_key = key
        return await operator_api.discharge(self.service, call)

    async def diagnose(
        self,
        command: str,
        device_id: str = "dvc_1",
        scopes: str = "write",
        key: str = "",
        **body: Any,
    ) -> operator_api.CommandQueuedResponse:
        request = _decode(diagnostics_api.DiagnosticCommandRequest, {"command": command} | body)
        principal = Principal(Audience.OPERATOR, CLIENT, OPERATOR, frozenset(scopes.split()))
        path = {"device_id": device_id}
        call: Call[Any, Any] = Call(principal, request, NOTHING, self.clock.now_ms(), path)
        call.idempotency_key = key
        call.request_id = "req_1"
        return await diagnostics_api.issue_diagnostic_command(self.service, call)

    async def list_page(self, operator_id: str = OPERATOR, **query: Any) -> dict[str, Any]:
        texts = {name: str(value) for name, value in query.items()}
        principal = Principal(Audience.OPERATOR, CLIENT, operator_id)
        wanted = convert_query(texts, operator_api.CommandsQuery)
        call: Call[Any, Any] = Call(principal, NOTHING, wanted, self.clock.now_ms())
        return _encode(await operator_api.list_commands(self.service, call))

    async def cancel(self, command_id: str, operator_id: str = OPERATOR) -> dict[str, Any]:
        principal = Principal(Audience.OPERATOR, CLIENT, operator_id)
        path = {"command_id": command_id}
        call: Call[Any, Any] = Call(principal, NOTHING, NOTHING, self.clock.now_ms(), path)
        return _encode(await operator_api.cancel_command(self.service, call))

    def set_state(self, state: str, connector_id: int = 1, device_no: int = 1) -> None:
        """Let a connector have been heard of in that state."""
        device = self.directory.by_no(device_no)
        assert device is not None
        device.connectors[connector_id].reading = Reading(
            ConnectorState(state).value, 400.0, 10.0, 4.0, 1.0
        )

    async def read(self, command_id: str, operator_id: str = OPERATOR) -> dict[str, Any]:
        principal = Principal(Audience.OPERATOR, CLIENT, operator_id)
        path = {"command_id": command_id}
        call = Call(principal, NOTHING, NOTHING, self.clock.now_ms(), path)
        return _encode(await operator_api.get_command(self.service, call))

    def _operator_call(
        self, body: Any, client: tuple[str, str], device_id: str, connector_id: int
    ) -> Call[Any, Any]:
        principal = Principal(Audience.OPERATOR, *client)
        path = {"device_id": device_id, "connector_id": connector_id}
        return Call(principal, body, NOTHING, self.clock.now_ms(), path)

    # -------------------------------------------------------------------- devices

    async def heartbeat(self, device_no: int = 1, **body: Any) -> list[dict[str, Any]]:
        sent = {"timestamp": self._now(), "status": "online", "fault_code": 0} | body
        call = self._device_call(device_no, _decode(device_api.HeartbeatRequest, sent))
        answer = _encode(await device_api.report_heartbeat(self.service, call))
        return cast("list[dict[str, Any]]", answer["commands"])

    async def poll(
        self, connector_id: int = 1, device_no: int = 1, left: Any = None, wait_s: int = 30
    ) -> dict[str, Any] | None:
        texts = {"connector_id": str(connector_id), "wait": str(wait_s)}
        query = convert_query(texts, device_api.CommandPollQuery)
        call = self._device_call(device_no, NOTHING, query)
        call.left = left
        item = await device_api.fetch_command(self.service, call)
        return None if item is None else _encode(item)

    async def park(self, connector_id: int = 1, **options: Any) -> asyncio.Task[Any]:
        """Start a poll and return once it is parked."""
        before = self.service.parked
        task = asyncio.ensure_future(self.poll(connector_id, **options))
        while self.service.parked == before and not task.done():  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0)
        return task

    async def say(
        self, command_id: str, status: str, device_no: int = 1, at_s: float = 0.0, **body: Any
    ) -> None:
        sent = {"command_id": command_id, "status": status, "timestamp": self._now(at_s)} | body
        request = _decode(device_api.DeviceCommandStatusRequest, sent)
        await device_api.report_command_status(self.service, self._device_call(device_no, request))

    async def say_firmware(self, **body: Any) -> None:
        request = _decode(device_api.FirmwareUpgradeStatusRequest, body)
        await device_api.report_firmware_status(self.service, self._device_call(1, request))

    def _device_call(self, device_no: int, body: Any, query: Any = NOTHING) -> Call[Any, Any]:
        device = self.directory.by_no(device_no)
        principal = Principal(Audience.DEVICE, f"dvc_{device_no}", OPERATOR, device_no=device_no)
        if device is not None and device.principal is not None:
            principal = device.principal
            principal.last_seen_ms = self.clock.now_ms()
        return Call(principal, body, query, self.clock.now_ms())

    def _now(self, at_s: float = 0.0) -> str:
        return to_text(self.clock.now_ms() + round(at_s * 1000))

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return await self.database.read(lambda tx: tx.rows(sql))


def _decode(kind: type[T], body: dict[str, Any]) -> T:
    return BodyDecoder(kind).decode(msgspec.json.encode(body))


def _encode(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", msgspec.json.decode(msgspec.json.encode(value)))


@pytest.fixture
def run_bench(tmp_path: Path) -> Callable[[Callable[[CommandBench], Awaitable[T]]], T]:
    """Run a coroutine function over a started bench and stop it afterwards."""

    def run(test: Callable[[CommandBench], Awaitable[T]]) -> T:
        async def whole() -> T:
            bench = CommandBench(tmp_path / "tellus.db")
            async with bench.database:
                bench.add_device()
                await bench.service.start()
                try:
                    return await asyncio.wait_for(test(bench), 20)
                finally:
                    bench.service.stop()

        return asyncio.run(whole())

    return run
