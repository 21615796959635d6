"""What the checks of a discharge without power make of what was read: pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from tellus.kernel.units import to_text
from tellus.kernel.versions import Order, compare_versions
from tellus.runbooks.model import CheckResult, Vehicle
from tellus.runbooks.model_catalogue import Verdict
from tellus.runbooks.rules_power import FaultSeen

REFUSED: Final = "F-0702"
SYNC_LOST: Final = "F-0701"
SYNCED: Final = "synced"
_NOT_DELIVERED: Final = frozenset({"expired", "no_response"})
_TAKEN_BACK: Final = frozenset({"superseded", "cancelled"})

Thresholds = Mapping[str, float]


class DischargeSeen(NamedTuple):
    """The discharge command that a run is about."""

    command_id: str
    status: str
    created_ms: int
    delivered_ms: int | None
    result: Mapping[str, Any]
    min_soc_pct: float | None

    @property
    def reason(self) -> str | None:
        """Return why the platform gave it up, or that the charger rejected it."""
        reason = self.result.get("reason")
        return reason if isinstance(reason, str) else None

    def told(self) -> dict[str, Any]:
        """Return it as evidence."""
        return {
            "command_id": self.command_id,
            "status": self.status,
            "created_at": to_text(self.created_ms),
            "delivered_at": None if self.delivered_ms is None else to_text(self.delivered_ms),
            "result": dict(self.result),
        }


class Listed(NamedTuple):
    """What the V2G list says of a vehicle: whether it names any, this one, from which firmware."""

    has_entries: bool
    is_listed: bool
    min_firmware: str | None = None


def judge_delivery(
    command: DischargeSeen | None, faults: Sequence[FaultSeen], *, online: bool
) -> CheckResult:
    """Judge whether the discharge command reached its charger."""
    evidence: dict[str, Any] = {
        "command": None if command is None else command.told(),
        "device_status": "online" if online else "offline",
        "connectivity_faults": [fault.told() for fault in faults],
    }
    if command is None or command.reason in _TAKEN_BACK:
        return CheckResult(Verdict.INCONCLUSIVE, "no_command", evidence)
    if command.status == "queued" or command.reason in _NOT_DELIVERED:
        return CheckResult(Verdict.FAILED, "not_delivered", evidence)
    if command.status == "failed":
        return CheckResult(Verdict.FAILED, "rejected", evidence)
    return CheckResult(Verdict.PASSED, None, evidence)


def judge_vehicle(
    vehicle: Vehicle,
    listed: Listed,
    soc: tuple[int | None, float | None],
    refusals: Sequence[FaultSeen],
    thresholds: Thresholds,
) -> CheckResult:
    """Judge whether a vehicle may discharge; ``soc`` is its charge and the command's floor (%).

    Asked is a person where the vehicle, its charge or the list is not known.
    """
    soc_pct, min_soc_pct = soc
    floor_pct = max(thresholds["soc_floor_pct"], min_soc_pct or 0.0)
    evidence = {
        "vehicle": {"make": vehicle.make, "model": vehicle.model, "firmware": vehicle.firmware},
        "listed": listed.is_listed if listed.has_entries else None,
        "min_vehicle_firmware": listed.min_firmware,
        "soc_pct": soc_pct,
        "soc_floor_pct": floor_pct,
        "refusals": [{**fault.told(), "data": fault.data} for fault in refusals],
    }
    if soc_pct is not None and soc_pct <= floor_pct:
        return CheckResult(Verdict.FAILED, "soc_below_floor", evidence)
    is_known = vehicle.make is not None and vehicle.model is not None and listed.has_entries
    if is_known and not listed.is_listed:
        return CheckResult(Verdict.FAILED, "not_listed", evidence)
    order = _order_to(vehicle.firmware, listed.min_firmware)
    if is_known and order is Order.OLDER:
        return CheckResult(Verdict.FAILED, "vehicle_firmware", evidence)
    if refusals:
        return CheckResult(Verdict.FAILED, REFUSED, evidence)
    if not is_known or soc_pct is None or order is Order.INCOMPARABLE:
        return CheckResult(Verdict.INCONCLUSIVE, "not_known", evidence)
    return CheckResult(Verdict.PASSED, None, evidence)


def _order_to(firmware: str | None, least: str | None) -> Order:
    if least is None:
        return Order.SAME
    return Order.INCOMPARABLE if firmware is None else compare_versions(firmware, least)


def judge_sync(sync_status: str | None, losses: Sequence[FaultSeen]) -> CheckResult:
    """Judge whether the inverter was in sync with the grid, from its last word and the log."""
    evidence = {
        "inverter_sync_status": sync_status,
        "losses": [fault.told() for fault in losses],
    }
    if losses:
        return CheckResult(Verdict.FAILED, SYNC_LOST, evidence)
    if sync_status is None:
        return CheckResult(Verdict.INCONCLUSIVE, "no_component_health", evidence)
    if sync_status != SYNCED:
        return CheckResult(Verdict.FAILED, "not_synced", evidence)
    return CheckResult(Verdict.PASSED, None, evidence)


def judge_protocol(
    running: Iterable[str], vehicle: Vehicle, gates: Mapping[str, str], picky: Sequence[str]
) -> CheckResult:
    """Judge whether the charger's firmware can do ISO 15118-20 with this vehicle.

    ``running`` are the names of what it runs in both schemes. Dated builds advertise 15118-20 from
    the gate on; vehicles that are ``picky`` need a semantic version besides.
    """
    names = sorted(running)
    is_picky = _is_picky(vehicle, picky)
    wanted = {"iso15118_20": gates["iso15118_20"]}
    if is_picky:
        wanted["picky_vehicles"] = gates["picky_vehicles"]
    evidence = {"running": names, "needed": wanted}
    reached = {name: _has_reached(names, gate) for name, gate in wanted.items()}
    if reached["iso15118_20"] is False:
        return CheckResult(Verdict.FAILED, "firmware_too_old", evidence)
    if reached.get("picky_vehicles") is False:
        return CheckResult(Verdict.FAILED, "picky_vehicle", evidence)
    if None in reached.values():
        return CheckResult(Verdict.INCONCLUSIVE, "not_comparable", evidence)
    return CheckResult(Verdict.PASSED, None, evidence)


def _is_picky(vehicle: Vehicle, picky: Sequence[str]) -> bool:
    said = f"{vehicle.make or ''} {vehicle.model or ''}".lower().replace(" ", "")
    return any(name.lower() in said for name in picky)


def _has_reached(names: Sequence[str], gate: str) -> bool | None:
    """Tell whether one of the names has reached a gate; None where none can be compared."""
    orders = {compare_versions(name, gate) for name in names} - {Order.INCOMPARABLE}
    return None if not orders else bool(orders & {Order.SAME, Order.NEWER})
