"""The SQL of peers and of what is shared with them."""

from typing import Final

from tellus.kernel.errors import NotFound
from tellus.legacy.model import Peer, PeerAuth, Share, ShareKind
from tellus.storage.database import Row, Tx

_PEER: Final = (
    "peer_id, operator_id, name, timezone, push_url, sends_discharging, auth, token_url, auth_id,"
    " auth_scope, sealed_secret, created_ms, updated_ms"
)

Places = dict[str, tuple[float | None, float | None]]
"""Where sites are: latitude and longitude, None where nobody has said."""


def append_peer(tx: Tx, peer: Peer) -> None:
    """Append a new peer."""
    tx.insert_many(f"INSERT INTO legacy_peers ({_PEER})", [_values(peer)])


def update_peer(tx: Tx, peer: Peer) -> None:
    """Write what may change of a peer."""
    tx.execute(
        "UPDATE legacy_peers SET name = $1, timezone = $2, push_url = $3, sends_discharging = $4,"
        " auth = $5, token_url = $6, auth_id = $7, auth_scope = $8, sealed_secret = $9,"
        " updated_ms = $10 WHERE peer_id = $11",
        peer.name,
        peer.timezone,
        peer.push_url,
        int(peer.sends_discharging),
        peer.auth.value,
        peer.token_url,
        peer.auth_id,
        peer.auth_scope,
        peer.sealed_secret,
        peer.updated_ms,
        peer.peer_id,
    )


def delete_peer(tx: Tx, peer_id: str) -> None:
    """Forget a peer, what is shared with it and what it told; its orders stay."""
    tx.execute("DELETE FROM legacy_shares WHERE peer_id = $1", peer_id)
    tx.execute("DELETE FROM legacy_points WHERE peer_id = $1", peer_id)
    tx.execute("DELETE FROM legacy_foreign_points WHERE peer_id = $1", peer_id)
    tx.execute("DELETE FROM legacy_foreign_orders WHERE peer_id = $1", peer_id)
    tx.execute("DELETE FROM legacy_peers WHERE peer_id = $1", peer_id)


def find_peer(tx: Tx, peer_id: str) -> Peer | None:
    """Return a peer, or None."""
    row = tx.row(f"SELECT {_PEER} FROM legacy_peers WHERE peer_id = $1", peer_id)
    return None if row is None else _peer(row)


def get_peer(tx: Tx, peer_id: str) -> Peer:
    """Return a peer.

    Raises:
        NotFound: there is none of that id.
    """
    peer = find_peer(tx, peer_id)
    if peer is None:
        raise NotFound
    return peer


def list_peers(
    tx: Tx, operator_id: str | None = None, offset: int = 0, size: int = 1_000_000
) -> tuple[int, list[Peer]]:
    """Return how many peers there are, of one operator or of all, and a page, oldest first."""
    where, values = ("", ()) if operator_id is None else (" WHERE operator_id = $1", (operator_id,))
    count = tx.row(f"SELECT count(*) FROM legacy_peers{where}", *values)
    rows = tx.rows(
        f"SELECT {_PEER} FROM legacy_peers{where} ORDER BY created_ms, peer_id"
        f" LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}",
        *values,
        size,
        offset,
    )
    return (0 if count is None else int(count[0])), [_peer(row) for row in rows]


# ---------------------------------------------------------------------- what is shared


def append_share(tx: Tx, peer_id: str, share: Share) -> bool:
    """Share something with a peer; tell whether it was not shared before."""
    changed = tx.execute(
        "INSERT INTO legacy_shares (peer_id, kind, resource_id, created_ms)"
        " VALUES ($1, $2, $3, $4) ON CONFLICT (peer_id, kind, resource_id) DO NOTHING",
        peer_id,
        share.kind.value,
        share.resource_id,
        share.created_ms,
    )
    return changed > 0


def delete_share(tx: Tx, peer_id: str, resource_id: str) -> bool:
    """Share something no longer; tell whether it was shared."""
    changed = tx.execute(
        "DELETE FROM legacy_shares WHERE peer_id = $1 AND resource_id = $2", peer_id, resource_id
    )
    return changed > 0


def list_shares(tx: Tx, peer_id: str) -> list[Share]:
    """Return what is shared with a peer, oldest first."""
    rows = tx.rows(
        "SELECT kind, resource_id, created_ms FROM legacy_shares WHERE peer_id = $1"
        " ORDER BY created_ms, kind, resource_id",
        peer_id,
    )
    return [Share(ShareKind(row[0]), row[1], row[2]) for row in rows]


def list_places(tx: Tx, operator_id: str) -> Places:
    """Return where the sites of an operator are, by site."""
    rows = tx.rows("SELECT site_id, lat, lng FROM sites WHERE operator_id = $1", operator_id)
    return {row[0]: (row[1], row[2]) for row in rows}


def _values(peer: Peer) -> tuple[object, ...]:
    return (
        peer.peer_id,
        peer.operator_id,
        peer.name,
        peer.timezone,
        peer.push_url,
        int(peer.sends_discharging),
        peer.auth.value,
        peer.token_url,
        peer.auth_id,
        peer.auth_scope,
        peer.sealed_secret,
        peer.created_ms,
        peer.updated_ms,
    )


def _peer(row: Row) -> Peer:
    (
        peer_id,
        operator_id,
        name,
        timezone,
        push_url,
        discharging,
        auth,
        *outbound,
        created,
        updated,
    ) = row
    token_url, auth_id, auth_scope, sealed_secret = outbound
    return Peer(
        peer_id=peer_id,
        operator_id=operator_id,
        name=name,
        timezone=timezone,
        push_url=push_url,
        sends_discharging=bool(discharging),
        auth=PeerAuth(auth),
        token_url=token_url,
        auth_id=auth_id,
        auth_scope=auth_scope,
        sealed_secret=sealed_secret,
        created_ms=created,
        updated_ms=updated,
    )
