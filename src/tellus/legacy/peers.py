"""Use cases of administrators around peers: who they are, and what is shared with them."""

from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import replace

from tellus.audit.model import Actor
from tellus.audit.service import record
from tellus.delivery.addresses import check_url
from tellus.fleet.directory import Device, Directory
from tellus.fleet.sites import check_timezone
from tellus.identity.keys import KeyRing
from tellus.identity.model import Client, ClientScope, ClientSettings, IssuedClientSecret
from tellus.identity.service import IdentityService
from tellus.kernel.clock import Clock
from tellus.kernel.errors import Conflict, InvalidParameter, NotFound
from tellus.kernel.ids import new_id
from tellus.legacy import store, store_outbox
from tellus.legacy.model import Peer, PeerAuth, Share, ShareKind
from tellus.storage.database import Database, Tx
from tellus.storage.settling import Settling

_LIMITS: Final = {"queries": 600, "control": 6_000}
"""Of a peer's client, a minute: it calls for all its customers, and pushes for all its chargers."""


class NotShareable(Conflict):
    """4001: what peers must be told of a charge point is not known; says what is missing."""

    def __init__(self, missing: str) -> None:
        super().__init__(f"A charger without {missing} cannot be shared", missing=missing)


class NewPeer(NamedTuple):
    """A peer with the secret that it calls us with, readable this once."""

    peer: Peer
    issued: IssuedClientSecret


class ShownPeer(NamedTuple):
    """A peer and what is shared with it."""

    peer: Peer
    shares: list[Share]


class PeerService:
    """Peers of all operators; every change is audited in its own transaction."""

    def __init__(
        self,
        database: Database,
        identity: IdentityService,
        keys: KeyRing,
        directory: Directory,
        clock: Clock,
    ) -> None:
        self._database = database
        self._identity = identity
        self._keys = keys
        self._directory = directory
        self._clock = clock
        self._settle = Settling(database).settle

    async def create_peer(
        self, operator_id: str, settings: dict[str, Any], secret: str | None, by: Actor
    ) -> NewPeer:
        """Make a platform a peer of an operator of ours, with a client to call us with.

        ``settings`` are fields of ``Peer``, ``secret`` what we prove ourselves with in our calls.

        Raises:
            NotFound: there is no such operator.
            InvalidParameter: a setting is not sound.
        """
        now_ms = self._clock.now_ms()
        peer_id = new_id("peer")
        peer = Peer(
            peer_id=peer_id,
            operator_id=operator_id,
            sealed_secret=self._seal(peer_id, secret),
            created_ms=now_ms,
            updated_ms=now_ms,
            **settings,
        )
        check_peer(peer)
        return await self._settle(self._remember_new, self._create, peer, by)

    async def list_peers(
        self, operator_id: str | None, offset: int, size: int
    ) -> tuple[int, list[Peer]]:
        """Return how many peers there are, of one operator or of all, and a page, oldest first."""
        return await self._database.read(store.list_peers, operator_id, offset, size)

    async def get_peer(self, peer_id: str) -> ShownPeer:
        """Return a peer and what is shared with it.

        Raises:
            NotFound: there is none of that id.
        """
        return await self._database.read(_show, peer_id)

    async def update_peer(
        self, peer_id: str, changes: dict[str, Any], secret: str | None, by: Actor
    ) -> ShownPeer:
        """Change fields of a peer; ``secret`` None leaves what we prove ourselves with as it is.

        Raises:
            NotFound: there is no such peer.
            InvalidParameter: a setting is not sound.
        """
        if secret is not None:
            changes = changes | {"sealed_secret": self._seal(peer_id, secret)}
        return await self._database.write(self._update, peer_id, changes, by)

    async def delete_peer(self, peer_id: str, by: Actor) -> None:
        """End a peer with its client, its tokens and all that it is still owed, at once.

        Raises:
            NotFound: there is no such peer.
        """
        await self._settle(self._identity.remember_ended, self._delete, peer_id, by)

    async def share(self, peer_id: str, kind: ShareKind, resource_id: str, by: Actor) -> ShownPeer:
        """Share a site with all its devices, or one device; repeatable.

        Raises:
            NotFound: there is no such peer, or what is to be shared is not its operator's.
            NotShareable: its place is not known, or a device has no connectors yet.
        """
        return await self._database.write(self._share, peer_id, kind, resource_id, by)

    async def unshare(self, peer_id: str, resource_id: str, by: Actor) -> ShownPeer:
        """Share something no longer; orders that run there run on.

        Raises:
            NotFound: there is no such peer, or that is not shared with it.
        """
        return await self._database.write(self._unshare, peer_id, resource_id, by)

    # ---------------------------------------------------------------- in transactions

    def _create(self, tx: Tx, peer: Peer, by: Actor) -> NewPeer:
        settings = ClientSettings(
            name=peer.name, scopes=frozenset({ClientScope.PEER}), limits=dict(_LIMITS)
        )
        issued = self._identity.add_client(tx, peer.peer_id, peer.operator_id, settings)
        store.append_peer(tx, peer)
        self._audit(tx, by, "peer.created", peer, name=peer.name)
        return NewPeer(peer, issued)

    def _remember_new(self, made: NewPeer) -> None:
        self._identity.remember_issued(made.issued)

    def _update(self, tx: Tx, peer_id: str, changes: dict[str, Any], by: Actor) -> ShownPeer:
        before = _locked(tx, peer_id)
        peer = replace(before, **changes, updated_ms=self._clock.now_ms())
        check_peer(peer)
        store.update_peer(tx, peer)
        self._audit(tx, by, "peer.updated", peer, changed=sorted(changes))
        return _show(tx, peer_id)

    def _delete(self, tx: Tx, peer_id: str, by: Actor) -> Client:
        peer = _locked(tx, peer_id)
        store_outbox.cancel_of_peer(tx, peer_id, self._clock.now_ms())
        store.delete_peer(tx, peer_id)
        self._audit(tx, by, "peer.deleted", peer, name=peer.name)
        return self._identity.end_client(tx, peer_id)

    def _share(
        self, tx: Tx, peer_id: str, kind: ShareKind, resource_id: str, by: Actor
    ) -> ShownPeer:
        peer = _locked(tx, peer_id)
        places = store.list_places(tx, peer.operator_id)
        site_id = resource_id
        if kind is ShareKind.DEVICE:
            site_id = self._shareable(resource_id, peer.operator_id).site_id
        if site_id not in places:
            raise NotFound
        if None in places[site_id]:
            raise NotShareable("a location")
        share = Share(kind, resource_id, self._clock.now_ms())
        if store.append_share(tx, peer_id, share):
            self._audit(tx, by, "peer.shared", peer, kind=kind.value, shared=resource_id)
        return _show(tx, peer_id)

    def _shareable(self, device_id: str, operator_id: str) -> Device:
        device = self._directory.owned(device_id, operator_id)
        if device is None:
            raise NotFound
        if not device.connectors:
            raise NotShareable("connectors")
        return device

    def _unshare(self, tx: Tx, peer_id: str, resource_id: str, by: Actor) -> ShownPeer:
        peer = _locked(tx, peer_id)
        if not store.delete_share(tx, peer_id, resource_id):
            raise NotFound
        self._audit(tx, by, "peer.unshared", peer, shared=resource_id)
        return _show(tx, peer_id)

    def _seal(self, peer_id: str, secret: str | None) -> bytes | None:
        return None if secret is None else self._keys.seal(secret.encode(), f"peer:{peer_id}")

    def _audit(self, tx: Tx, by: Actor, action: str, peer: Peer, **details: Any) -> None:
        now_ms = self._clock.now_ms()
        resource = ("peer", peer.peer_id, peer.operator_id)
        record(tx, by.name, action, *resource, by.request_id, now_ms, **details)


