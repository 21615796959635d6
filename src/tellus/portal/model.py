"""The words of the portal: whose it is, the times of consent, and what customers ask for."""

import enum
from typing import NamedTuple

import msgspec

from tellus.consent.model import Consent
from tellus.kernel.errors import Conflict


class Customer(NamedTuple):
    """A customer of an operator, by the name that consents give."""

    operator_id: str
    name: str


class Span(NamedTuple):
    """A time ``[from_ms, to_ms)``; without an end it goes on."""

    from_ms: int
    to_ms: int | None

    def holds(self, now_ms: int) -> bool:
        """Tell whether an instant lies in it."""
        return self.from_ms <= now_ms and (self.to_ms is None or now_ms < self.to_ms)


class Stay(NamedTuple):
    """A site, and when a charger stood under it."""

    site_id: str
    span: Span


class FormerSite(NamedTuple):
    """A site that a charger has left, and when (ms)."""

    device_no: int
    to_ms: int
    site_id: str


class Covered(NamedTuple):
    """What a customer's consents cover of a charger: when, and by which of them."""

    spans: tuple[Span, ...]
    consents: tuple[Consent, ...]


class Charger(msgspec.Struct, frozen=True, kw_only=True):
    """A charger as its customer sees it.

    ``agreed`` are the services that the customer's own consents turn on now, ``enabled`` all that
    are on, whoever agreed; both as bits. What it runs is there while a consent holds.
    """

    device_no: int
    device_id: str
    sn: str
    model: str
    manufacturer: str
    site_id: str
    connector_ids: tuple[int, ...]
    firmware_version: str | None
    needs_firmware: str | None
    agreed: int
    enabled: int
    is_covered: bool
    covered: Covered


class RequestKind(enum.StrEnum):
    """What a customer asks for: other services, or that a charger is erased."""

    CHANGE = "change"
    ERASURE = "erasure"


class RequestStatus(enum.StrEnum):
    """Where a request stands; the last two are ends."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"


class Verdict(NamedTuple):
    """How a request is answered."""

    status: RequestStatus
    note: str | None


class CustomerRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as stored; ``services`` are bits. ``answer`` is the note of whoever answered."""

    request_id: str
    kind: RequestKind
    operator_id: str
    customer: str
    device_no: int | None
    device_id: str | None
    consent_id: str | None
    services: int
    note: str | None
    status: RequestStatus
    created_ms: int
    created_by: str
    answered_ms: int | None = None
    answered_by: str | None = None
    answer: str | None = None
    erasure_id: str | None = None


class RequestFilter(NamedTuple):
    """Which requests are asked for; None admits all."""

    operator_id: str | None = None
    customer: str | None = None
    status: RequestStatus | None = None


class RequestAnswered(Conflict):
    """4001: the request has been answered already (rule K6)."""

    def __init__(self, status: RequestStatus) -> None:
        super().__init__("This request has been answered already", status=status.value)


class NeedsAdministrator(Conflict):
    """4001: whether a charger is erased, an administrator decides (rule K6)."""

    def __init__(self) -> None:
        message = "An erasure is answered by an administrator"
        super().__init__(message, reason="needs_administrator")
