"""The fleet over a real SQLite file, wired as the application does it, with a clock tests move."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from tellus.audit.model import PLATFORM
from tellus.fleet import admin_api, device_api, operator_api
from tellus.fleet.administration import DeviceAdministration
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Device, Directory
from tellus.fleet.enrolment import EnrolmentTokens
from tellus.fleet.events import EventKind, EventService
from tellus.fleet.loading import FleetLoader
from tellus.fleet.model import EventsStored, PresenceChanged, Reading
from tellus.fleet.presence import PresenceSettings, PresenceWatch
from tellus.fleet.queries import FleetQueries
from tellus.fleet.registration import RegistrationService, RegistrationSettings
from tellus.fleet.rules import Mode
from tellus.fleet.service import FleetService
from tellus.fleet.sites import SiteAdministration
from tellus.identity.keys import KeyRing
from tellus.identity.model import DeviceTokenIssued, SecretFirstUsed, SecretOverdue
from tellus.identity.service import IdentityService
from tellus.kernel.call import ANYONE, NOTHING, Audience, Call, Principal
from tellus.kernel.clock import ManualClock
from tellus.kernel.decoding import BodyDecoder, convert_query
from tellus.storage.database import Row
from tellus.storage.sqlite import SQLiteDatabase

T = TypeVar("T")

ADDRESS = "203.0.113.7"
ADMIN = Principal(Audience.ADMIN, "svc_1", "")


class FleetBench:
    """All services of the fleet over one store, and builders of what tests start from."""

    def __init__(self, path: Path, mode: Mode) -> None:
        self.clock = ManualClock()
        self.keys = KeyRing(bytes(range(32)), bytes(range(32, 64)))
        self.database = SQLiteDatabase.open(path, clock=self.clock)
        self.mode = mode
        self.catalogue = Catalogue.load()

    async def start(self) -> None:
        """Wire and load everything, as a start or restart of the server does."""
        db, clock = self.database, self.clock
        self.directory = Directory()
        self.identity = IdentityService(db, self.keys, clock, limit_scale=1000.0)
        self.kind = EventKind(self.directory, self.identity.vault)
        self.told: list[Any] = []
        self.kind.told.append(self.told.append)
        self.presence = PresenceWatch(
            db, self.directory, self.kind, self.catalogue, PresenceSettings(), clock
        )
        self.presence.told.append(self.told.append)
        self._wire_use_cases(EnrolmentTokens(self.keys.derive("enrolment")))
        await self.identity.start()
        self.built_in = await self.sites.ensure_built_in(clock.now_ms(), "Built-in", "Default")
        self.registration.use_default_place(*self.built_in)
        await self.loader.load()

    def _wire_use_cases(self, tokens: EnrolmentTokens) -> None:
        db, clock = self.database, self.clock
        self.registration = RegistrationService(
            db,
            self.identity,
            self.directory,
            self.catalogue,
            tokens,
            RegistrationSettings(self.mode),
            clock,
        )
        self.identity.react(
            SecretFirstUsed,
            in_tx=self.registration.activate,
            after_commit=self.registration.note_active,
        )
        self.identity.react(DeviceTokenIssued, after_commit=self.presence.note_token)
        self.identity.react(SecretOverdue, after_commit=self.presence.note_overdue)
        self.events = EventService(db, self.kind, self.directory)
        self.queries = FleetQueries(
            db, self.directory, self.catalogue, self.presence, self.identity.vault
        )
        self.sites = SiteAdministration(db, self.identity, self.queries, "local")
        self.devices = DeviceAdministration(db, self.identity, self.directory, tokens, self.queries)
        self.fleet = FleetService(db, self.directory, self.presence)
        self.loader = FleetLoader(db, self.directory, self.identity)

    async def operator(self, name: str = "Acme") -> str:
        return (await self.identity.create_operator(name, PLATFORM)).operator_id

    async def site(self, operator_id: str, **fields: Any) -> str:
        body = {"operator_id": operator_id, "name": "Depot"} | fields
        return (await self.admin("create_site", body))["site_id"]

    async def provision(self, sn: str = "SN1", **fields: Any) -> dict[str, Any]:
        if "site_id" not in fields:
            fields["site_id"] = await self.site(await self.operator())
        return await self.admin("provision_device", {"sn": sn, **fields})

    async def register(self, sn: str = "SN1", enrolment: str = "", **fields: Any) -> dict[str, Any]:
        body = {"sn": sn, "model": "TP-DC180", "manufacturer": "M", "firmware_version": "3.1.0"}
        call = self.call(device_api.RegisterRequest, body | fields, ANYONE)
        call.enrolment = enrolment
        return plain(await device_api.register_device(self.registration, call))

    async def token(self, registered: dict[str, Any]) -> str:
        issued = await self.identity.issue_device_token(
            registered["device_id"], registered["device_secret"], ADDRESS
        )
        return issued.text

    async def device(self, sn: str = "SN1", **fields: Any) -> Device:
        """An active device of the built-in operator, as open registration makes it."""
        registered = await self.register(sn, **fields)
        await self.token(registered)
        device = self.directory.by_id(registered["device_id"])
        assert device is not None
        return device

    def contact(self, device: Device) -> None:
        """An authenticated request of the device, as the pipeline notes it."""
        assert device.principal is not None
        device.principal.last_seen_ms = self.clock.now_ms()

    async def beat(self, device: Device, status: str = "online", fault_code: Any = 0) -> None:
        self.contact(device)
        now_ms = self.clock.now_ms()
        await self.fleet.heartbeat(device.device_no, status, fault_code, now_ms, now_ms)

    async def sweep(self) -> None:
        await self.presence.sweep(self.clock.now_ms())

    async def advance(self, seconds: float) -> None:
        """Let time pass, and the watch look."""
        self.clock.advance(seconds)
        await self.sweep()

    async def report(self, device: Device, **body: Any) -> None:
        given = {"timestamp": "2025-03-15T09:29:00Z", "event_type": "plug_in", "data": {}} | body
        call = self.call(device_api.EventReport, given, principal_of(device))
        await device_api.report_event(self.events, call)

    async def report_many(self, device: Device, items: list[Any]) -> list[dict[str, Any]]:
        call = self.call(device_api.BatchRequest, {"items": items}, principal_of(device))
        return plain(await device_api.report_event_batch(self.events, call))["items"]

    async def operator_reads(self, name: str, operator_id: str = "", **values: str) -> Any:
        """What an operator's client gets from a handler of the operator surface, as JSON."""
        path = {k: values.pop(k) for k in ("device_id", "site_id") if k in values}
        if "of_site" in values:
            values["site_id"] = values.pop("of_site")
        principal = Principal(Audience.OPERATOR, "cl_1", operator_id or self.built_in.operator_id)
        principal.vin_mode = values.pop("vin_mode", "full")
        query = {
            "list_sites": operator_api.SitesQuery,
            "list_devices": operator_api.DevicesQuery,
            "get_device": operator_api.DeviceQuery,
            "list_device_events": operator_api.EventsQuery,
        }.get(name)
        call: Call[Any, Any] = Call(
            principal,
            NOTHING,
            convert_query(values, query) if query else NOTHING,
            self.clock.now_ms(),
            path,
        )
        return plain(await getattr(operator_api, name)(self.queries, call))

    async def admin(self, name: str, body: dict[str, Any] | None = None, **path: str) -> Any:
        """What a service account gets from a changing handler of the administration surface."""
        kinds = {
            "create_site": (self.sites, admin_api.CreateSiteRequest),
            "change_site": (self.sites, admin_api.ChangeSiteRequest),
            "provision_device": (self.devices, admin_api.ProvisionRequest),
            "withdraw_provisioning": (self.devices, None),
            "reclaim_device": (self.devices, admin_api.ReclaimRequest),
            "change_device": (self.devices, admin_api.ChangeDeviceRequest),
            "delete_device": (self.devices, None),
        }
        service, kind = kinds[name]
        call = self.call(kind, body or {}, ADMIN)
        call.path = dict(path)
        return plain(await getattr(admin_api, name)(service, call))

    async def admin_reads(self, name: str, query: Any = None, **path: str) -> Any:
        call: Call[Any, Any] = Call(ADMIN, NOTHING, query, self.clock.now_ms(), dict(path))
        return plain(await getattr(admin_api, name)(self.queries, call))

    def call(self, kind: Any, body: dict[str, Any], principal: Principal) -> Call[Any, Any]:
        decoded = NOTHING if kind is None else BodyDecoder(kind).decode(msgspec.json.encode(body))
        now_ms = self.clock.now_ms()
        call: Call[Any, Any] = Call(principal, decoded, NOTHING, now_ms)
        call.address, call.request_id = ADDRESS, "req_1"
        return call

    async def store_reading(self, device: Device, time_ms: int, content: bytes) -> None:
        """A reading as telemetry stores it, on the disk alone."""
        reading = msgspec.msgpack.decode(content, type=Reading)
        row = (device.device_no, 1, time_ms, reading.state, content)
        await self.database.write(self.fleet.advance_connectors, [row])

    async def rows(self, sql: str, *values: Any) -> list[Row]:
        return await self.database.read(lambda tx: tx.rows(sql, *values))

    async def audited(self) -> list[str]:
        """The actions in the audit log, oldest first, without those of identity."""
        rows = await self.rows("SELECT action FROM audit_log ORDER BY entry_no")
        return [row[0] for row in rows if row[0].startswith(("device.", "site."))]

    def stored_events(self) -> list[Any]:
        """The events that listeners were told of."""
        facts = [fact for fact in self.told if isinstance(fact, EventsStored)]
        return [event for fact in facts for event in fact.events]

    def transitions(self) -> list[PresenceChanged]:
        """The comings and goings that listeners were told of."""
        return [fact for fact in self.told if isinstance(fact, PresenceChanged)]


def plain(answer: Any) -> Any:
    """What a client reads of an answer."""
    return msgspec.json.decode(msgspec.json.encode(answer))


def principal_of(device: Device) -> Principal:
    """The living principal of a device."""
    assert device.principal is not None
    return device.principal


Run = Callable[..., Any]


@pytest.fixture
def run_bench(tmp_path: Path) -> Run:
    """Run a coroutine function over a started bench and stop it afterwards."""

    def run(test: Callable[[FleetBench], Awaitable[T]], mode: Mode = Mode.OPEN) -> T:
        async def whole() -> T:
            bench = FleetBench(tmp_path / "tellus.db", mode)
            await bench.database.start()
            try:
                await bench.start()
                return await test(bench)
            finally:
                await bench.database.stop()

        return asyncio.run(whole())

    return run
