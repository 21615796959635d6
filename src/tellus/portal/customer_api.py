"""The portal as customers have it: their chargers, consents and readers, and the switch."""

from datetime import date
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.audit.model import Actor
from tellus.coexistence.model import DataKind, ReadCount, ReaderKind, ReadScope
from tellus.consent.model import Consent, Scope, Service, State, services_in
from tellus.kernel.call import Call, Nothing
from tellus.kernel.errors import InvalidParameter
from tellus.kernel.files import FileAnswer
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.units import to_text
from tellus.portal.export import ExportService
from tellus.portal.model import Charger, Customer
from tellus.portal.service import PortalService

_EPOCH: Final = date(1970, 1, 1).toordinal()

Note = Annotated[str, Meta(min_length=1, max_length=500)]


class SwitchOffRequest(msgspec.Struct, frozen=True):
    """Why a customer switches off."""

    reason: Note | UnsetType = UNSET


class PortalReadersQuery(PageQuery, frozen=True, kw_only=True):
    """Which days (UTC), both included; what is left out admits all."""

    from_day: date | UnsetType = UNSET
    to_day: date | UnsetType = UNSET


class PortalServiceItem(msgspec.Struct, frozen=True):
    """A service of a charger: ``agreed`` by this customer, ``enabled`` whoever agreed."""

    service: Service
    agreed: bool
    enabled: bool


