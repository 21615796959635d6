"""SQL of nodes: who is there, who has the duty, what was changed."""

from tellus.nodes.model import Change, Node
from tellus.storage.database import Tx


def upsert_node(tx: Tx, node: Node) -> None:
    """Write that a node is there."""
    tx.execute(
        "INSERT INTO nodes (node_id, host, pid, address, version, started_ms, seen_ms)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)"
        " ON CONFLICT (node_id) DO UPDATE SET address = excluded.address,"
        " seen_ms = excluded.seen_ms",
        *node[:7],
    )


def delete_node(tx: Tx, node_id: str) -> None:
    """Forget a node and free its duty."""
    tx.execute("DELETE FROM nodes WHERE node_id = $1", node_id)
    tx.execute("DELETE FROM leases WHERE node_id = $1", node_id)


def delete_nodes_before(tx: Tx, seen_ms: int) -> None:
    """Forget the nodes that were last there before ``seen_ms``."""
    tx.execute("DELETE FROM nodes WHERE seen_ms < $1", seen_ms)


def list_nodes(tx: Tx, seen_since_ms: int) -> list[Node]:
    """Return the nodes that were there since, oldest first."""
    rows = tx.rows(
        "SELECT n.node_id, n.host, n.pid, n.address, n.version, n.started_ms, n.seen_ms,"
        " CASE WHEN l.name IS NULL THEN 0 ELSE 1 END FROM nodes n"
        " LEFT JOIN leases l ON l.node_id = n.node_id"
        " WHERE n.seen_ms >= $1 ORDER BY n.started_ms, n.node_id",
        seen_since_ms,
    )
    return [Node(*row)._replace(on_duty=bool(row[7])) for row in rows]


def take_lease(tx: Tx, name: str, node_id: str, until_ms: int, now_ms: int) -> bool:
    """Take or keep the lease ``name`` until ``until_ms``; False where another node holds it."""
    row = tx.row(
        "INSERT INTO leases (name, node_id, until_ms) VALUES ($1, $2, $3)"
        " ON CONFLICT (name) DO UPDATE SET node_id = excluded.node_id, until_ms = excluded.until_ms"
        " WHERE leases.node_id = excluded.node_id OR leases.until_ms <= $4"
        " RETURNING node_id",
        name,
        node_id,
        until_ms,
        now_ms,
    )
    return row is not None


def list_changes(tx: Tx, after_no: int) -> list[Change]:
    """Return the changes with a number above ``after_no``, in order."""
    rows = tx.rows(
        "SELECT change_no, at_ms, node_id, table_name, row_key FROM changes"
        " WHERE change_no > $1 ORDER BY change_no",
        after_no,
    )
    return [Change(*row) for row in rows]


def find_newest_change_before(tx: Tx, at_ms: int) -> int:
    """Return the number of the newest change before ``at_ms``, 0 where there is none."""
    row = tx.row("SELECT MAX(change_no) FROM changes WHERE at_ms < $1", at_ms)
    return (row[0] if row else None) or 0


def delete_changes_before(tx: Tx, at_ms: int) -> None:
    """Forget what changed before ``at_ms``: every node has read it, or reads everything anew."""
    tx.execute("DELETE FROM changes WHERE at_ms < $1", at_ms)


def read_database_ms(tx: Tx) -> int:
    """Return the time of the database's clock (ms since 1970 UTC); PostgreSQL alone tells it."""
    row = tx.row("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")
    return row[0] if row else 0
