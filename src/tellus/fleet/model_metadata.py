"""The words of what is known of devices beyond their operation."""

import enum
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType


class LinkKind(enum.StrEnum):
    """By what a charger is connected."""

    CELLULAR = "cellular"
    WIFI = "wifi"
    ETHERNET = "ethernet"


class Link(msgspec.Struct, frozen=True):
    """How a charger says it is connected; None where it does not say."""

    kind: str | None = None
    signal_dbm: int | None = None
    imei: str | None = None


NO_LINK: Final = Link()


class ConnectivityReport(msgspec.Struct, frozen=True, kw_only=True):
    """How a charger is connected; what it leaves out stays as it was."""

    type: LinkKind | UnsetType = UNSET
    signal_strength_dbm: Annotated[int, Meta(ge=-200, le=50)] | UnsetType = UNSET
    imei: Annotated[str, Meta(pattern=r"^[0-9]{14,16}\Z", max_length=16)] | UnsetType = UNSET


def link_of(report: ConnectivityReport | UnsetType) -> Link | None:
    """Return how a charger says it is connected, None where it does not say."""
    if report is UNSET:
        return None
    signal_dbm = report.signal_strength_dbm
    return Link(
        report.type.value if report.type else None,
        None if signal_dbm is UNSET else signal_dbm,
        report.imei or None,
    )


class ActivationStatus(enum.StrEnum):
    """Whether a device is in use, waits to be, or is not to be any more."""

    ACTIVATED = "activated"
    SUSPENDED = "suspended"
    DECOMMISSIONED = "decommissioned"


class Lifecycle(NamedTuple):
    """What is known of a device's life; times in ms, None where it is not known."""

    activated_ms: int | None = None
    warranty_expires_ms: int | None = None
    manufacturing_batch: str | None = None
    decommissioned_ms: int | None = None


class Metadata(NamedTuple):
    """What the store knows of a device beyond its operation, and whether its site is active."""

    link: Link
    lifecycle: Lifecycle
    is_site_active: bool
