"""Transfers on the administration surface: where destinations are, and grants."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.audit.model import Actor
from tellus.kernel.call import Call, Nothing
from tellus.kernel.ids import new_id
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.units import to_ms, to_text
from tellus.transfers.model import (
    Destination,
    DestinationKind,
    GrantState,
    TransferGrant,
    TransferKind,
)
from tellus.transfers.service import TransferService

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Identifier = Annotated[str, Meta(min_length=1, max_length=64)]
Region = Annotated[str, Meta(min_length=1, max_length=32)]
Note = Annotated[str, Meta(min_length=1, max_length=500)]


class PlaceDestinationRequest(msgspec.Struct, frozen=True):
    """In which region a destination is."""

    region: Region


class TransferGrantRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Leave for an operator's data to go to a region; ``from`` is now where it is left out."""

    operator_id: Identifier
    to_region: Region
    kinds: Annotated[list[TransferKind], Meta(min_length=1, max_length=3)]
    granted_by: Name
    evidence: Note | UnsetType = UNSET
    begins: datetime | UnsetType = msgspec.field(default=UNSET, name="from")
    ends: datetime | UnsetType = msgspec.field(default=UNSET, name="to")


class RevokeTransferGrantRequest(msgspec.Struct, frozen=True):
    """Why a grant ends."""

    reason: Note | UnsetType = UNSET


class TransfersQuery(PageQuery, frozen=True, kw_only=True):
    """Whose; all by default."""

    operator_id: Identifier | UnsetType = UNSET


class DestinationRegionItem(msgspec.Struct, frozen=True):
    """A destination whose region was stated."""

    destination_id: str
    kind: DestinationKind
    operator_id: str
    region: str
    stated_at: str
    stated_by: str


class TransferGrantItem(msgspec.Struct, frozen=True, kw_only=True):
    """A grant and where it stands."""

    grant_id: str
    state: GrantState
    operator_id: str
    to_region: str
    kinds: list[TransferKind]
    granted_by: str
    evidence: str | UnsetType = UNSET
    begins: str = msgspec.field(name="from")
    ends: str | UnsetType = msgspec.field(default=UNSET, name="to")
    created_at: str
    created_by: str
    revoked_at: str | UnsetType = UNSET
    revoked_by: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET


async def place_destination(
    transfers: TransferService, call: Call[PlaceDestinationRequest, Nothing]
) -> DestinationRegionItem:
    """State in which region a client, a webhook or a peer is."""
    destination_id = call.path["destination_id"]
    return _placed(await transfers.place(destination_id, call.body.region, _actor(call)))


async def list_destinations(
    transfers: TransferService, call: Call[Nothing, TransfersQuery]
) -> Page[DestinationRegionItem]:
    """List the destinations whose region was stated."""
    query = call.query
    total, found = await transfers.list_destinations(
        query.operator_id or None, query.offset, query.size
    )
    return Page(total, query.page, query.size, [_placed(one) for one in found])


async def grant_transfer(
    transfers: TransferService, call: Call[TransferGrantRequest, Nothing]
) -> TransferGrantItem:
    """Record that an operator's data may go to a region."""
    body = call.body
    wanted = TransferGrant(
        grant_id=new_id("tgr"),
        operator_id=body.operator_id,
        to_region=body.to_region,
        kinds=frozenset(body.kinds),
        granted_by=body.granted_by,
        evidence=body.evidence or None,
        from_ms=call.now_ms if body.begins is UNSET else to_ms(body.begins),
        to_ms=None if body.ends is UNSET else to_ms(body.ends),
        created_ms=call.now_ms,
        created_by="",
    )
    return _item(transfers, await transfers.grant(wanted, _actor(call)))


async def list_grants(
    transfers: TransferService, call: Call[Nothing, TransfersQuery]
) -> Page[TransferGrantItem]:
    """List grants with those that are over, newest first."""
    query = call.query
    total, found = await transfers.list_grants(query.operator_id or None, query.offset, query.size)
    return Page(total, query.page, query.size, [_item(transfers, one) for one in found])


async def get_grant(transfers: TransferService, call: Call[Nothing, Nothing]) -> TransferGrantItem:
    """Return a grant."""
    return _item(transfers, await transfers.get_grant(call.path["grant_id"]))


async def revoke_grant(
    transfers: TransferService, call: Call[RevokeTransferGrantRequest, Nothing]
) -> TransferGrantItem:
    """End a grant."""
    reason = call.body.reason or None
    return _item(transfers, await transfers.revoke(call.path["grant_id"], reason, _actor(call)))


def _placed(one: Destination) -> DestinationRegionItem:
    stated_at = to_text(one.stated_ms)
    return DestinationRegionItem(
        one.destination_id, one.kind, one.operator_id, one.region, stated_at, one.stated_by
    )


def _item(transfers: TransferService, grant: TransferGrant) -> TransferGrantItem:
    return TransferGrantItem(
        grant_id=grant.grant_id,
        state=transfers.state_of(grant),
        operator_id=grant.operator_id,
        to_region=grant.to_region,
        kinds=sorted(grant.kinds),
        granted_by=grant.granted_by,
        evidence=grant.evidence or UNSET,
        begins=to_text(grant.from_ms),
        ends=UNSET if grant.to_ms is None else to_text(grant.to_ms),
        created_at=to_text(grant.created_ms),
        created_by=grant.created_by,
        revoked_at=UNSET if grant.revoked_ms is None else to_text(grant.revoked_ms),
        revoked_by=grant.revoked_by or UNSET,
        reason=grant.revoke_reason or UNSET,
    )


def _actor(call: Call[Any, Any]) -> Actor:
    principal = call.principal
    return Actor(principal.principal_id, call.request_id or None, principal.scopes)
