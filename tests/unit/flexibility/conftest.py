"""Controls over a real SQLite file, with chargers that obey when they are asked to."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from tellus.commands.service import CommandService
from tellus.fleet import store
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Device
from tellus.fleet.model import Site
from tellus.flexibility import operator_api as api
from tellus.flexibility.service import ControlBounds, FlexibilityService
from tellus.kernel.call import NOTHING, Audience, Call, Principal
from tellus.kernel.decoding import BodyDecoder, convert_query
from tellus.storage.sqlite import SQLiteDatabase
from tests.unit.commands.conftest import CLIENT, OPERATOR, CommandBench

T = TypeVar("T")

SITE = "site_1"
OTHER = "op_2"
BOUNDS = ControlBounds(max_chargers=1_000, max_duration_s=86_400, max_stagger_s=600)


class Twin:
    """A charger's memory: the limits that each connector was last told to hold."""

    def __init__(self) -> None:
        self.limits: dict[int, list[dict[str, Any]]] = {}

    def lowest_kw(self, connector_id: int, now_text: str) -> float | None:
        """The lowest limit that has not ended, as a charger holds it; None for no limit."""
        held = self.limits.get(connector_id, [])
        running = [one["power_limit_kw"] for one in held if one["until"] > now_text]
        return min(running, default=None)


class ControlBench(CommandBench):
    """Controls, commands and chargers of one test; ``restart`` brings all up anew."""

    flexibility: FlexibilityService

    def __init__(self, path: Path) -> None:
        self.bounds = BOUNDS
        super().__init__(path)
        # The store keeps real time: it measures how long a write takes, which the test's jumps
        # would make hours.
        self.service.stop()
        self.database = SQLiteDatabase.open(path)
        self.service = self._make_service()
        self.twins: dict[int, Twin] = {}

    def _make_service(self) -> CommandService:
        commands = super()._make_service()
        self.flexibility = FlexibilityService(
            self.database,
            self.directory,
            commands._presence,
            Catalogue.load(),
            commands,
            self.clock,
            self.bounds,
        )
        commands.aggregates = api.ControlAggregates(self.flexibility)
        return commands

    async def restart(self) -> None:
        await super().restart()
        await self.flexibility.start()

    async def add_site(self, site_id: str = SITE, operator_id: str = OPERATOR) -> None:
        site = Site(site_id, operator_id, site_id, "UTC", "eu", True, self.clock.now_ms())
        await self.database.write(store.insert_site, site)

    def add_charger(
        self, device_no: int, model: str = "TP-DC180", connectors: int = 2, site_id: str = SITE
    ) -> Device:
        device = self.add_device(device_no, connectors=connectors)
        self.directory.move(device, OPERATOR, site_id)
        device.model = model
        return device

    # ------------------------------------------------------------------ operators

    async def control(
        self, percent: float | None = 50, duration: float = 1_800, key: str = "", **body: Any
    ) -> str:
        """Issue a control of the site and return its id; a percentage of None pauses."""
        params = {"duration": duration} | body.pop("params", {})
        command = "pause_charging" if percent is None else "set_power_limit"
        if percent is not None:
            params["power_limit_percent"] = percent
        sent = {"target_type": "site", "target_ids": [SITE], "command": command, "params": params}
        return await self.post(sent | body, key=key)

    async def post(self, sent: dict[str, Any], key: str = "", operator_id: str = OPERATOR) -> str:
        request = BodyDecoder(api.FlexibilityRequest).decode(msgspec.json.encode(sent))
        call = self._as(operator_id, request)
        call.idempotency_key = key
        answer = await api.control_flexibility(self.flexibility, call)
        assert answer.status == "executing"
        return answer.control_id

    async def show(self, control_id: str, operator_id: str = OPERATOR) -> dict[str, Any]:
        call = self._as(operator_id, NOTHING, control_id)
        return _plain(await api.get_control(self.flexibility, call))

    async def show_targets(self, control_id: str) -> dict[str, dict[str, Any]]:
        shown = await self.show(control_id)
        return {target["device_id"]: target for target in shown["targets"]}

    async def cancel_control(self, control_id: str, operator_id: str = OPERATOR) -> dict[str, Any]:
        call = self._as(operator_id, NOTHING, control_id)
        answer = _plain(await api.cancel_control(self.flexibility, call))
        await self.flexibility.sweep()
        return answer

    async def list_of(self, operator_id: str = OPERATOR, **query: str) -> list[str]:
        call = self._as(operator_id, NOTHING)
        call.query = convert_query(query, api.ControlsQuery)
        page = _plain(await api.list_controls(self.flexibility, call))
        return [item["control_id"] for item in page["items"]]

    def _as(self, operator_id: str, body: Any, control_id: str = "") -> Call[Any, Any]:
        principal = Principal(Audience.OPERATOR, CLIENT, operator_id, frozenset({"write"}))
        call = Call(principal, body, NOTHING, self.clock.now_ms(), {"control_id": control_id})
        call.request_id = "req_1"
        return call

    # ------------------------------------------------------------------ chargers

    async def fetch(self, device_no: int = 1) -> dict[int, list[dict[str, Any]]]:
        """Let a charger fetch, obey and report; return the limits it was told by connector."""
        told = {}
        twin = self.twins.setdefault(device_no, Twin())
        for command in await self.heartbeat(device_no):
            assert command["command"] == "set_power_limit"
            connector_id = command["params"]["connector_id"]
            told[connector_id] = twin.limits[connector_id] = command["params"]["limits"]
            await self.say(command["command_id"], "accepted", device_no)
            await self.say(command["command_id"], "completed", device_no, at_s=1)
        return told

    async def pass_time(self, seconds: float) -> None:
        """Move the clock and do what is due."""
        self.clock.advance(seconds)
        await self.service.sweep()
        await self.flexibility.sweep()

    async def read_log(self) -> list[tuple[Any, ...]]:
        """The audit log."""
        return await self.rows("SELECT action, actor, resource_id FROM audit_log ORDER BY entry_no")


def limits_kw(told: dict[int, list[dict[str, Any]]]) -> dict[int, list[float]]:
    """The limits in kW that connectors were told."""
    return {number: [one["power_limit_kw"] for one in limits] for number, limits in told.items()}


def _plain(value: Any) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(value))
    return plain


@pytest.fixture
def run_bench(tmp_path: Path) -> Callable[[Callable[[ControlBench], Awaitable[T]]], T]:
    """Run a coroutine function over a started bench with a site and stop it afterwards."""

    def run(test: Callable[[ControlBench], Awaitable[T]]) -> T:
        async def whole() -> T:
            bench = ControlBench(tmp_path / "tellus.db")
            async with bench.database:
                await bench.add_site()
                await bench.service.start()
                await bench.flexibility.start()
                try:
                    return await asyncio.wait_for(test(bench), 30)
                finally:
                    bench.service.stop()

        return asyncio.run(whole())

    return run
