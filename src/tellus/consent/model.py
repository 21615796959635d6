"""The words of consent: services, what a consent covers, where it stands."""

import enum
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from tellus.kernel.errors import Conflict, PermissionDenied

SECOND_BACKEND_FIRMWARE: Final = "260420.0107"
"""The first firmware that can speak to a second platform beside the one that bills."""


class Service(enum.StrEnum):
    """What can be agreed to.

    ``diagnostics``: samples, events, component health, diagnostic commands. ``flexibility``: start,
    stop, schedules, limits. ``v2g_dispatch``: discharge. ``energy_reporting``: charging records and
    sums. ``firmware``: upgrades and rollouts.
    """

    DIAGNOSTICS = "diagnostics"
    V2G_DISPATCH = "v2g_dispatch"
    FLEXIBILITY = "flexibility"
    ENERGY_REPORTING = "energy_reporting"
    FIRMWARE = "firmware"


BIT: Final[Mapping[Service, int]] = MappingProxyType(
    {service: 1 << place for place, service in enumerate(Service)}
)
"""The bit of each service; stored, so a service keeps its place for good."""


class Scope(enum.StrEnum):
    """What a consent covers; a site and an operator with all their devices, those to come too."""

    DEVICE = "device"
    SITE = "site"
    OPERATOR = "operator"


class State(enum.StrEnum):
    """Where a consent stands at an instant."""

    NOT_YET = "not_yet"
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Place(NamedTuple):
    """Which consents can cover a device (its own, its site's, its operator's), and what it runs."""

    device_id: str
    site_id: str
    operator_id: str
    model: str
    firmware_version: str


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """A consent as stored; it holds in ``[from_ms, to_ms)``, without ``to_ms`` until revoked.

    ``services`` are bits. ``operator_id`` is whose the device or site was when it was granted: for
    another operator it does not count. ``ended_ms`` is set once what has to follow its end is done.
    """

    consent_id: str
    scope: Scope
    scope_id: str
    operator_id: str
    customer: str | None
    granted_by: str
    services: int
    evidence: str | None
    from_ms: int
    to_ms: int | None
    created_ms: int
    created_by: str
    revoked_ms: int | None = None
    revoked_by: str | None = None
    revoke_reason: str | None = None
    ended_ms: int | None = None


class ConsentFilter(NamedTuple):
    """Which consents are asked for; ``place`` asks for all that name it, its site or operator.

    ``customer`` asks for those of one customer of the operator.
    """

    place: Place | None = None
    site_id: str | None = None
    operator_id: str | None = None
    customer: str | None = None


class NotConsented(PermissionDenied):
    """2003: the device's owner has not agreed to the service, or no longer does (rule K1)."""

    def __init__(self, service: Service) -> None:
        message = f"There is no consent for '{service.value}' on this device"
        super().__init__(message, service=service.value)


class FirmwareTooOld(Conflict):
    """4001: the device's firmware cannot speak to a second platform (rule K2)."""

    def __init__(self, device_id: str, firmware_version: str) -> None:
        super().__init__(
            f"This needs firmware {SECOND_BACKEND_FIRMWARE} or later",
            reason="firmware_too_old",
            device_id=device_id,
            firmware_version=firmware_version,
            needs_firmware=SECOND_BACKEND_FIRMWARE,
        )


def bits_of(services: Iterable[Service]) -> int:
    """Return services as bits."""
    bits = 0
    for service in services:
        bits |= BIT[service]
    return bits


def services_in(bits: int) -> list[Service]:
    """Return the services that bits stand for, in their order."""
    return [service for service in Service if bits & BIT[service]]
