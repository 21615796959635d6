"""A whole platform in this process over a real store, whose clock stands still until moved.

Chargers here are a few lines each: what they send goes the way that it would behind HTTP.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tellus.alerts.model import Alert, AlertFilter
from tellus.app import Platform
from tellus.audit.model import Actor
from tellus.commands.model import Effect, HeartbeatMore, Report, Running, Signal
from tellus.config import load_configuration
from tellus.configuration.model import ProfileChange
from tellus.diagnostics import store_conditions
from tellus.fleet.administration import DeviceChange
from tellus.fleet.directory import Device
from tellus.fleet.events import make_event
from tellus.fleet.model import DeviceIdentity, EventType, HealthReading, Reading, Site
from tellus.fleet.model_health import ComponentHealth
from tellus.fleet.registration import RegisterCall
from tellus.identity.model import DeviceTokenIssued
from tellus.kernel.clock import ManualClock
from tellus.kernel.errors import TooManyRequests
from tellus.kernel.ids import new_id
from tellus.logs import LogRecorder
from tellus.sessions.model import Content
from tests.databases import POSTGRES, Choice, database_url

BEGAN_MS = 1_790_000_000_000
NEVER_S = 1_000_000.0
TESTER = Actor("tester")


async def patiently(send: Callable[[], Awaitable[Any]]) -> None:
    """Send again what the platform has no time for, as chargers do."""
    while True:
        try:
            await send()
        except TooManyRequests:
            await asyncio.sleep(0.02)
        else:
            return


class DetectionWorld:
    """A platform that finds faults only when it is told to look."""

    def __init__(self, data_dir: Path, began_ms: int = BEGAN_MS) -> None:
        flags: dict[str, Any] = {
            "data_dir": str(data_dir),
            "registration.mode": "open",
            "limits.scale": 1000.0,
            "diagnostics.turn_s": NEVER_S,
            "health.flush_s": 30.0,
        }
        if Choice.kind == POSTGRES:
            flags["database.url"] = database_url(data_dir)
        data_dir.mkdir(parents=True, exist_ok=True)
        self.settings = load_configuration(flags, environment={}).settings
        self.clock = ManualClock(began_ms)
        self.platform = Platform(self.settings, LogRecorder(), clock=self.clock)

    @property
    def now_ms(self) -> int:
        return self.clock.now_ms()

    async def start(self) -> None:
        await self.platform.start()
        [first] = {site.operator_id for site in await self._sites()}
        self.operator_id = first

    async def stop(self) -> None:
        await self.platform.stop()

    async def begin_again(self) -> None:
        """Stop, and start another platform on the same file."""
        await self.platform.stop()
        self.platform = Platform(self.settings, LogRecorder(), clock=self.clock)
        await self.platform.start()

    async def _sites(self) -> list[Site]:
        _, found = await self.platform.queries.list_sites(None, (0, 100), self.now_ms)
        return [summary.site for summary in found]

    # ---------------------------------------------------------------- what there is

    async def add_site(self, lat: float | None = None, lng: float | None = None) -> str:
        """A site of the one operator; returns its identifier."""
        site_id = new_id("site")
        region = self.settings.instance.region
        site = Site(
            site_id, self.operator_id, site_id, "UTC", region, True, self.now_ms, lat=lat, lng=lng
        )
        await self.platform.sites.create_site(site, TESTER)
        return site_id

    async def add_device(
        self, site_id: str, model: str = "TP-DC180", firmware: str = "3.1.0"
    ) -> Device:
        """A registered charger at a site, that has been heard of."""
        platform = self.platform
        sn = new_id("sn")
        identity = DeviceIdentity(sn, model, "Maker", firmware, None)
        call = RegisterCall("", "127.0.0.1", "req", self.now_ms)
        claimed = await platform.registration.register(identity, call)
        change = DeviceChange(site_id, None, None)
        await platform.devices.change_device(claimed.device_id, change, TESTER, self.now_ms)
        device = platform.directory.by_id(claimed.device_id)
        assert device is not None
        self.hear(device)
        return device

    async def move_away(self, device: Device) -> None:
        """Move a device to a site of another operator."""
        identity, now_ms = self.platform.identity, self.now_ms
        operator = await identity.create_operator("Other", TESTER)
        region = self.settings.instance.region
        other_id = operator.operator_id
        site = Site(new_id("site"), other_id, "Other", "UTC", region, True, now_ms)
        await self.platform.sites.create_site(site, TESTER)
        change = DeviceChange(site.site_id, None, None)
        await self.platform.devices.change_device(device.device_id, change, TESTER, now_ms)

    async def conditions(self) -> int:
        """How many faults are the case."""
        return len(await self.platform.database.read(store_conditions.list_present))

    def of(self, device: Device) -> Device:
        """The same device as the platform of now holds it."""
        found = self.platform.directory.by_no(device.device_no)
        assert found is not None
        return found

    # ---------------------------------------------------------------- what chargers send

    def hear(self, device: Device) -> None:
        """Note a request of a device, as the pipeline does."""
        device = self.of(device)
        assert device.principal is not None
        device.principal.last_seen_ms = self.now_ms

    async def frame(
        self,
        device: Device,
        connector_id: int = 1,
        *,
        state: str = "idle",
        voltage: float = 0.0,
        current: float = 0.0,
        temperature: float | None = 25.0,
        detail: str | None = None,
        health: ComponentHealth | None = None,
        ago_ms: int = 0,
    ) -> None:
        """A sample."""
        self.hear(device)
        power = voltage * current / 1000
        plain = (state, voltage, current, power, 0.0, None, temperature, detail, None)
        reading: Reading = (
            Reading(*plain) if health is None else HealthReading(*plain, component_health=health)
        )
        telemetry = self.platform.telemetry
        place = (device.device_no, connector_id)
        sample = telemetry.judge(*place, self.now_ms - ago_ms, self.now_ms, reading)
        await patiently(partial(telemetry.ingest, sample))

    async def event(
        self, device: Device, kind: EventType, connector_id: int = 1, ago_ms: int = 0, **data: Any
    ) -> None:
        """An event."""
        self.hear(device)
        place = (device.device_no, connector_id)
        told = make_event(place, kind, self.now_ms - ago_ms, data, self.now_ms)
        await patiently(partial(self.platform.events.report, (told,)))

    async def fault(
        self, device: Device, code: int | str, connector_id: int = 1, ago_ms: int = 0
    ) -> None:
        """A fault event."""
        await self.event(device, EventType.FAULT, connector_id, ago_ms, fault_code=code)

    async def heartbeat(
        self,
        device: Device,
        code: int | str = 0,
        running: Running | None = None,
        status: str = "online",
    ) -> None:
        """A heartbeat, perhaps with what the charger says it runs."""
        self.hear(device)
        now_ms = self.now_ms
        number = device.device_no
        beat = partial(self.platform.fleet.heartbeat, number, status, code, now_ms, now_ms)
        await patiently(beat)
        await patiently(partial(self._tell_running, number, HeartbeatMore(running), now_ms))

    async def _tell_running(self, device_no: int, more: HeartbeatMore, now_ms: int) -> None:
        heard = self.platform.diagnosing.configuration.hear(device_no, more, now_ms)
        if heard is not None:
            await heard

    async def record(
        self, device: Device, stop_reason: str | None, connector_id: int = 1, lasted_s: float = 600
    ) -> None:
        """A charging record of a session that has just ended."""
        self.hear(device)
        extras = {} if stop_reason is None else {"stop_reason": stop_reason}
        content = Content(
            record_id=new_id("rec"),
            connector_id=connector_id,
            start_ms=self.now_ms - round(lasted_s * 1000),
            end_ms=self.now_ms,
            energy_kwh=5.0,
            max_power_kw=50.0,
            extras=extras,
        )
        upload = partial(self.platform.records.upload, device.device_no, content, self.now_ms)
        await patiently(upload)

    def reconnect(self, device: Device) -> None:
        """A token asked for although the last one was good: a reconnect."""
        self.hear(device)
        self.platform.presence.note_token(DeviceTokenIssued(device.device_no, self.now_ms, 3_000.0))

    async def assign_profile(self, device: Device) -> Running:
        """Assign a profile, let the charger apply it, and return what it then says it runs."""
        diagnosing, now_ms = self.platform.diagnosing, self.now_ms
        values = {"limit_pct": device.device_no}
        change = ProfileChange(name=new_id("profile"), models=(), values=values)
        view = await diagnosing.profiles.create_profile(self.operator_id, change, TESTER, now_ms)
        issuer = ("", self.operator_id)
        profile = view.profile
        await diagnosing.configuration.assign(
            device.device_id, profile.profile_id, None, issuer, now_ms, None, TESTER
        )
        for command in await self.platform.commands.take_all(device.device_no, now_ms):
            for status in (Signal.ACCEPTED, Signal.COMPLETED):
                times = (now_ms, now_ms)
                said = Report(command.command_id, status, *times, Effect.APPLIED, None, None)
                await self.platform.commands.report(device.device_no, said)
        return Running(profile.profile_id, profile.hash)

    # ---------------------------------------------------------------- looking

    async def look(self) -> None:
        """Let the platform look at what came in, as it would every second or few."""
        platform, now_ms = self.platform, self.now_ms
        if platform.database.is_shared:
            await platform.nodes.beat()  # its lease lapses as fast as this clock goes
        await platform.presence.sweep(now_ms)
        await platform.diagnosing.health.turn()
        await platform.diagnosing.configuration.turn()
        await platform.diagnosing.detection.lookout.flush()
        await platform.diagnosing.detection.turn()

    async def pass_time(self, seconds: float, *devices: Device, step_s: float = 10.0) -> None:
        """Let time pass, looking on; meanwhile these devices are heard of."""
        left_s = seconds
        while left_s > 0:
            self.clock.advance(min(step_s, left_s))
            left_s -= step_s
            for device in devices:
                self.hear(device)
            await self.look()

    async def alerts(self) -> Sequence[Alert]:
        """All alerts, newest first."""
        wanted = AlertFilter(operator_id=self.operator_id)
        _, found = await self.platform.diagnosing.alerts.list_alerts(wanted, 0, 100_000)
        return found

    async def codes(self, device: Device | None = None) -> list[str]:
        """The codes of all alerts, or of a device's, sorted."""
        return sorted(
            alert.code
            for alert in await self.alerts()
            if device is None or alert.device_no == device.device_no
        )
