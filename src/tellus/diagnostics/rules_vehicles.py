"""Decisions about the list of vehicles that may give energy back."""

from tellus.diagnostics.model_vehicles import Eligibility, Vehicle, Verdict
from tellus.kernel.versions import Order, compare_versions


def key_of(name: str) -> str:
    """Return what a make or model is compared by: without regard to case and width of blanks."""
    return " ".join(name.casefold().split())


def judge_vehicle(entry: Vehicle | None, firmware: str | None) -> Eligibility:
    """Return what the list says of a vehicle with its ``entry`` and firmware (rule G4).

    The firmware is None where it is unknown. Where an oldest is named, one that cannot be compared
    with it is unknown.
    """
    if entry is None:
        return Eligibility(Verdict.NOT_LISTED, None)
    if entry.min_firmware is None:
        return Eligibility(Verdict.LISTED, entry)
    order = compare_versions((firmware or "").strip(), entry.min_firmware)
    if order is Order.INCOMPARABLE:
        return Eligibility(Verdict.FIRMWARE_UNKNOWN, entry)
    is_too_old = order is Order.OLDER
    return Eligibility(Verdict.FIRMWARE_TOO_OLD if is_too_old else Verdict.LISTED, entry)
