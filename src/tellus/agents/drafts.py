"""What the agents say: drafts with their texts and evidence, from what the rules found."""

from collections.abc import Mapping, Sequence
from typing import Any

from tellus.agents.model import Draft, SiteWork, Unit
from tellus.agents.rules_anomaly import WATCHED, Anomaly
from tellus.agents.rules_repeats import Recurrence
from tellus.kernel.units import to_text

_NAMES = {
    "temp_power_module_c": "Power module",
    "temp_control_board_c": "Control board",
    "temp_ac_inlet_c": "AC inlet",
    "temp_dc_outlet_c": "DC outlet",
    "temperature_c": "Connector",
    "cooling_fan_rpm": "Cooling fan",
    "isolation_test_kohms": "Isolation",
    "inverter_health_pct": "Inverter health",
    "harmonic_distortion_pct": "Harmonic distortion",
}
_SHOWN_EPISODES = 20


def draft_anomaly(found: Anomaly, unit: Unit) -> Draft:
    """Return the draft of a metric that stands out."""
    readings = found.readings
    place, metric = readings.place, readings.metric
    watched = WATCHED[metric]
    name, unit_of = _NAMES[metric], watched.unit

    def shown(value: float | None) -> float | None:
        return None if value is None else round(10**value if watched.logarithmic else value, 2)

    now, own, peers = shown(readings.value), shown(found.own_median), shown(found.peers_median)
    against = []
    if own is not None:
        against.append(f"its own {own:g} {unit_of} of the days before")
    if peers is not None:
        against.append(f"{peers:g} {unit_of} of {found.peers} readings of other {place.model}")
    where = f" at connector {place.connector_id}" if place.connector_id else ""
    return Draft(
        key=f"{unit.device_id}:{place.connector_id}:{metric}",
        operator_id=unit.operator_id,
        site_id=unit.site_id,
        device_no=unit.device_no,
        connector_id=place.connector_id,
        title=f"{name} of {unit.device_id} stands out",
        text=f"{name}{where}: {now:g} {unit_of} in a day, against {' and '.join(against)}.",
        score=round(found.score, 3),
        evidence={
            "metric": metric,
            "value": now,
            "own_median": own,
            "own_days": len(readings.days_before),
            "own_z": None if found.z_own is None else round(found.z_own, 2),
            "peers_median": peers,
            "peers": found.peers,
            "peers_z": None if found.z_peers is None else round(found.z_peers, 2),
            "hours": readings.hours,
        },
    )


def draft_recurrence(found: Recurrence, titles: Mapping[str, str]) -> Draft:
    """Return the draft of a fault that comes back; ``titles`` are those of the dictionary."""
    unit = found.unit
    is_firmware = found.scope == "firmware"
    subject = f"firmware {unit.firmware_version}" if is_firmware else unit.device_id
    place = f"{unit.device_id}:{found.connector_id}"
    return Draft(
        key=f"{f'firmware:{unit.firmware_version}' if is_firmware else place}:{found.code}",
        operator_id=unit.operator_id,
        site_id=None if is_firmware else unit.site_id,
        device_no=None if is_firmware else unit.device_no,
        connector_id=found.connector_id,
        title=f"{found.code} keeps coming back on {subject}",
        text=_describe(found, titles.get(found.code, "fault"), subject),
        score=round(len(found.episodes) / found.expected, 3),
        evidence={
            "code": found.code,
            "scope": found.scope,
            "episodes": [to_text(time_ms) for time_ms in found.episodes[-_SHOWN_EPISODES:]],
            "count": len(found.episodes),
            "expected": round(found.expected, 4),
            "chance": float(f"{found.chance:.2g}"),
            "devices": len(found.devices),
            "firmware_version": unit.firmware_version,
        },
    )


def _describe(found: Recurrence, title: str, subject: str) -> str:
    """Return what is to be said of a fault that comes back."""
    if found.scope == "firmware":
        return (
            f"{found.code} ({title}) on {len(found.devices)} devices that run {subject}, where"
            f" {found.expected:.2g} were to be expected by the other versions: look at the"
            " firmware before any hardware."
        )
    where = f", always at connector {found.connector_id}" if found.scope == "component" else ""
    text = (
        f"{found.code} ({title}) came {len(found.episodes)} times within 30 days{where}, where"
        f" {found.expected:.2g} were to be expected by the other devices."
    )
    if found.returned_ms is not None:
        text += f" It was resolved and came back at {to_text(found.returned_ms)}."
    return text


def draft_visit(work: SiteWork, operator_id: str, device_ids: Mapping[int, str]) -> Draft | None:
    """Return the draft of a visit to a site, None where nobody has to go there."""
    visits = [task for task in work.tasks if task.action == "visit"]
    if not visits:
        return None
    parts = list(dict.fromkeys(part for task in visits for part in task.parts))
    first = visits[0]
    rest = f" and {len(visits) - 1} more" if len(visits) > 1 else ""
    bring = f" Bring: {', '.join(parts)}." if parts else ""
    evidence: dict[str, Any] = {
        "devices": [
            {"device_id": device_ids[task.device_no], "score": task.score, "reasons": task.reasons}
            for task in visits
        ],
        "parts": parts,
    }
    return Draft(
        key=f"visit:{work.site_id}",
        operator_id=operator_id,
        site_id=work.site_id,
        title=f"Visit {work.site_id}: {len(visits)} {_devices(visits)}",
        text=f"{device_ids[first.device_no]}{rest}: {first.reasons[0]['text']}.{bring}",
        score=work.score,
        evidence=evidence,
    )


def _devices(tasks: Sequence[Any]) -> str:
    return "device" if len(tasks) == 1 else "devices"
