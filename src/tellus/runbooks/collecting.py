"""What an escalation takes along: put together from what the platform holds at that moment."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from tellus.commands.model import CommandFilter
from tellus.fleet.model import EventFilter
from tellus.fleet.model_health import ComponentHealth
from tellus.health.model import HealthSpan
from tellus.kernel.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, to_text
from tellus.runbooks import store
from tellus.runbooks.model import CheckResult
from tellus.runbooks.model_catalogue import Verdict
from tellus.runbooks.scene import (
    Scene,
    latest_of,
    list_events,
    list_faults,
    list_releases,
    names_of,
)
from tellus.runbooks.sources import Sources
from tellus.telemetry.model import PastSample

Part = Callable[[Scene], Awaitable[Any]]

_FAULTS: Final = 10
_EVENTS_MOST: Final = 200
_SAMPLES_MOST: Final = 5_000
_HOT_MOST: Final = 50
_CONNECTOR_HOT: Final = "F-0203"
_CABINET_HOT: Final = "F-0204"


class Collector:
    """Puts the evidence of an escalation together."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self.parts: Mapping[str, Part] = {
            "fault_log": self.fault_log,
            "firmware": self.firmware,
            "thermal_anomalies": self.thermal_anomalies,
            "vehicle": self.vehicle,
            "photos": self.photos,
            "attempt_sequence": self.attempt_sequence,
            "inverter_telemetry": self.inverter_telemetry,
            "runbook": self.runbook,
        }

    async def collect(self, scene: Scene) -> CheckResult:
        """Return all that the present step collects."""
        evidence = {name: await self.parts[name](scene) for name in scene.step.collects}
        return CheckResult(Verdict.PASSED, None, evidence)

    async def fault_log(self, scene: Scene) -> list[dict[str, Any]]:
        """Return the newest fault events, newest first, with what they carried."""
        faults = await list_faults(self._sources, scene, _FAULTS)
        return [{**fault.told(), "data": fault.data} for fault in faults]

    async def firmware(self, scene: Scene) -> dict[str, Any]:
        """Return what the device runs, and the latest stable release of its model."""
        device = scene.view.device
        releases = await list_releases(self._sources, device.model)
        return {
            "model": device.model,
            "firmware_version": device.firmware_version,
            "also_known_as": sorted(
                names_of(device.firmware_version, releases) - {device.firmware_version}
            ),
            "latest_stable": sorted(latest_of(scene.runbook, device.model, releases)),
        }

    async def vehicle(self, scene: Scene) -> dict[str, Any]:
        """Return the vehicle, as far as it is known."""
        told: dict[str, Any] = msgspec.to_builtins(scene.run.vehicle)
        return told

    async def photos(self, scene: Scene) -> list[dict[str, Any]]:
        """Return the photos that were sent along so far."""
        photos = await self._sources.database.read(store.list_photos, scene.run.run_id)
        return [
            {"file_id": photo.file_id, "media_type": photo.media_type, "size": photo.size}
            for photo in photos
        ]

    async def runbook(self, scene: Scene) -> dict[str, Any]:
        """Return which runbook this was, and where it can be read."""
        slug = scene.runbook.slug
        return {
            "slug": slug,
            "title": scene.runbook.title,
            "href": f"/v1/operator/runbooks/{slug}",
        }

    async def thermal_anomalies(self, scene: Scene) -> list[dict[str, Any]]:
        """Return what was too hot in the hour up to the newest faults, and since then.

        Connectors by their own temperature, the cabinet by its component health.
        """
        faults = await list_faults(self._sources, scene, _FAULTS)
        begin_ms = min(
            [fault.time_ms for fault in faults if fault.time_ms >= scene.now_ms - DAY_MS],
            default=scene.now_ms,
        )
        from_ms = begin_ms - HOUR_MS
        found = []
        limit_c = self._limit_c(scene)
        for connector_id in scene.view.device.connectors:
            samples, _ = await self._sources.telemetry.history(
                scene.run.device_id,
                scene.run.operator_id,
                connector_id,
                from_ms,
                scene.by_its_clock(scene.now_ms) + MINUTE_MS,
                enough=_SAMPLES_MOST,
            )
            found += [
                {
                    "timestamp": to_text(sample.time_ms),
                    "connector_id": connector_id,
                    "what": "temperature_c",
                    "value": sample.reading.temperature_c,
                    "limit": limit_c,
                }
                for sample in samples
                if sample.reading.temperature_c is not None
                and sample.reading.temperature_c > limit_c
            ]
        found += await self._hot_parts(scene, from_ms)
        found.sort(key=lambda one: str(one["timestamp"]), reverse=True)
        return found[:_HOT_MOST]

    def _limit_c(self, scene: Scene) -> float:
        fault = self._sources.faults.find(_CONNECTOR_HOT)
        model = self._sources.catalogue.find(scene.view.device.model)
        is_ac = model is not None and model.current == "ac"
        thresholds = {} if fault is None else fault.thresholds
        return thresholds.get("connector_ac_c" if is_ac else "connector_dc_c", float("inf"))

    async def _hot_parts(self, scene: Scene, from_ms: int) -> list[dict[str, Any]]:
        fault = self._sources.faults.find(_CABINET_HOT)
        limit_c = float("inf") if fault is None else fault.thresholds["cabinet_critical_c"]
        spans = await self._spans(scene, from_ms, scene.now_ms + MINUTE_MS)
        return [
            {
                "timestamp": to_text(span.start_ms),
                "connector_id": span.connector_id,
                "what": name,
                "value": extremes.high,
                "limit": limit_c,
            }
            for span in spans
            for name, extremes in span.metrics.items()
            if name.startswith("temp_") and name != "temp_dc_outlet_c" and extremes.high > limit_c
        ]

    async def _spans(self, scene: Scene, from_ms: int, to_ms: int) -> list[HealthSpan]:
        return await self._sources.database.read(
            self._sources.health.read_minutes, scene.run.device_no, from_ms, to_ms
        )

    async def attempt_sequence(self, scene: Scene) -> list[dict[str, Any]]:
        """Return what happened from the discharge command on: commands and events, oldest first."""
        run = scene.run
        wanted = CommandFilter(run.operator_id, run.device_no, run.connector_id)
        _, commands = await self._sources.commands.list_commands(wanted, 0, 20, scene.now_ms)
        attempts = [one for one in commands if one.command == "discharge"]
        named = [one for one in attempts if one.command_id == run.command_id]
        begin_ms = (named or attempts)[0].created_ms if attempts else scene.now_ms - HOUR_MS
        steps: list[dict[str, Any]] = [
            {
                "timestamp": to_text(one.created_ms),
                "what": f"command {one.command}",
                "command_id": one.command_id,
                "status": one.status,
                "result": one.result,
            }
            for one in commands
            if one.created_ms >= begin_ms
        ]
        since = EventFilter(from_ms=scene.by_its_clock(begin_ms))
        steps += [
            {
                "timestamp": to_text(event.time_ms),
                "what": f"event {event.event_type}",
                "connector_id": event.connector_id,
                "fault": event.fault_key,
                "data": msgspec.json.decode(event.data),
            }
            for event in await list_events(self._sources, scene, since, _EVENTS_MOST)
        ]
        return sorted(steps, key=lambda one: str(one["timestamp"]))

    async def inverter_telemetry(self, scene: Scene) -> dict[str, Any]:
        """Return the connector's samples and component health of the minute before the fault.

        Before the newest V2G fault since the discharge was asked for, else before now.
        """
        before_ms = int(scene.step.thresholds.get("inverter_before_s", 60.0) * SECOND_MS)
        faults = await list_faults(self._sources, scene, _FAULTS)
        moments = [fault.time_ms for fault in faults if fault.code in {"F-0701", "F-0702"}]
        end_ms = moments[0] if moments else scene.by_its_clock(scene.now_ms)
        samples: list[PastSample] = []
        if scene.run.connector_id in scene.view.device.connectors:
            samples, _ = await self._sources.telemetry.history(
                scene.run.device_id,
                scene.run.operator_id,
                scene.run.connector_id,
                end_ms - before_ms,
                end_ms + 1,
            )
        spans = await self._spans(scene, end_ms - before_ms - MINUTE_MS, end_ms + 1)
        return {
            "from": to_text(end_ms - before_ms),
            "to": to_text(end_ms),
            "samples": [
                {
                    "timestamp": to_text(sample.time_ms),
                    "state": sample.reading.detail_state or sample.reading.state,
                    "power_kw": sample.reading.power_kw,
                    "voltage_v": sample.reading.voltage_v,
                    "current_a": sample.reading.current_a,
                    "soc_pct": sample.reading.soc_pct,
                    **_inverter(sample.reading.component_health),
                }
                for sample in samples
            ],
            "component_health": [msgspec.to_builtins(span) for span in spans],
        }


def _inverter(health: ComponentHealth | None) -> dict[str, Any]:
    if health is None:
        return {}
    return {
        "inverter_sync_status": health.inverter_sync_status,
        "inverter_health_pct": health.inverter_health_pct,
        "harmonic_distortion_pct": health.harmonic_distortion_pct,
    }
