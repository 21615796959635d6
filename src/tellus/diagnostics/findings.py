"""From what was seen to what an alert says: severity, words and runbook, by the dictionary."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from tellus.alerts.model import AlertSeverity, Finding
from tellus.diagnostics.catalogue.faults import Fault, FaultDictionary
from tellus.diagnostics.model import CONTACTOR_WEAR, STUCK_PREPARING, Seen
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Device

Covers = Callable[[str, str, bool], bool]
"""Tells whether there is a runbook of that name and it is for a model, by whether that is V2G."""


class Matter(NamedTuple):
    """What the platform finds beside the dictionary, as alerts say it."""

    title: str
    summary: str
    severity: AlertSeverity
    runbooks: tuple[str, ...] = ()


CRITICAL: Final = frozenset({"F-0101", "F-0204"})
_MATTERS: Final[dict[str, Matter]] = {
    CONTACTOR_WEAR: Matter(
        "Contactor near the end of its rated life",
        "Its contactor has made most of the cycles that it is rated for; plan its replacement, and"
        " reset the counter only after that.",
        AlertSeverity.LOW,
    ),
    STUCK_PREPARING: Matter(
        "Connector stuck in preparing",
        "Vehicles are plugged in and authenticated, and the connector never comes to charge.",
        AlertSeverity.MEDIUM,
        ("connector-stuck-in-preparing",),
    ),
}
NOT_ENGAGED: Final = "F-0421"
_POWER_UP: Final = "charger-faulting-on-power-up"
_MOST_TEXT: Final = 1_000

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Findings:
    """Makes findings of devices."""

    def __init__(self, faults: FaultDictionary, catalogue: Catalogue, covers: Covers) -> None:
        self._faults = faults
        self._catalogue = catalogue
        self._covers = covers

    def severity_of(self, code: str) -> AlertSeverity:
        """Return how urgent a fault is; one that the dictionary does not know is medium."""
        fault = self._faults.find(code)
        if code in _MATTERS:
            return _MATTERS[code].severity
        if code in CRITICAL:
            return AlertSeverity.CRITICAL
        if fault is not None and fault.severity == "error":
            return AlertSeverity.HIGH
        return AlertSeverity.MEDIUM

    def runbook_for(self, code: str, device: Device, *, at_power_up: bool = False) -> str | None:
        """Return the first of the fault's runbooks that covers the device's model, or None.

        A contactor that does not engage keeps a session from beginning: that is no matter of power
        coming up, unless the charger has just come online and nobody plugged in since.
        """
        fault = self._faults.find(code)
        slugs: Sequence[str] = fault.runbooks if fault is not None else ()
        if code in _MATTERS:
            slugs = _MATTERS[code].runbooks
        for slug in slugs:
            if slug == _POWER_UP and code == NOT_ENGAGED and not at_power_up:
                continue
            for one in (slug, f"ac-{slug}"):
                if self._covers(one, device.model, self._catalogue.is_v2g(device)):
                    return one
        return None

    def make(self, seen: Seen, device: Device) -> Finding:
        """Return the finding of what was seen at a device."""
        entry = _MATTERS.get(seen.code) or self._faults.find(seen.code)
        return Finding(
            key=matter_of(seen.code, device.device_id, seen.connector_id),
            operator_id=device.operator_id,
            site_id=device.site_id,
            code=seen.code,
            severity=(
                AlertSeverity(seen.severity) if seen.severity else self.severity_of(seen.code)
            ),
            title=entry.title if entry else f"Fault {seen.code}"[:120],
            text=_text(entry, seen, device)[:_MOST_TEXT],
            found_by=seen.found_by,
            at_ms=seen.at_ms,
            device_no=device.device_no,
            connector_id=seen.connector_id,
            evidence=seen.evidence,
            runbook=self.runbook_for(seen.code, device, at_power_up=seen.at_power_up),
        )


def matter_of(code: str, device_id: str, connector_id: int) -> str:
    """Return the key of a fault at a device."""
    return f"{code}:{device_id}:{connector_id}"


def _text(entry: Fault | Matter | None, seen: Seen, device: Device) -> str:
    place = f"connector {seen.connector_id} of " if seen.connector_id else ""
    told = f"At {place}{device.model or 'device'} {device.sn}."
    meaning = (
        entry.summary if entry else "The charger reported a code that is not in the dictionary."
    )
    return " ".join(part for part in (told, meaning, seen.note) if part)
