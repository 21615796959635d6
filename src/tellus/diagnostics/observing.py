"""Loads what detectors judge: frames after a stop, how hot connectors are, how a device is now."""

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from tellus.configuration.model import RunningConfig
from tellus.diagnostics import store_inbox, store_turns
from tellus.diagnostics.catalogue.faults import FaultDictionary
from tellus.diagnostics.model import Limits
from tellus.diagnostics.rules_clearing import ConnectorNow, Now
from tellus.diagnostics.rules_f_0101 import AfterStop, Frame
from tellus.diagnostics.rules_f_0203 import Heat
from tellus.diagnostics.rules_f_0601 import FanMinute, f_0601, merge_minutes
from tellus.diagnostics.rules_stuck import Standing
from tellus.diagnostics.rules_wear import worn_ratio
from tellus.fleet.directory import Device
from tellus.fleet.model import EventType
from tellus.fleet.presence import PresenceWatch
from tellus.health.model import HealthSpan
from tellus.health.model_view import Wear
from tellus.kernel.errors import NotFound
from tellus.kernel.units import DAY_MS, MINUTE_MS
from tellus.storage.database import Database, Tx
from tellus.telemetry.service import TelemetryService

_AFTER_STOP_MS: Final = 15 * MINUTE_MS
_MOST_FRAMES: Final = 200
_FAN_BACK_MS: Final = 30 * MINUTE_MS
_TURNS_BACK_MS: Final = 7 * DAY_MS
_MOST_TURNS: Final = 60
_CABINET: Final = "temp_power_module_c"
_FAN: Final = "cooling_fan_rpm"


class HealthReader(Protocol):
    """What is read of component health."""

    def read_minutes(self, tx: Tx, device_no: int, from_ms: int, to_ms: int) -> list[HealthSpan]:
        """Return the minutes of a device in ``[from_ms, to_ms)``."""
        ...


ReadRunning = Callable[[Tx, list[int]], list[RunningConfig]]
ReadWear = Callable[[Tx, Device, int], dict[int, dict[str, Wear]]]


class Sources(NamedTuple):
    """Where observations come from; the last three are None where there is no such part."""

    database: Database
    telemetry: TelemetryService
    presence: PresenceWatch
    faults: FaultDictionary
    health: HealthReader | None = None
    running: ReadRunning | None = None
    wear: ReadWear | None = None


