"""Where pushes of a peer go, read from its configuration each time."""

from tellus.identity.keys import KeyFileRefused, KeyRing
from tellus.legacy import store
from tellus.legacy.model import Peer, PeerAuth
from tellus.legacy.model_outbox import Destination
from tellus.storage.database import Database


class PeerDestinations:
    """Reads peers from the store, so that a change bites at the next push."""

    def __init__(self, database: Database, keys: KeyRing) -> None:
        self._database = database
        self._keys = keys

    async def find_destination(self, peer_id: str) -> Destination | None:
        """Return where pushes of a peer go, or None while they go nowhere."""
        peer = await self._database.read(store.find_peer, peer_id)
        if peer is None or peer.push_url is None:
            return None
        try:
            secret = self._open(peer)
        except KeyFileRefused:
            # Without a secret its attempts fail, visibly, and those of other peers go on.
            return Destination(push_url=peer.push_url, auth=PeerAuth.BEARER)
        return Destination(
            push_url=peer.push_url,
            auth=peer.auth,
            secret=secret,
            token_url=peer.token_url,
            auth_id=peer.auth_id,
            auth_scope=peer.auth_scope,
        )

    def _open(self, peer: Peer) -> str:
        if peer.sealed_secret is None:
            return ""
        return self._keys.open(peer.sealed_secret, f"peer:{peer.peer_id}").decode()