def check_peer(peer: Peer) -> None:
    """Check what an administrator wants of a peer.

    Raises:
        InvalidParameter: a setting is not sound; names it.
    """
    check_timezone(peer.timezone)
    for name, url in (("push_url", peer.push_url), ("token_url", peer.token_url)):
        if url is not None:
            _check_url(name, url)
    wanted = ("token_url", "auth_id") if peer.auth is PeerAuth.CLIENT_CREDENTIALS else ()
    for name in wanted:
        if getattr(peer, name) is None:
            raise InvalidParameter(f"Parameter '{name}' is needed for client_credentials", name)
    if peer.auth is not PeerAuth.NONE and peer.sealed_secret is None:
        message = "Parameter 'auth_secret' is needed to call the peer that way"
        raise InvalidParameter(message, "auth_secret")


def _check_url(name: str, url: str) -> None:
    """Check an address that we shall call; whether it may be near is known when it is called."""
    if check_url(url, allows_private=True) is not None:
        message = f"Parameter '{name}' must be a URL such as https://peer.example/v1"
        raise InvalidParameter(message, name)  # the value may hold a password


def _locked(tx: Tx, peer_id: str) -> Peer:
    tx.lock(f"legacy_peer:{peer_id}")
    return store.get_peer(tx, peer_id)


def _show(tx: Tx, peer_id: str) -> ShownPeer:
    return ShownPeer(store.get_peer(tx, peer_id), store.list_shares(tx, peer_id))


def fields_of(given: msgspec.Struct, names: tuple[str, ...]) -> dict[str, Any]:
    """Return those of the named fields of a request that were given."""
    held = {name: getattr(given, name) for name in names}
    return {name: value for name, value in held.items() if value is not msgspec.UNSET}
