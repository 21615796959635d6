"""Decisions about what is known of devices beyond their operation."""

from typing import Final

from tellus.fleet.model_metadata import ActivationStatus, Lifecycle, Link
from tellus.kernel.units import DAY_MS

SIGNAL_STEP_DBM: Final = 5
"""By how much the strength of a signal has to move to be written again: it never stands still."""


def merge_link(known: Link, said: Link) -> Link:
    """Return how a device is connected after what it says, which need not be all (rule G3).

    What was known of one kind of connection says nothing of another.
    """
    if said.kind is not None and said.kind != known.kind:
        return said if said.imei is not None else Link(said.kind, said.signal_dbm, known.imei)
    return Link(
        known.kind,
        known.signal_dbm if said.signal_dbm is None else said.signal_dbm,
        known.imei if said.imei is None else said.imei,
    )


def is_news(known: Link, said: Link) -> bool:
    """Tell whether what a device says is worth writing, against what is known."""
    merged = merge_link(known, said)
    if (merged.kind, merged.imei) != (known.kind, known.imei):
        return True
    if merged.signal_dbm is None or known.signal_dbm is None:
        return merged.signal_dbm != known.signal_dbm
    return abs(merged.signal_dbm - known.signal_dbm) >= SIGNAL_STEP_DBM


def activation_status(
    lifecycle: Lifecycle, now_ms: int, *, is_active: bool, is_site_active: bool
) -> ActivationStatus:
    """Return whether a device is in use (rule G5).

    Suspended is whose registration is not finished, and whose site is inactive.
    """
    decommissioned_ms = lifecycle.decommissioned_ms
    if decommissioned_ms is not None and decommissioned_ms <= now_ms:
        return ActivationStatus.DECOMMISSIONED
    if is_active and is_site_active:
        return ActivationStatus.ACTIVATED
    return ActivationStatus.SUSPENDED


def usage_days(lifecycle: Lifecycle, now_ms: int) -> int | None:
    """Return for how many whole days a device has been in use, None where that is not known."""
    if lifecycle.activated_ms is None:
        return None
    ended_ms = now_ms
    if lifecycle.decommissioned_ms is not None:
        ended_ms = min(now_ms, lifecycle.decommissioned_ms)
    return max(0, ended_ms - lifecycle.activated_ms) // DAY_MS
