"""The readers of evidence: one for each check, from the platform's data to a judgement."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from tellus.commands.model import DISCHARGE, Command, CommandFilter
from tellus.fleet.model import HEARTBEAT_LOST, RECONNECT_STORM, EventFilter
from tellus.kernel.errors import NotFound
from tellus.kernel.units import DAY_MS, HOUR_MS, SECOND_MS
from tellus.runbooks import (
    rules_power,
    rules_preparing,
    rules_v2g,
    store,
)
from tellus.runbooks.collecting import Collector
from tellus.runbooks.model import CheckResult, Vehicle
from tellus.runbooks.rules_power import NOT_ENGAGED, FaultSeen, Fellow
from tellus.runbooks.rules_preparing import Moment
from tellus.runbooks.rules_v2g import REFUSED, SYNC_LOST, DischargeSeen, Listed
from tellus.runbooks.scene import (
    Scene,
    latest_of,
    list_events,
    list_faults,
    list_releases,
    names_of,
)
from tellus.runbooks.sources import Sources, first_word

Reader = Callable[[Scene], Awaitable[CheckResult]]

_EVENTS_MOST: Final = 500
_FAULTS_MOST: Final = 100
_LATELY_MS: Final = DAY_MS
_CONNECTIVITY: Final = frozenset({HEARTBEAT_LOST, RECONNECT_STORM})


class Evidence:
    """Reads what checks need, and lets rules judge it (rule B3)."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._collector = Collector(sources)
        self.readers: Mapping[str, Reader] = {
            "supply_phases": self._supply_phases,
            "newest_faults": self._newest_faults,
            "firmware_latest": self._firmware_latest,
            "back_online": self._back_online,
            "firmware_cluster": self._firmware_cluster,
            "collect": self._collector.collect,
            "auth_before_stuck": self._auth_before_stuck,
            "charging_again": self._charging_again,
            "reset_worked": self._reset_worked,
            "discharge_delivery": self._discharge_delivery,
            "vehicle_eligible": self._vehicle_eligible,
            "inverter_synced": self._inverter_synced,
            "iso15118_20": self._iso15118_20,
        }

    async def read(self, check: str, scene: Scene) -> CheckResult:
        """Read and judge a check at a run's present step."""
        return await self.readers[check](scene)

    # ------------------------------------------------------------------ a charger that faults

    async def _supply_phases(self, scene: Scene) -> CheckResult:
        frames = [
            (connector.time_ms, connector.reading.phases)
            for connector in scene.view.device.connectors.values()
            if connector.reading is not None and connector.reading.phases is not None
        ]
        time_ms, phases = max(frames, key=lambda frame: frame[0], default=(0, None))
        age_s = None
        if phases is not None:
            age_s = (scene.by_its_clock(scene.now_ms) - time_ms) / SECOND_MS
        return rules_power.judge_supply(phases, age_s, scene.step.thresholds)

    async def _newest_faults(self, scene: Scene) -> CheckResult:
        thresholds = scene.step.thresholds
        faults = await list_faults(self._sources, scene, int(thresholds["events"]))
        return rules_power.judge_faults(faults, scene.now_ms, thresholds)

    async def _firmware_latest(self, scene: Scene) -> CheckResult:
        device = scene.view.device
        releases = await list_releases(self._sources, device.model)
        latest = latest_of(scene.runbook, device.model, releases)
        running = names_of(device.firmware_version, releases)
        return rules_power.judge_firmware(running, latest, scene.step.thresholds)

    async def _back_online(self, scene: Scene) -> CheckResult:
        view = scene.view
        since_ms = scene.by_its_clock(scene.run.since_ms - scene.step.wait_s * SECOND_MS)
        faults = await list_faults(self._sources, scene, _FAULTS_MOST, since_ms)
        own = [fault for fault in faults if fault.code not in _CONNECTIVITY]
        moment = (scene.now_ms, view.online)
        return rules_power.judge_return(view.last_heartbeat_ms, own, moment, scene.step.thresholds)

    async def _firmware_cluster(self, scene: Scene) -> CheckResult:
        thresholds, device = scene.step.thresholds, scene.view.device
        from_ms = scene.now_ms - int(thresholds["days"] * DAY_MS)
        counts = await self._sources.database.read(
            store.count_faulty,
            scene.run.operator_id,
            NOT_ENGAGED,
            from_ms,
            scene.now_ms + HOUR_MS,
        )
        fellows = []
        for device_no, faults in counts:
            one = self._sources.directory.by_no(device_no)
            if one is not None and one.operator_id == scene.run.operator_id:
                fellows.append(Fellow(one.device_id, one.site_id, one.firmware_version, faults))
        return rules_power.judge_cluster(
            fellows, device.device_id, device.firmware_version, thresholds
        )

    # ------------------------------------------------------------------ stuck in Preparing

    async def _auth_before_stuck(self, scene: Scene) -> CheckResult:
        thresholds = scene.step.thresholds
        from_ms = scene.now_ms - int(thresholds["history_days"] * DAY_MS)
        here = {0, scene.run.connector_id}
        moments = []
        for event_type in ("plug_in", "auth_ok", "auth_failed"):
            wanted = EventFilter(event_type=event_type, from_ms=from_ms)
            events = await list_events(self._sources, scene, wanted, _EVENTS_MOST)
            moments += [
                Moment(event.event_type, event.time_ms)
                for event in events
                if event.connector_id in here
            ]
        return rules_preparing.judge_authentication(moments, scene.now_ms, thresholds)

    async def _charging_again(self, scene: Scene) -> CheckResult:
        thresholds = scene.step.thresholds
        from_ms = scene.now_ms - int(thresholds["days"] * DAY_MS)
        faults = await list_faults(self._sources, scene, _FAULTS_MOST, from_ms)
        times = [
            fault.time_ms
            for fault in faults
            if fault.code == NOT_ENGAGED and fault.connector_id == scene.run.connector_id
        ]
        earlier = await self._sources.database.read(
            store.count_ended, scene.run, "intermittent", from_ms
        )
        return rules_preparing.judge_second_attempt(
            scene.connector(),
            scene.by_its_clock(scene.run.since_ms),
            (times, earlier, scene.now_ms),
            thresholds,
        )

    async def _reset_worked(self, scene: Scene) -> CheckResult:
        since_ms = scene.run.since_ms - scene.step.wait_s * SECOND_MS
        return rules_preparing.judge_reset(scene.connector(), scene.by_its_clock(since_ms))

    # ------------------------------------------------------------------ discharge without power

    async def _discharge_delivery(self, scene: Scene) -> CheckResult:
        command = await self._find_discharge(scene)
        faults = await list_faults(self._sources, scene, _FAULTS_MOST, scene.now_ms - _LATELY_MS)
        lost = [fault for fault in faults if fault.code in _CONNECTIVITY]
        return rules_v2g.judge_delivery(command, lost, online=scene.view.online)

    async def _vehicle_eligible(self, scene: Scene) -> CheckResult:
        run, vehicle = scene.run, scene.run.vehicle
        command = await self._find_discharge(scene)
        refusals = await self._faults_since(scene, command, REFUSED)
        listed = await self._look_up(run.operator_id, vehicle)
        connector = scene.view.device.connectors.get(run.connector_id)
        reading = None if connector is None else connector.reading
        soc = (
            None if reading is None else reading.soc_pct,
            None if command is None else command.min_soc_pct,
        )
        return rules_v2g.judge_vehicle(vehicle, listed, soc, refusals, scene.step.thresholds)

    async def _inverter_synced(self, scene: Scene) -> CheckResult:
        command = await self._find_discharge(scene)
        losses = await self._faults_since(scene, command, SYNC_LOST)
        word = scene.inverter_word()
        if word is None:
            spans = await self._sources.database.read(
                self._sources.health.newest, scene.run.device_no
            )
            word = first_word(spans, scene.run.connector_id, "inverter_sync_status")
        return rules_v2g.judge_sync(word, losses)

    async def _iso15118_20(self, scene: Scene) -> CheckResult:
        device = scene.view.device
        releases = await list_releases(self._sources, device.model)
        return rules_v2g.judge_protocol(
            names_of(device.firmware_version, releases),
            scene.run.vehicle,
            scene.runbook.gates,
            scene.runbook.picky_vehicles,
        )

    async def _look_up(self, operator_id: str, vehicle: Vehicle) -> Listed:
        vehicles = self._sources.vehicles
        total, _ = await vehicles.list_vehicles(operator_id, None, 0, 1)
        if vehicle.make is None or vehicle.model is None:
            return Listed(total > 0, is_listed=False)
        named = (vehicle.make, vehicle.model, vehicle.firmware)
        entry = (await vehicles.judge_vehicle(operator_id, *named)).entry
        min_firmware = None if entry is None else entry.min_firmware
        return Listed(total > 0, entry is not None, min_firmware)

    async def _faults_since(
        self, scene: Scene, command: DischargeSeen | None, code: str
    ) -> list[FaultSeen]:
        """Return a fault of the connector since the discharge was asked for, else of a day."""
        since_ms = scene.now_ms - _LATELY_MS if command is None else command.created_ms
        faults = await list_faults(self._sources, scene, _FAULTS_MOST, scene.by_its_clock(since_ms))
        here = {0, scene.run.connector_id}
        return [one for one in faults if one.code == code and one.connector_id in here]

    async def _find_discharge(self, scene: Scene) -> DischargeSeen | None:
        command = await find_discharge(self._sources, scene)
        if command is None:
            return None
        params: dict[str, Any] = msgspec.json.decode(command.params)
        return DischargeSeen(
            command.command_id,
            command.status,
            command.created_ms,
            command.delivered_ms,
            command.result or {},
            params.get("min_soc"),
        )


async def find_discharge(sources: Sources, scene: Scene) -> Command | None:
    """Return the command that the run is about, else the connector's newest discharge, or None."""
    run = scene.run
    if run.command_id is not None:
        try:
            command, _ = await sources.commands.read_command(
                run.command_id, run.operator_id, scene.now_ms
            )
        except NotFound:
            return None
        return command
    wanted = CommandFilter(run.operator_id, run.device_no, run.connector_id, command=DISCHARGE)
    _, found = await sources.commands.list_commands(wanted, 0, 1, scene.now_ms)
    return found[0] if found else None
