"""Consents on the administration surface: grant, list, look at, revoke."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.audit.model import Actor
from tellus.consent.model import (
    Consent,
    ConsentFilter,
    Place,
    Scope,
    Service,
    State,
    bits_of,
    services_in,
)
from tellus.consent.service import ConsentService
from tellus.kernel.call import Call, Nothing
from tellus.kernel.errors import InvalidParameter, MissingParameter
from tellus.kernel.ids import new_id
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.units import to_ms, to_text

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Identifier = Annotated[str, Meta(min_length=1, max_length=64)]
Note = Annotated[str, Meta(min_length=1, max_length=500)]


class GrantConsentRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A consent: for one device, site or operator; ``from`` is now where it is left out.

    ``evidence`` says where the agreement can be found, such as the number of a contract.
    """

    device_id: Identifier | UnsetType = UNSET
    site_id: Identifier | UnsetType = UNSET
    operator_id: Identifier | UnsetType = UNSET
    services: Annotated[list[Service], Meta(min_length=1, max_length=5)]
    granted_by: Name
    customer: Name | UnsetType = UNSET
    evidence: Note | UnsetType = UNSET
    begins: datetime | UnsetType = msgspec.field(default=UNSET, name="from")
    ends: datetime | UnsetType = msgspec.field(default=UNSET, name="to")


class RevokeConsentRequest(msgspec.Struct, frozen=True):
    """Why a consent ends."""

    reason: Note | UnsetType = UNSET


class ConsentsQuery(PageQuery, frozen=True, kw_only=True):
    """Which consents: all that cover a device, those for a site, or all of an operator."""

    device_id: Identifier | UnsetType = UNSET
    site_id: Identifier | UnsetType = UNSET
    operator_id: Identifier | UnsetType = UNSET


class ConsentItem(msgspec.Struct, frozen=True, kw_only=True):
    """A consent and where it stands: ``not_yet``, ``active``, ``expired`` or ``revoked``."""

    consent_id: str
    state: State
    scope: Annotated[Scope, Meta(description="What the consent is for.")]
    device_id: str | UnsetType = UNSET
    site_id: str | UnsetType = UNSET
    operator_id: str
    services: list[Service]
    granted_by: str
    customer: str | UnsetType = UNSET
    evidence: str | UnsetType = UNSET
    begins: str = msgspec.field(name="from")
    ends: str | UnsetType = msgspec.field(default=UNSET, name="to")
    created_at: str
    created_by: str
    revoked_at: str | UnsetType = UNSET
    revoked_by: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET


async def grant_consent(
    consents: ConsentService, call: Call[GrantConsentRequest, Nothing]
) -> ConsentItem:
    """Record that somebody agrees to services for a device, a site or an operator."""
    body = call.body
    scope, scope_id = _scope_of(body)
    wanted = Consent(
        consent_id=new_id("cns"),
        scope=scope,
        scope_id=scope_id,
        operator_id="",
        customer=body.customer or None,
        granted_by=body.granted_by,
        services=bits_of(body.services),
        evidence=body.evidence or None,
        from_ms=call.now_ms if body.begins is UNSET else to_ms(body.begins),
        to_ms=None if body.ends is UNSET else to_ms(body.ends),
        created_ms=call.now_ms,
        created_by="",
    )
    return _item(consents, await consents.grant(wanted, _actor(call)))


async def list_consents(
    consents: ConsentService, call: Call[Nothing, ConsentsQuery]
) -> Page[ConsentItem]:
    """List consents with those that are over, newest first."""
    query = call.query
    place: Place | None = None
    if query.device_id is not UNSET:
        place = await consents.find_place(query.device_id)
    wanted = ConsentFilter(place, query.site_id or None, query.operator_id or None)
    total, found = await consents.list_consents(wanted, query.offset, query.size)
    return Page(total, query.page, query.size, [_item(consents, one) for one in found])


async def get_consent(consents: ConsentService, call: Call[Nothing, Nothing]) -> ConsentItem:
    """Return a consent."""
    return _item(consents, await consents.get_consent(call.path["consent_id"]))


async def revoke_consent(
    consents: ConsentService, call: Call[RevokeConsentRequest, Nothing]
) -> ConsentItem:
    """End a consent."""
    reason = call.body.reason or None
    return _item(consents, await consents.revoke(call.path["consent_id"], reason, _actor(call)))


def _scope_of(body: GrantConsentRequest) -> tuple[Scope, str]:
    given = [
        (scope, scope_id)
        for scope, scope_id in (
            (Scope.DEVICE, body.device_id),
            (Scope.SITE, body.site_id),
            (Scope.OPERATOR, body.operator_id),
        )
        if scope_id is not UNSET
    ]
    if not given:
        raise MissingParameter("device_id")
    if len(given) > 1:
        message = "A consent is for one device, one site or one operator"
        raise InvalidParameter(message, "device_id")
    return given[0]


def _item(consents: ConsentService, consent: Consent) -> ConsentItem:
    scope = consent.scope
    return ConsentItem(
        consent_id=consent.consent_id,
        state=consents.state_of(consent),
        scope=scope,
        device_id=consent.scope_id if scope is Scope.DEVICE else UNSET,
        site_id=consent.scope_id if scope is Scope.SITE else UNSET,
        operator_id=consent.operator_id,
        services=services_in(consent.services),
        granted_by=consent.granted_by,
        customer=consent.customer or UNSET,
        evidence=consent.evidence or UNSET,
        begins=to_text(consent.from_ms),
        ends=UNSET if consent.to_ms is None else to_text(consent.to_ms),
        created_at=to_text(consent.created_ms),
        created_by=consent.created_by,
        revoked_at=UNSET if consent.revoked_ms is None else to_text(consent.revoked_ms),
        revoked_by=consent.revoked_by or UNSET,
        reason=consent.revoke_reason or UNSET,
    )


def _actor(call: Call[Any, Any]) -> Actor:
    principal = call.principal
    return Actor(principal.principal_id, call.request_id or None, principal.scopes)
