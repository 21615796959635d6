"""Firmware health: rates of faults by version, and the alert that a version is to blame.

The counting is done where events come in; this reads the counts of an operator's devices, lets the
rules judge them on a reader's thread, and tells what is concentrated on a firmware.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from tellus.alerts.model import AlertSeverity, Cleared, Finding
from tellus.consent.model import Service
from tellus.diagnostics import store_conditions, store_counts
from tellus.diagnostics.catalogue.faults import Fault, FaultDictionary
from tellus.diagnostics.desk import Desk
from tellus.diagnostics.intake import COUNTED_MS, FAILED_START, RECORDED, STARTED
from tellus.diagnostics.model import FIRMWARE, Condition
from tellus.diagnostics.model_firmware import Family, FirmwareRate, FirmwareVerdict, Trial
from tellus.diagnostics.rules_firmware import judge_firmware
from tellus.firmware.releases import ReleaseCatalogue
from tellus.fleet.directory import Device, Directory
from tellus.kernel.clock import Clock
from tellus.kernel.units import DAY_MS, MINUTE_MS, SECOND_MS
from tellus.kernel.versions import Order, compare_versions, is_at_least, sort_key
from tellus.storage.database import Database, Tx

WINDOW_DAYS: Final = 28
_EVERY_MS: Final = 10 * MINUTE_MS
_SOONEST_MS: Final = MINUTE_MS
_REST: Final = 200
"""A judgement that took long is followed by as many times its length of rest."""

_NOT_OF_FIRMWARE: Final = frozenset({STARTED, RECORDED, "F-0301"})
_PARTS: Final = {
    "F-0101": "contactors",
    "F-0421": "contactors",
    "F-0411": "power modules",
    "F-0601": "fans",
    "F-0701": "inverters",
}
_STILL_P: Final = 0.05
"""Above this an alert's condition is over; it began below 0.01."""


class _Blamed(msgspec.Struct):
    """What a condition keeps of the version that it is about; its name may hold any mark."""

    firmware_version: str
    model: str


_encode = msgspec.json.Encoder().encode
_blamed = msgspec.json.Decoder(_Blamed).decode


class Known(NamedTuple):
    """A device as counts are read for it."""

    device_no: int
    site_id: str
    model: str
    firmware_version: str
    owned_since_ms: int


class Advice(msgspec.Struct, frozen=True):
    """What to do about a version: the version to install, None where none is known to be good."""

    upgrade_to: str | None
    text: str


