"""Builds with a defect of their own: which versions have it, and whom it meets."""

from __future__ import annotations

from tellus.simulator.figures import default_figures


def version_key(version: str) -> tuple[int, ...]:
    """Return what versions of both schemes (3.0.2 and 260420.0107) are ordered by."""
    parts = []
    for part in version.split("."):
        digits = "".join(one for one in part if one.isdigit())
        parts.append(int(digits) if digits else 0)
    return tuple(parts)


def defect_ratio(code: str, version: str, vehicle: str = "") -> float:
    """Return the chance (0 to 1) that this build shows the fault ``code`` at one occasion."""
    key = version_key(version)
    for defect in default_figures().firmware_defects:
        if defect.code != code or (defect.vehicle and defect.vehicle != vehicle):
            continue
        if version_key(defect.since) <= key < version_key(defect.fixed):
            return defect.ratio
    return 0.0
