"""Administration of peers."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.audit.model import Actor
from tellus.kernel.call import NOTHING, Call, Nothing
from tellus.kernel.errors import InvalidParameter
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.units import to_text
from tellus.legacy.model import Peer, PeerAuth, ShareKind
from tellus.legacy.peers import PeerService, ShownPeer, fields_of

Name = Annotated[str, Meta(min_length=1, max_length=128)]
Identifier = Annotated[str, Meta(min_length=1, max_length=64)]
Zone = Annotated[str, Meta(min_length=1, max_length=64)]
Url = Annotated[str, Meta(min_length=1, max_length=512)]
AuthText = Annotated[str, Meta(min_length=1, max_length=512)]

_FIELDS = (
    "name",
    "timezone",
    "push_url",
    "sends_discharging",
    "auth",
    "token_url",
    "auth_id",
    "auth_scope",
)


class PeerRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A platform to deal with, on behalf of an operator of ours.

    ``timezone`` is that of its times without a zone. ``push_url`` is what our pushes go below;
    ``auth`` says what they carry: ``none``, ``bearer`` (``auth_secret`` is the token) or
    ``client_credentials`` (a token from ``token_url`` for ``auth_id`` and ``auth_secret``).
    """

    operator_id: Identifier
    name: Name
    timezone: Zone | UnsetType = UNSET
    push_url: Url | UnsetType = UNSET
    sends_discharging: bool | UnsetType = UNSET
    auth: PeerAuth | UnsetType = UNSET
    token_url: Url | UnsetType = UNSET
    auth_id: AuthText | UnsetType = UNSET
    auth_scope: AuthText | UnsetType = UNSET
    auth_secret: AuthText | UnsetType = UNSET


class PeerChangeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of a peer; what is left out stays, null takes an optional setting away."""

    name: Name | UnsetType = UNSET
    timezone: Zone | UnsetType = UNSET
    push_url: Url | UnsetType | None = UNSET
    sends_discharging: bool | UnsetType = UNSET
    auth: PeerAuth | UnsetType = UNSET
    token_url: Url | UnsetType | None = UNSET
    auth_id: AuthText | UnsetType | None = UNSET
    auth_scope: AuthText | UnsetType | None = UNSET
    auth_secret: AuthText | UnsetType = UNSET


class PeersQuery(PageQuery, frozen=True):
    """Which peers to list."""

    operator_id: Identifier | UnsetType = UNSET


class ShareRequest(msgspec.Struct, frozen=True):
    """What to share: a site with all its devices, or one device."""

    site_id: Identifier | UnsetType = UNSET
    device_id: Identifier | UnsetType = UNSET


class ShareItem(msgspec.Struct, frozen=True):
    """Something shared with a peer."""

    kind: str
    id: str
    shared_at: str


class PeerListItem(msgspec.Struct, frozen=True, kw_only=True):
    """A peer. ``peer_id`` is also the client that it calls us with.

    What we prove ourselves with in our calls is never shown.
    """

    peer_id: str
    operator_id: str
    name: str
    timezone: str
    sends_discharging: bool
    auth: str
    created_at: str
    updated_at: str
    push_url: str | UnsetType = UNSET
    token_url: str | UnsetType = UNSET
    auth_id: str | UnsetType = UNSET
    auth_scope: str | UnsetType = UNSET


class PeerItem(PeerListItem, frozen=True, kw_only=True):
    """A peer with what is shared with it."""

    shares: list[ShareItem]


class PeerSecretResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A new peer, and the secret that it gets tokens with, shown this once."""

    peer_id: str
    peer_secret: str
    peer: PeerItem


async def create_peer(peers: PeerService, call: Call[PeerRequest, Nothing]) -> PeerSecretResponse:
    """Make a platform a peer; its secret is shown this once."""
    body = call.body
    settings = fields_of(body, _FIELDS)
    made = await peers.create_peer(
        body.operator_id, settings, body.auth_secret or None, _actor(call)
    )
    peer_id = made.peer.peer_id
    item = _peer(ShownPeer(made.peer, []))
    return PeerSecretResponse(peer_id=peer_id, peer_secret=made.issued.text, peer=item)


async def list_peers(peers: PeerService, call: Call[Nothing, PeersQuery]) -> Page[PeerListItem]:
    """List peers, of one operator or of all, oldest first."""
    query = call.query
    total, found = await peers.list_peers(query.operator_id or None, query.offset, query.size)
    return Page(total, query.page, query.size, [PeerListItem(**_fields(one)) for one in found])


async def get_peer(peers: PeerService, call: Call[Nothing, Nothing]) -> PeerItem:
    """Return a peer and what is shared with it."""
    return _peer(await peers.get_peer(call.path["peer_id"]))


async def update_peer(peers: PeerService, call: Call[PeerChangeRequest, Nothing]) -> PeerItem:
    """Change a peer; the change bites at its next call and our next push."""
    changes = fields_of(call.body, _FIELDS)
    secret = call.body.auth_secret or None
    by = _actor(call)
    return _peer(await peers.update_peer(call.path["peer_id"], changes, secret, by))


async def delete_peer(peers: PeerService, call: Call[Nothing, Nothing]) -> Nothing:
    """End a peer with its client, its tokens and all that it is still owed, at once."""
    await peers.delete_peer(call.path["peer_id"], _actor(call))
    return NOTHING


async def share_with_peer(peers: PeerService, call: Call[ShareRequest, Nothing]) -> PeerItem:
    """Share a site or a device with a peer."""
    kind, resource_id = _subject(call.body)
    by = _actor(call)
    return _peer(await peers.share(call.path["peer_id"], kind, resource_id, by))


async def unshare_with_peer(peers: PeerService, call: Call[Nothing, Nothing]) -> PeerItem:
    """Share a site or a device no longer."""
    path = call.path
    return _peer(await peers.unshare(path["peer_id"], path["resource_id"], _actor(call)))


def _subject(given: ShareRequest) -> tuple[ShareKind, str]:
    if (given.site_id is UNSET) == (given.device_id is UNSET):
        message = "Give either 'site_id' or 'device_id'"
        raise InvalidParameter(message, "site_id")
    if given.site_id is not UNSET:
        return ShareKind.SITE, given.site_id
    return ShareKind.DEVICE, str(given.device_id)


def _actor(call: Call[Any, Any]) -> Actor:
    principal = call.principal
    return Actor(principal.principal_id, call.request_id or None, principal.scopes)


def _peer(shown: ShownPeer) -> PeerItem:
    shares = [
        ShareItem(share.kind.value, share.resource_id, to_text(share.created_ms))
        for share in shown.shares
    ]
    return PeerItem(**_fields(shown.peer), shares=shares)


def _fields(peer: Peer) -> dict[str, Any]:
    optional = {
        name: value
        for name in ("push_url", "token_url", "auth_id", "auth_scope")
        if (value := getattr(peer, name)) is not None
    }
    return {
        "peer_id": peer.peer_id,
        "operator_id": peer.operator_id,
        "name": peer.name,
        "timezone": peer.timezone,
        "sends_discharging": peer.sends_discharging,
        "auth": peer.auth.value,
        "created_at": to_text(peer.created_ms),
        "updated_at": to_text(peer.updated_ms),
        **optional,
    }