class CoveredItem(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which the customer's consents covered a charger; it goes on without ``to``."""

    begins: str = msgspec.field(name="from")
    ends: str | UnsetType = msgspec.field(default=UNSET, name="to")


class PortalChargerItem(msgspec.Struct, frozen=True, kw_only=True):
    """A charger that the customer's consents cover, or covered.

    ``consent_required`` tells whether anything rests on consent in this installation. What it runs
    is there while a consent holds.
    """

    device_id: str
    sn: str
    model: str
    site_id: str
    covered: bool
    consent_required: bool
    services: list[PortalServiceItem]
    firmware_version: str | UnsetType = UNSET
    needs_firmware: str | UnsetType = UNSET


class PortalChargerResponse(PortalChargerItem, frozen=True, kw_only=True):
    """A charger with when it was covered, and by which consents, the newest first."""

    manufacturer: str
    connector_ids: list[int]
    times: list[CoveredItem]
    consent_ids: list[str]


class PortalConsentItem(msgspec.Struct, frozen=True, kw_only=True):
    """A consent of the customer and where it stands."""

    consent_id: str
    state: State
    scope: Scope
    device_id: str | UnsetType = UNSET
    site_id: str | UnsetType = UNSET
    services: list[Service]
    granted_by: str
    evidence: str | UnsetType = UNSET
    begins: str = msgspec.field(name="from")
    ends: str | UnsetType = msgspec.field(default=UNSET, name="to")
    created_at: str
    revoked_at: str | UnsetType = UNSET
    revoked_by: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET


class PortalReaderItem(msgspec.Struct, frozen=True, kw_only=True):
    """How often a reader read a kind of data of the charger on a day (UTC).

    ``scope`` is ``device`` where it was of this charger, ``site`` or ``operator`` where it was of
    sums over them. ``seconds`` is how long streams of it were open.
    """

    day: date
    reader_id: str
    reader_kind: ReaderKind
    kind: DataKind
    scope: ReadScope
    times: int
    seconds: int | UnsetType = UNSET
    first_at: str
    last_at: str


async def list_chargers(
    portal: PortalService, call: Call[Nothing, PageQuery]
) -> Page[PortalChargerItem]:
    """List the customer's chargers, present and past, by serial number."""
    query = call.query
    found = await portal.list_chargers(customer_of(call))
    some = found[query.offset : query.offset + query.size]
    items = [PortalChargerItem(**_charger_fields(portal, one)) for one in some]
    return Page(len(found), query.page, query.size, items)


async def get_charger(portal: PortalService, call: Call[Nothing, Nothing]) -> PortalChargerResponse:
    """Return one of the customer's chargers."""
    charger = await portal.get_charger(customer_of(call), call.path["device_id"])
    return PortalChargerResponse(
        **_charger_fields(portal, charger),
        manufacturer=charger.manufacturer,
        connector_ids=list(charger.connector_ids),
        times=[
            CoveredItem(begins=to_text(span.from_ms), ends=_time(span.to_ms))
            for span in charger.covered.spans
        ],
        consent_ids=[consent.consent_id for consent in charger.covered.consents],
    )


async def list_consents(
    portal: PortalService, call: Call[Nothing, PageQuery]
) -> Page[PortalConsentItem]:
    """List the customer's consents with those that are over, newest first."""
    query = call.query
    total, found = await portal.list_consents(customer_of(call), query.offset, query.size)
    return Page(total, query.page, query.size, [_consent_item(portal, one) for one in found])


async def switch_off(
    portal: PortalService, call: Call[SwitchOffRequest, Nothing]
) -> PortalConsentItem:
    """End one of the customer's consents at once."""
    reason = call.body.reason or None
    consent = await portal.switch_off(
        customer_of(call), call.path["consent_id"], reason, actor_of(call)
    )
    return _consent_item(portal, consent)


async def list_readers(
    portal: PortalService, call: Call[Nothing, PortalReadersQuery]
) -> Page[PortalReaderItem]:
    """Return who read what of a charger while the customer's consents covered it."""
    query = call.query
    from_day = None if query.from_day is UNSET else query.from_day.toordinal() - _EPOCH
    to_day = None if query.to_day is UNSET else query.to_day.toordinal() - _EPOCH
    if from_day is not None and to_day is not None and to_day < from_day:
        message = "Parameter 'to_day' must not be before 'from_day'"
        raise InvalidParameter(message, "to_day", str(query.to_day))
    total, found = await portal.list_readers(
        customer_of(call), call.path["device_id"], (from_day, to_day), (query.offset, query.size)
    )
    return Page(total, query.page, query.size, [_reader_item(one) for one in found])


async def export_charger(exports: ExportService, call: Call[Nothing, Nothing]) -> FileAnswer:
    """Return all data of a charger from the time of the customer's consents."""
    return await exports.export(
        customer_of(call), call.path["device_id"], call.principal, actor_of(call)
    )


def customer_of(call: Call[Any, Any]) -> Customer:
    """Return whose portal calls."""
    return Customer(call.principal.operator_id, call.principal.customer)


def actor_of(call: Call[Any, Any]) -> Actor:
    """Return who calls, for the audit log."""
    principal = call.principal
    return Actor(principal.principal_id, call.request_id or None, principal.scopes)


def _charger_fields(portal: PortalService, charger: Charger) -> dict[str, Any]:
    agreed = services_in(charger.agreed)
    enabled = services_in(charger.enabled)
    return {
        "device_id": charger.device_id,
        "sn": charger.sn,
        "model": charger.model,
        "site_id": charger.site_id,
        "covered": charger.is_covered,
        "consent_required": portal.enforced,
        "services": [
            PortalServiceItem(service, service in agreed, service in enabled) for service in Service
        ],
        "firmware_version": charger.firmware_version or UNSET,
        "needs_firmware": charger.needs_firmware or UNSET,
    }


def _consent_item(portal: PortalService, consent: Consent) -> PortalConsentItem:
    return PortalConsentItem(
        consent_id=consent.consent_id,
        state=portal.state_of(consent),
        scope=consent.scope,
        device_id=consent.scope_id if consent.scope is Scope.DEVICE else UNSET,
        site_id=consent.scope_id if consent.scope is Scope.SITE else UNSET,
        services=services_in(consent.services),
        granted_by=consent.granted_by,
        evidence=consent.evidence or UNSET,
        begins=to_text(consent.from_ms),
        ends=_time(consent.to_ms),
        created_at=to_text(consent.created_ms),
        revoked_at=_time(consent.revoked_ms),
        revoked_by=consent.revoked_by or UNSET,
        reason=consent.revoke_reason or UNSET,
    )


def _reader_item(count: ReadCount) -> PortalReaderItem:
    group = count.group
    return PortalReaderItem(
        day=date.fromordinal(_EPOCH + count.day),
        reader_id=group.reader_id,
        reader_kind=ReaderKind(group.reader_kind),
        kind=DataKind(group.kind),
        scope=ReadScope(group.scope),
        times=count.times,
        seconds=count.seconds or UNSET,
        first_at=to_text(count.first_ms),
        last_at=to_text(count.last_ms),
    )


def _time(time_ms: int | None) -> str | UnsetType:
    return UNSET if time_ms is None else to_text(time_ms)
