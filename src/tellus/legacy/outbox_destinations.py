"""Where pushes of a peer go, read from its configuration each time."""

from tellus.identity.keys import KeyRing
from tellus.legacy import store
from tellus.legacy.model_outbox import Destination
from tellus.storage.database import Database


class PeerDestinations:
    """Reads peers from the store, so that a change bites at the next push."""

    def __init__(self, database: Database, keys: KeyRing) -> None:
        self._database = database
        self._keys = keys

    async def find_destination(self, peer_id: str) -> Destination | None:
        """Return where pushes of a peer go, or None while they go nowhere.

        Raises:
            KeyFileRefused: its secret was sealed with another instance's key.
        """
        peer = await self._database.read(store.find_peer, peer_id)
        if peer is None or peer.push_url is None:
            return None
        secret = b""
        if peer.sealed_secret is not None:
            secret = self._keys.open(peer.sealed_secret, f"peer:{peer_id}")
        return Destination(
            push_url=peer.push_url,
            auth=peer.auth,
            secret=secret.decode(),
            token_url=peer.token_url,
            auth_id=peer.auth_id,
            auth_scope=peer.auth_scope,
        )