class FirmwareHealth:
    """Rates of all operators; each sees its own devices."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        faults: FaultDictionary,
        releases: ReleaseCatalogue,
        clock: Clock,
    ) -> None:
        self._database = database
        self._directory = directory
        self._faults = faults
        self._releases = releases
        self._clock = clock
        self._turned_ms = 0
        self._every_ms = _SOONEST_MS

    async def list_rates(self, operator_id: str, days: int = WINDOW_DAYS) -> list[FirmwareRate]:
        """Return the rates of an operator's devices over the last days, the worst first."""
        withheld = set(self._directory.withheld(operator_id, Service.DIAGNOSTICS))
        devices = [
            _known(device)
            for device in self._directory.of_operator(operator_id)
            if device.device_no not in withheld
        ]
        from_ms = self._clock.now_ms() - days * DAY_MS
        return await self._database.read(self._read_rates, devices, from_ms - from_ms % DAY_MS)

    async def advise(self, operator_id: str, rates: Iterable[FirmwareRate]) -> list[Advice]:
        """Return what to do about each rate that is concentrated, in their order."""
        standings = await self._releases.list_standings(operator_id, self._clock.now_ms())
        latest = {
            one.model: one.latest.firmware_version for one in standings if one.latest is not None
        }
        return [self._advise(rate, latest.get(rate.model)) for rate in rates]

    async def turn(self, desk: Desk) -> None:
        """Every one to ten minutes, judge all operators' devices and tell what changed.

        A small fleet is judged every minute, a large one as often as half a percent of a core pays.

        Raises:
            ApiError: the store cannot take it now.
        """
        now_ms = self._clock.now_ms()
        if now_ms - self._turned_ms < self._every_ms:
            return
        self._turned_ms = now_ms
        began_s = self._clock.monotonic_s()
        await self.judge_all(desk, now_ms)
        took_s = self._clock.monotonic_s() - began_s
        self._every_ms = min(_EVERY_MS, max(_SOONEST_MS, round(_REST * took_s * SECOND_MS)))
        await self._database.write(store_counts.remove_counts, now_ms - COUNTED_MS)

    async def judge_all(self, desk: Desk, now_ms: int) -> None:
        """Judge all operators' devices, and tell what changed."""
        for operator_id in sorted({device.operator_id for device in self._directory}):
            rates = await self.list_rates(operator_id)
            called = [one for one in rates if one.verdict is FirmwareVerdict.CONCENTRATED]
            advice = await self.advise(operator_id, called) if called else []
            judged = list(zip(called, advice, strict=True))
            held = await self._database.read(store_conditions.list_larger, operator_id, FIRMWARE)
            if judged or held:
                await self._database.write(self._tell, desk, operator_id, judged, rates, now_ms)

    def _read_rates(self, tx: Tx, devices: Sequence[Known], from_ms: int) -> list[FirmwareRate]:
        rows = store_counts.sum_counts(tx, [device.device_no for device in devices], from_ms)
        families = make_families({device.device_no: device for device in devices}, rows)
        rates = judge_firmware(self._with_measures(families))
        seen = {(rate.model, rate.code) for rate in rates if rate.faults}
        shown = [rate for rate in rates if (rate.model, rate.code) in seen]
        return sorted(shown, key=lambda one: (one.p_value is None, one.p_value or 0.0, -one.rate))

    def _with_measures(self, families: Sequence[Family]) -> list[Family]:
        """Return families with the versions that are no measure, and what other models did."""
        found = []
        for family in families:
            elsewhere = {
                version
                for other in families
                if other.code == family.code
                for version in other.trials
            }
            suspect = self._suspect(family.code, elsewhere)
            found.append(
                family._replace(
                    suspect=suspect, elsewhere=gather_elsewhere(families, family, suspect)
                )
            )
        return found

    def _suspect(self, code: str, versions: Iterable[str]) -> frozenset[str]:
        """Return the versions in which the dictionary knows the fault."""
        fault = self._faults.find(code)
        return (
            frozenset()
            if fault is None
            else frozenset(version for version in versions if _is_known_bad(fault, version))
        )

    def _advise(self, rate: FirmwareRate, latest: str | None) -> Advice:
        fault = self._faults.find(rate.code)
        target = self._target(rate, fault, latest)
        first = (
            f"Firmware {rate.firmware_version} on {rate.model}, {rate.devices} devices on"
            f" {rate.sites} sites: {rate.code} {rate.rate:.1f} per 1,000 starts against"
            f" {rate.other_rate:.1f} with other versions."
        )
        second = f" Upgrade to {target}" if target else " Ask the maker for a version without it"
        parts = _PARTS.get(rate.code, "hardware")
        return Advice(target, f"{first}{second}; do not replace {parts} for it.")

    def _target(self, rate: FirmwareRate, fault: Fault | None, latest: str | None) -> str | None:
        """Return the latest stable version if it may be better, else the newest known fix."""
        if latest is not None and latest != rate.firmware_version:
            older = compare_versions(latest, rate.firmware_version) is Order.OLDER
            if not older and not (fault is not None and _is_known_bad(fault, latest)):
                return latest
        fixes = [
            version
            for issue in (fault.firmware.issues if fault is not None else ())
            for version in issue.fixed_in
            if compare_versions(version, rate.firmware_version) is Order.NEWER
        ]
        return max(fixes, key=sort_key, default=None)

    def _tell(
        self,
        tx: Tx,
        desk: Desk,
        operator_id: str,
        judged: Sequence[tuple[FirmwareRate, Advice]],
        rates: Sequence[FirmwareRate],
        now_ms: int,
    ) -> None:
        tx.lock("diagnostics")
        findings: list[Finding] = []
        for rate, advice in judged:
            held = store_conditions.find_condition(tx, operator_id, matter_of(rate))
            grown = held is None or not held.is_present or _affected(held) < rate.affected
            if grown:
                condition = _condition(operator_id, rate, advice, held, now_ms)
                store_conditions.upsert_condition(tx, condition)
                findings.append(self._finding(condition, rate, advice))
        cleared = []
        still = {matter_of(rate) for rate in rates if (rate.p_adjusted or 1.0) <= _STILL_P}
        for held in store_conditions.list_larger(tx, operator_id, FIRMWARE):
            if held.matter not in still or not self._runs(operator_id, held):
                store_conditions.upsert_condition(tx, held._replace(cleared_ms=now_ms))
                cleared.append(Cleared(operator_id=operator_id, key=held.matter, at_ms=now_ms))
        if findings or cleared:
            desk.alerts.take_in(tx, findings, cleared, now_ms)

    def _runs(self, operator_id: str, held: Condition) -> bool:
        """Tell whether any device runs what the condition is about still."""
        blamed = _blamed(held.content)
        return any(
            (device.firmware_version, device.model) == (blamed.firmware_version, blamed.model)
            for device in self._directory.of_operator(operator_id)
        )

    def _finding(self, held: Condition, rate: FirmwareRate, advice: Advice) -> Finding:
        fault = self._faults.find(rate.code)
        is_error = fault is not None and fault.severity == "error"
        return Finding(
            key=held.matter,
            operator_id=held.operator_id,
            site_id=None,
            code=FIRMWARE,
            severity=AlertSeverity.HIGH if is_error else AlertSeverity.MEDIUM,
            title=f"Firmware {rate.firmware_version}: {fault.title if fault else rate.code}",
            text=advice.text,
            found_by="firmware_cluster",
            at_ms=held.seen_ms,
            evidence=msgspec.to_builtins(rate) | {"upgrade_to": advice.upgrade_to},
        )


