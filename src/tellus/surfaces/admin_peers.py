"""The administration of peers: rows of the admin surface."""

from functools import partial
from typing import Final

from tellus.kernel.call import Audience
from tellus.kernel.paging import Page
from tellus.legacy import admin_api as peers
from tellus.surfaces.routes import Route

_row = partial(Route, audience=Audience.ADMIN, tag="Admin: peers")
_read = partial(_row, "GET", scope="org:read")
_write = partial(_row, scope="org:write")

PEER_ADMIN_ROUTES: Final[tuple[Route, ...]] = (
    _read(
        "/v1/admin/peers", "listPeers", peers.list_peers,
        query=peers.PeersQuery, response=Page[peers.PeerListItem],
        summary="List peers",
    ),
    _write(
        "POST", "/v1/admin/peers", "createPeer", peers.create_peer,
        request=peers.PeerRequest, response=peers.PeerSecretResponse, secret=True,
        summary="Create a peer",
        description="A peer is the platform of another operator. It gets a client of its own, for"
        " the legacy paths and nothing else; the secret is shown in this answer and never again.",
    ),
    _read(
        "/v1/admin/peers/{peer_id}", "getPeer", peers.get_peer, response=peers.PeerItem,
        summary="Read a peer", description="With what is shared with it.",
    ),
    _write(
        "PATCH", "/v1/admin/peers/{peer_id}", "updatePeer", peers.update_peer,
        request=peers.PeerChangeRequest, response=peers.PeerItem,
        summary="Change a peer",
        description="What is left out stays as it is, null takes an optional setting away.",
    ),
    _write(
        "DELETE", "/v1/admin/peers/{peer_id}", "deletePeer", peers.delete_peer,
        summary="Delete a peer",
        description="Ends it with its client, its tokens and all that it is still owed, at once.",
    ),
    _write(
        "POST", "/v1/admin/peers/{peer_id}/shares", "shareWithPeer", peers.share_with_peer,
        request=peers.ShareRequest, response=peers.PeerItem,
        summary="Share with a peer",
        description="A site with all its chargers, or one charger. What has no location, or no"
        " connectors yet, is 409.",
    ),
    _write(
        "DELETE", "/v1/admin/peers/{peer_id}/shares/{resource_id}", "unshareWithPeer",
        peers.unshare_with_peer, response=peers.PeerItem,
        summary="Share no longer",
        description="Orders that run there run on.",
    ),
)  # fmt: skip
