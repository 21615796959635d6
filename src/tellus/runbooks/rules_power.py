"""What the checks of a charger that faults on power-up make of what was read: pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from tellus.kernel.units import HOUR_MS, SECOND_MS, to_text
from tellus.kernel.versions import (
    Order,
    Scheme,
    compare_versions,
    parse_version,
)
from tellus.runbooks.model import CheckResult
from tellus.runbooks.model_catalogue import Verdict

COOLING: Final = "F-0204"
MODULE_SILENT: Final = "F-0411"
NOT_ENGAGED: Final = "F-0421"
V2G_CODES: Final = frozenset({"F-0701", "F-0702"})
_THREE_PHASES: Final = 3

Thresholds = Mapping[str, float]
Phases = Sequence[tuple[float, float] | None]


class FaultSeen(NamedTuple):
    """A fault event: its code where it is one of the dictionary, else as it came."""

    time_ms: int
    connector_id: int
    code: str
    origin: str
    data: Any = None

    def told(self) -> dict[str, Any]:
        """Return it as evidence."""
        return {
            "timestamp": to_text(self.time_ms),
            "connector_id": self.connector_id,
            "fault": self.code,
            "found_by": self.origin,
        }


class Fellow(NamedTuple):
    """A device of the fleet that had the fault lately: where it is, what it runs, how often."""

    device_id: str
    site_id: str
    firmware_version: str
    faults: int


def judge_supply(phases: Phases | None, age_s: float | None, thresholds: Thresholds) -> CheckResult:
    """Judge the voltages (V) of the phases of the newest frame; ``age_s`` is how old it is.

    Nothing follows from a frame without phases, or from one of before the power-up.
    """
    voltages = [phase[0] for phase in phases or () if phase is not None]
    evidence: dict[str, Any] = {"voltages_v": voltages, "frame_age_s": age_s}
    if not voltages or age_s is None or age_s > thresholds["fresh_s"]:
        return CheckResult(Verdict.INCONCLUSIVE, "no_recent_phases", evidence)
    nominal_v = thresholds["nominal_v"]
    allowed_v = nominal_v * thresholds["tolerance_pct"] / 100
    mean_v = sum(voltages) / len(voltages)
    unbalance_pct = max(abs(v - mean_v) for v in voltages) / mean_v * 100 if mean_v > 0 else 100.0
    evidence |= {"nominal_v": nominal_v, "unbalance_pct": round(unbalance_pct, 2)}
    enough = len(voltages) in {int(thresholds["phases_least"]), _THREE_PHASES}
    if not enough:
        return CheckResult(Verdict.FAILED, "phase_missing", evidence)
    if any(abs(v - nominal_v) > allowed_v for v in voltages):
        return CheckResult(Verdict.FAILED, "voltage_out_of_range", evidence)
    if unbalance_pct > thresholds["balance_pct"]:
        return CheckResult(Verdict.FAILED, "unbalanced", evidence)
    return CheckResult(Verdict.PASSED, None, evidence)


def judge_faults(faults: Sequence[FaultSeen], now_ms: int, thresholds: Thresholds) -> CheckResult:
    """Judge the newest fault events of a device, newest first.

    Heat comes first, then what belongs to another runbook, then the cluster that points to the
    firmware; F-0204 counts as one of the power-up within ``power_up_h``.
    """
    looked_at = faults[: int(thresholds["events"])]
    counts: dict[str, int] = {}
    for fault in looked_at:
        counts[fault.code] = counts.get(fault.code, 0) + 1
    evidence = {"faults": [fault.told() for fault in looked_at], "counts": counts}
    since_ms = now_ms - int(thresholds["power_up_h"] * HOUR_MS)
    if any(fault.code == COOLING and fault.time_ms >= since_ms for fault in looked_at):
        return CheckResult(Verdict.FAILED, COOLING, evidence)
    if V2G_CODES.intersection(counts):
        return CheckResult(Verdict.FAILED, "v2g", evidence)
    if counts.get(NOT_ENGAGED, 0) >= thresholds["cluster"]:
        return CheckResult(Verdict.FAILED, NOT_ENGAGED, evidence)
    if MODULE_SILENT in counts:
        return CheckResult(Verdict.FAILED, MODULE_SILENT, evidence)
    if looked_at:
        return CheckResult(Verdict.FAILED, "other_faults", evidence)
    return CheckResult(Verdict.PASSED, None, evidence)


def judge_firmware(
    running: Iterable[str], latest: Iterable[str], thresholds: Thresholds
) -> CheckResult:
    """Compare the names of what a device runs with those of the latest stable release.

    A build has a name in each scheme of versions; they are compared within one.
    """
    names, goals = sorted(running), sorted(latest)
    evidence: dict[str, Any] = {"running": names, "latest_stable": goals}
    orders = {(one, goal): compare_versions(one, goal) for one in names for goal in goals}
    known = {pair: order for pair, order in orders.items() if order is not Order.INCOMPARABLE}
    if not known:
        return CheckResult(Verdict.INCONCLUSIVE, "not_comparable", evidence)
    minors = thresholds["minors_behind"]
    if any(_is_far_behind(one, goal, minors) for one, goal in known):
        return CheckResult(Verdict.FAILED, "far_behind", evidence)
    is_behind = all(order is Order.OLDER for order in known.values())
    return CheckResult(Verdict.PASSED, "behind" if is_behind else None, evidence)


def _is_far_behind(running: str, latest: str, minors: float) -> bool:
    one, other = parse_version(running), parse_version(latest)
    if one is None or other is None or {one.scheme, other.scheme} != {Scheme.SEMANTIC}:
        return False
    if one.numbers[0] != other.numbers[0]:
        return one.numbers[0] < other.numbers[0]
    return other.numbers[1] - one.numbers[1] >= minors


def judge_return(
    heartbeat_ms: int | None,
    faults: Sequence[FaultSeen],
    moment: tuple[int, bool],
    thresholds: Thresholds,
) -> CheckResult:
    """Judge whether a charger is back after a reboot; ``moment`` is now (ms), and if it is online.

    ``faults`` are those reported since.
    """
    now_ms, online = moment
    age_s = None if heartbeat_ms is None else (now_ms - heartbeat_ms) / SECOND_MS
    evidence = {
        "last_heartbeat": None if heartbeat_ms is None else to_text(heartbeat_ms),
        "heartbeat_age_s": age_s,
        "status": "online" if online else "offline",
        "faults_since": [fault.told() for fault in faults],
    }
    if age_s is None or age_s >= thresholds["heartbeat_s"] or not online:
        return CheckResult(Verdict.FAILED, "not_back", evidence)
    if faults:
        return CheckResult(Verdict.FAILED, "faulted_again", evidence)
    return CheckResult(Verdict.PASSED, None, evidence)


def judge_cluster(
    fellows: Sequence[Fellow], own_id: str, firmware_version: str, thresholds: Thresholds
) -> CheckResult:
    """Judge whether a fault follows the firmware: devices of distinct sites on one version."""
    alike = [one for one in fellows if one.firmware_version == firmware_version]
    sites = {one.site_id for one in alike}
    evidence = {
        "fault": NOT_ENGAGED,
        "days": thresholds["days"],
        "firmware_version": firmware_version,
        "devices": len(alike),
        "sites": len(sites),
        "device_ids": sorted(one.device_id for one in alike)[:100],
        "other_versions": sorted({one.firmware_version for one in fellows} - {firmware_version}),
    }
    if all(one.device_id != own_id for one in fellows):
        return CheckResult(Verdict.PASSED, "not_seen_here", evidence)
    if len(alike) >= thresholds["devices"] and len(sites) >= thresholds["sites"]:
        return CheckResult(Verdict.FAILED, "firmware", evidence)
    return CheckResult(Verdict.PASSED, None, evidence)