def make_families(devices: dict[int, Known], rows: Iterable[Sequence[Any]]) -> list[Family]:
    """Return the trials by model and code from (device, firmware, code, times, first ms) rows.

    Left out is what a device did before it was its present operator's.
    """
    counts: dict[tuple[int, str], dict[str, int]] = {}
    for device_no, version, code, times, first_ms in rows:
        device = devices.get(device_no)
        if device is not None and first_ms >= device.owned_since_ms:
            counts.setdefault((device_no, version), {})[code] = times
    codes = {code for by_code in counts.values() for code in by_code} - _NOT_OF_FIRMWARE
    trials: dict[tuple[str, str], dict[str, list[Trial]]] = {}
    for (device_no, version), by_code in sorted(counts.items()):
        device = devices[device_no]
        starts = max(by_code.get(STARTED, 0), by_code.get(RECORDED, 0))
        starts += by_code.get(FAILED_START, 0)
        for code in sorted(codes):
            trial = Trial(device_no, device.site_id, starts, by_code.get(code, 0))
            trials.setdefault((device.model, code), {}).setdefault(version, []).append(trial)
    return [Family(model, code, found) for (model, code), found in sorted(trials.items())]


def gather_elsewhere(
    families: Sequence[Family], own: Family, suspect: frozenset[str]
) -> dict[str, list[Trial]]:
    """Return the trials of other models by version, those of suspect versions left out."""
    found: dict[str, list[Trial]] = {}
    for family in families if suspect else ():
        if family.code == own.code and family.model != own.model:
            for version in family.trials.keys() - suspect:
                found.setdefault(version, []).extend(family.trials[version])
    return found


def matter_of(rate: FirmwareRate) -> str:
    """Return the key of a fault that goes with a firmware."""
    return f"{FIRMWARE}:{rate.firmware_version}:{rate.model}:{rate.code}"


def _known(device: Device) -> Known:
    return Known(
        device.device_no,
        device.site_id,
        device.model,
        device.firmware_version,
        device.owned_since_ms,
    )


def _is_known_bad(fault: Fault, version: str) -> bool:
    return any(
        is_at_least(version, issue.from_version) and is_at_least(issue.to, version)
        for issue in fault.firmware.issues
    )


def _affected(held: Condition) -> int:
    return int(msgspec.json.decode(held.content)["affected"])


def _condition(
    operator_id: str, rate: FirmwareRate, advice: Advice, held: Condition | None, now_ms: int
) -> Condition:
    del advice
    present = held is not None and held.is_present
    return Condition(
        operator_id,
        matter_of(rate),
        FIRMWARE,
        0,
        0,
        "",
        "firmware_cluster",
        held.since_ms if held is not None and present else now_ms,
        now_ms,
        now_ms,
        now_ms,
        None,
        None,
        _encode(rate).decode(),
    )
