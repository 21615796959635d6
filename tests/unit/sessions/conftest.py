"""A record service over a real SQLite file, spoken to by its handlers."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from tellus.fleet import store as fleet_store
from tellus.fleet.directory import Device, Directory
from tellus.fleet.model import Site
from tellus.identity.keys import KeyRing
from tellus.identity.vault import Vault
from tellus.kernel.batch import BatchItem, BatchRequest
from tellus.kernel.call import NOTHING, Audience, Call, Principal
from tellus.kernel.clock import ManualClock
from tellus.kernel.decoding import BodyDecoder, convert_query
from tellus.kernel.paging import Page
from tellus.kernel.units import to_text
from tellus.sessions import device_api, operator_api
from tellus.sessions.service import RecordService
from tellus.storage.sqlite import SQLiteDatabase

T = TypeVar("T")

OPERATOR = "op_1"
VIN = "LVXFA394XJ1234567"
OTHER_VIN = "WVWZZZ1KZ6W000001"

_decode_one = BodyDecoder(device_api.ChargingRecordUpload).decode
_decode_batch = BodyDecoder(BatchRequest).decode


class RecordBench:
    """Service, store and callers of one test."""

    def __init__(self, path: Path) -> None:
        self.clock = ManualClock()
        self.path = path
        self.database = SQLiteDatabase.open(path, clock=self.clock)
        self.directory = Directory()
        self.vault = Vault(KeyRing(os.urandom(32), os.urandom(32)))
        self.service = RecordService(self.database, self.directory, self.vault)
        self.lenient = False
        self.deviations = 0

    def add_device(
        self, device_no: int = 1, operator_id: str = OPERATOR, site_id: str = "site_1"
    ) -> Device:
        device = Device(device_no, f"dvc_{device_no}", f"SN{device_no}", operator_id, site_id)
        self.directory.add(device)
        return device

    async def add_site(self, site_id: str, operator_id: str = OPERATOR) -> None:
        site = Site(site_id, operator_id, site_id, "UTC", "eu", active=True, created_ms=0)
        await self.database.write(fleet_store.insert_site, site)

    def record(
        self, record_id: str = "rec_1", at_s: float = -3_600.0, **changes: Any
    ) -> dict[str, Any]:
        """A session of half an hour that began ``at_s`` seconds from now, as it is sent."""
        start_ms = self.clock.now_ms() + round(at_s * 1000)
        sent = {
            "record_id": record_id,
            "connector_id": 1,
            "start_time": to_text(start_ms),
            "end_time": to_text(start_ms + 1_800_000),
            "energy": 15.2,
            "max_power": 40.0,
            "avg_power": 30.4,
            "meter_start": 12345.6,
            "meter_end": 12360.8,
        }
        return {name: value for name, value in (sent | changes).items() if value is not None}

    async def upload(self, sent: dict[str, Any] | bytes, device_no: int = 1) -> None:
        raw = sent if isinstance(sent, bytes) else msgspec.json.encode(sent)
        call = self._call(device_no, _decode_one(raw), raw)
        await device_api.upload_charging_record(self.service, call)

    async def upload_batch(self, items: list[Any], device_no: int = 1) -> list[BatchItem]:
        raw = msgspec.json.encode({"items": items})
        call = self._call(device_no, _decode_batch(raw), raw)
        answer = await device_api.upload_charging_record_batch(self.service, call)
        self.deviations = call.principal.deviations
        return answer.items

    async def query(
        self, operator_id: str = OPERATOR, vin_mode: str = "full", **parameters: Any
    ) -> Page[dict[str, Any]]:
        principal = Principal(Audience.OPERATOR, "cl_1", operator_id)
        principal.vin_mode = vin_mode
        texts = {name: str(value) for name, value in parameters.items()}
        query = convert_query(texts, operator_api.RecordQuery)
        call = Call(principal, NOTHING, query, self.clock.now_ms())
        page = await operator_api.list_charging_records(self.service, call)
        for item in page.items:
            msgspec.convert(item, operator_api.ChargingRecordItem)
        return page

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return await self.database.read(lambda tx: tx.rows(sql))

    def _call(self, device_no: int, body: Any, raw: bytes) -> Call[Any, Any]:
        principal = Principal(Audience.DEVICE, f"dvc_{device_no}", OPERATOR, device_no=device_no)
        principal.lenient = self.lenient
        return Call(principal, body, NOTHING, self.clock.now_ms(), raw=raw)


@pytest.fixture
def run_bench(tmp_path: Path) -> Callable[[Callable[[RecordBench], Awaitable[T]]], T]:
    """Run a coroutine function over a started bench and stop it afterwards."""

    def run(test: Callable[[RecordBench], Awaitable[T]]) -> T:
        async def whole() -> T:
            bench = RecordBench(tmp_path / "tellus.db")
            async with bench.database:
                bench.add_device()
                return await test(bench)

        return asyncio.run(whole())

    return run
