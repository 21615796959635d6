"""What each agent does in its turn: read about one operator's devices, decide, draft."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from tellus.agents import rules_anomaly, rules_repeats, store
from tellus.agents.drafts import draft_anomaly, draft_recurrence, draft_visit
from tellus.agents.gathering import PAST_DAYS, WINDOW_MS, make_readings, to_unit
from tellus.agents.model import Draft, Readings, WornPart
from tellus.agents.rules_dispatch import find_worn
from tellus.agents.worklist import WorkList
from tellus.fleet.directory import Device
from tellus.health.queries import HealthQueries
from tellus.health.service import HealthService
from tellus.kernel.units import DAY_MS
from tellus.storage.database import Database, Tx

_AT_ONCE: Final = 50
_PAUSE_S: Final = 0.02


class Hunter(Protocol):
    """An agent at work."""

    async def look(self, operator_id: str, devices: Sequence[Device], now_ms: int) -> list[Draft]:
        """Return what it would propose about the devices of an operator."""
        ...


class AnomalyHunter:
    """Looks for parts unlike their own past and unlike their peers."""

    def __init__(self, database: Database, health: HealthService) -> None:
        self._database = database
        self._health = health

    async def look(self, operator_id: str, devices: Sequence[Device], now_ms: int) -> list[Draft]:
        """Return a draft per metric that stands out."""
        del operator_id
        readings: list[Readings] = []
        for start in range(0, len(devices), _AT_ONCE):
            some = devices[start : start + _AT_ONCE]
            readings += await self._database.read(self._read, some, now_ms)
            await asyncio.sleep(_PAUSE_S)  # uploads go first
        units = {device.device_no: to_unit(device) for device in devices}
        found = await asyncio.to_thread(rules_anomaly.find_anomalies, readings)
        return [draft_anomaly(one, units[one.readings.place.device_no]) for one in found]

    def _read(self, tx: Tx, devices: Sequence[Device], now_ms: int) -> list[Readings]:
        from_ms = now_ms - WINDOW_MS - PAST_DAYS * DAY_MS
        return [
            readings
            for device in devices
            for readings in make_readings(
                device,
                self._health.read_hours(
                    tx, device.device_no, max(from_ms, device.owned_since_ms), now_ms
                ),
                now_ms,
            )
        ]


class RepeatFaultHunter:
    """Looks for faults that come back."""

    def __init__(self, database: Database, titles: Mapping[str, str]) -> None:
        self._database = database
        self._titles = titles

    async def look(self, operator_id: str, devices: Sequence[Device], now_ms: int) -> list[Draft]:
        """Return a draft per fault that comes back."""
        from_ms = now_ms - rules_repeats.WINDOW_MS
        owned_since_ms = {device.device_no: device.owned_since_ms for device in devices}
        faults = await self._database.read(store.list_faults, owned_since_ms, from_ms)
        resolved_ms = await self._database.read(store.list_resolved, operator_id, from_ms)
        own = [fault for fault in faults if fault.time_ms >= owned_since_ms[fault.device_no]]
        units = [to_unit(device) for device in devices]
        found = await asyncio.to_thread(rules_repeats.find_recurrences, units, own, resolved_ms)
        return [draft_recurrence(one, self._titles) for one in found]


class MaintenanceDispatcher:
    """Proposes visits: the sites of the work list where somebody has to go."""

    def __init__(self, database: Database, health: HealthQueries, work: WorkList) -> None:
        self._database = database
        self._health = health
        self._work = work

    async def look(self, operator_id: str, devices: Sequence[Device], now_ms: int) -> list[Draft]:
        """Return a draft per site to visit; what is nearly worn is noted for the work list."""
        for start in range(0, len(devices), _AT_ONCE):
            some = devices[start : start + _AT_ONCE]
            worn = await self._database.read(self._read_worn, some, now_ms)
            numbers = [device.device_no for device in some]
            await self._database.write(store.replace_wear, numbers, worn, now_ms)
            await asyncio.sleep(_PAUSE_S)
        device_ids = {device.device_no: device.device_id for device in devices}
        sites = await self._work.plan(operator_id)
        drafts = [draft_visit(site, operator_id, device_ids) for site in sites]
        return [draft for draft in drafts if draft is not None]

    def _read_worn(self, tx: Tx, devices: Sequence[Device], now_ms: int) -> list[WornPart]:
        return [
            part
            for device in devices
            for connector_id, parts in self._health.read_wear(tx, device, now_ms).items()
            for component, wear in parts.items()
            if (part := find_worn((device.device_no, connector_id), component, wear, now_ms))
        ]