class Observing:
    """Loads observations."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def after_stop(
        self, device: Device, connector_id: int, stopped_ms: int | None, now_ms: int
    ) -> AfterStop | None:
        """Return a connector's frames from a stop, by default its last one, to what follows it.

        None where a session runs, or nothing is known of any stop.
        """
        turns = await self.turns(device, connector_id)
        if stopped_ms is None:
            stopped_ms = turns.get(EventType.STOP)
        if stopped_ms is None:
            return None
        begun = [
            time_ms
            for kind in (EventType.PLUG_IN, EventType.START)
            if (time_ms := turns.get(kind)) is not None and time_ms > stopped_ms
        ]
        until_ms = min([*begun, max(now_ms, stopped_ms) + _AFTER_STOP_MS])
        try:
            samples, _ = await self._sources.telemetry.history(
                device.device_id,
                device.operator_id,
                connector_id,
                stopped_ms,
                until_ms,
                enough=_MOST_FRAMES,
            )
        except NotFound:
            return None
        frames = [
            Frame(
                sample.time_ms,
                sample.reading.state,
                sample.reading.detail_state,
                sample.reading.voltage_v,
                sample.reading.current_a,
            )
            for sample in samples[:_MOST_FRAMES]
        ]
        return AfterStop(stopped_ms, frames, turns.get(EventType.PLUG_OUT))

    async def turns(self, device: Device, connector_id: int) -> dict[str, int]:
        """Return when (ms) each type of event last came from a connector."""
        find = store_inbox.find_turns
        return await self._sources.database.read(find, device.device_no, connector_id)

    def heat(self, device: Device, connector_id: int, temperature_c: float, at_ms: int) -> Heat:
        """Return how hot a connector was found, with how warm the others are."""
        others_c = {}
        power_kw = 0.0
        for other in device.connectors.values():
            if other.reading is None:
                continue
            if other.connector_id == connector_id:
                power_kw = other.reading.power_kw
            elif other.reading.temperature_c is not None:
                others_c[other.connector_id] = other.reading.temperature_c
        return Heat(connector_id, temperature_c, at_ms, others_c, power_kw)

    async def fan_minutes(self, device_no: int, now_ms: int) -> list[FanMinute]:
        """Return the newest minutes of a device's fan."""
        found = [
            (span.start_ms, span.metrics[_FAN])
            for span in await self._minutes(device_no, now_ms)
            if _FAN in span.metrics
        ]
        return merge_minutes(found)

    async def running(self, device_no: int) -> RunningConfig | None:
        """Return what a device ought to run and says it runs, None where nothing is assigned."""
        if self._sources.running is None:
            return None
        found = await self._sources.database.read(self._sources.running, [device_no])
        return found[0] if found else None

    async def wear(self, device: Device, connector_id: int, now_ms: int) -> dict[str, Wear]:
        """Return the wear of a connector's parts, empty where nothing is known of it."""
        if self._sources.wear is None:
            return {}
        found = await self._sources.database.read(self._sources.wear, device, now_ms)
        return found.get(connector_id, {})

    async def standing(self, device: Device, connector_id: int, now_ms: int) -> Standing | None:
        """Return a connector's turns of the last week and how it is; None before the first frame.

        Times are the device's own: so is ``now_ms`` of what is returned.
        """
        connector = device.connectors.get(connector_id)
        if connector is None or connector.reading is None:
            return None
        by_its_clock_ms = now_ms + (device.clock_offset_ms or 0)
        place = (device.device_no, connector_id)
        from_ms = max(by_its_clock_ms - _TURNS_BACK_MS, device.owned_since_ms)
        turns = await self._sources.database.read(
            store_turns.list_turns, place, from_ms, _MOST_TURNS
        )
        return Standing(turns, connector.reading.detail_state, by_its_clock_ms)

    async def now(self, device: Device, limits: Limits, now_ms: int, *, health: bool) -> Now:
        """Return how a device is now; ``health`` asks for its fan and cabinet too."""
        cabinet_c, cabinet_ms, fan_good, worn = None, 0, None, {}
        if health:
            minutes = await self._minutes(device.device_no, now_ms)
            warm = [span for span in minutes if _CABINET in span.metrics]
            if warm:
                cabinet_c, cabinet_ms = warm[-1].metrics[_CABINET].last, warm[-1].start_ms
            fan = merge_minutes(
                [(span.start_ms, span.metrics[_FAN]) for span in minutes if _FAN in span.metrics]
            )
            fan_good = f_0601(fan, limits).present is False
            worn = {
                span.connector_id: ratio
                for span in minutes
                if (ratio := worn_ratio(span.metrics, limits.contactor_cycles)) is not None
            }
        return Now(
            now_ms,
            self._sources.presence.is_online(device, now_ms),
            self.code_of(device.fault_code),
            {
                no: ConnectorNow(
                    connector.time_ms,
                    connector.reading.state,
                    connector.reading.voltage_v,
                    connector.reading.current_a,
                    connector.reading.temperature_c,
                )
                for no, connector in device.connectors.items()
                if connector.reading is not None
            },
            tuple(device.reconnects),
            cabinet_c,
            fan_good,
            cabinet_ms,
            worn,
        )

    def code_of(self, fault_code: float | str | None) -> str:
        """Return a heartbeat's code in the dictionary's form, as it came, or empty for none."""
        if fault_code in {None, 0, "0", ""}:
            return ""
        fault = self._sources.faults.find(str(fault_code))
        return fault.code if fault is not None else str(fault_code)

    def is_known(self, code: str) -> bool:
        """Tell whether the dictionary has a code."""
        return self._sources.faults.find(code) is not None

    async def _minutes(self, device_no: int, now_ms: int) -> list[HealthSpan]:
        health = self._sources.health
        if health is None:
            return []
        read = health.read_minutes
        spans = await self._sources.database.read(
            read, device_no, now_ms - _FAN_BACK_MS, now_ms + MINUTE_MS
        )
        return sorted(spans, key=lambda span: span.start_ms)
