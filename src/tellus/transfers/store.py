"""The SQL of destinations and grants."""

from typing import Final

from tellus.storage.database import Row, Tx
from tellus.transfers.model import (
    Destination,
    DestinationKind,
    TransferGrant,
    TransferKind,
)

_GRANT: Final = (
    "grant_id, operator_id, to_region, kinds, granted_by, evidence, from_ms, to_ms, created_ms,"
    " created_by, revoked_ms, revoked_by, revoke_reason"
)
_DESTINATION: Final = "destination_id, kind, operator_id, region, stated_ms, stated_by"
_OWNERS: Final = {
    DestinationKind.CLIENT: "SELECT operator_id FROM clients WHERE client_id = $1",
    DestinationKind.WEBHOOK: "SELECT operator_id FROM webhooks WHERE webhook_id = $1",
    DestinationKind.PEER: "SELECT operator_id FROM legacy_peers WHERE peer_id = $1",
}


def find_owner(tx: Tx, destination_id: str) -> tuple[DestinationKind, str] | None:
    """Return what a destination is and whose; None where there is none such."""
    for kind, sql in _OWNERS.items():
        row = tx.row(sql, destination_id)
        if row is not None:
            return kind, str(row[0])
    return None


def has_operator(tx: Tx, operator_id: str) -> bool:
    """Tell whether there is such an operator."""
    sql = "SELECT 1 FROM operators WHERE operator_id = $1"
    return tx.row(sql, operator_id) is not None


def save_destination(tx: Tx, destination: Destination) -> None:
    """Save in which region a destination is."""
    tx.execute(
        f"INSERT INTO destination_regions ({_DESTINATION}) VALUES ($1, $2, $3, $4, $5, $6)"
        " ON CONFLICT (destination_id) DO UPDATE SET region = excluded.region,"
        " stated_ms = excluded.stated_ms, stated_by = excluded.stated_by",
        destination.destination_id,
        destination.kind.value,
        *destination[2:],
    )


def find_destination(tx: Tx, destination_id: str) -> Destination | None:
    """Return a destination whose region was stated, or None."""
    row = tx.row(
        f"SELECT {_DESTINATION} FROM destination_regions WHERE destination_id = $1", destination_id
    )
    return None if row is None else _destination(row)


def list_destinations(
    tx: Tx, operator_id: str | None, offset: int, limit: int
) -> tuple[int, list[Destination]]:
    """Return how many destinations have a region stated, and a page of them, by identifier."""
    where, values = _of_operator(operator_id)
    total = tx.row(f"SELECT count(*) FROM destination_regions WHERE {where}", *values)
    rows = tx.rows(
        f"SELECT {_DESTINATION} FROM destination_regions WHERE {where} ORDER BY destination_id"
        f" LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}",
        *values,
        limit,
        offset,
    )
    return (int(total[0]) if total else 0), [_destination(row) for row in rows]


def append_grant(tx: Tx, grant: TransferGrant) -> None:
    """Insert a grant."""
    row = [getattr(grant, name) for name in TransferGrant.__struct_fields__]
    row[3] = " ".join(sorted(grant.kinds))
    tx.insert_many(f"INSERT INTO transfer_grants ({_GRANT})", [row])


def save_revoked(tx: Tx, grant: TransferGrant) -> None:
    """Save that a grant was revoked."""
    tx.execute(
        "UPDATE transfer_grants SET revoked_ms = $1, revoked_by = $2, revoke_reason = $3"
        " WHERE grant_id = $4",
        grant.revoked_ms,
        grant.revoked_by,
        grant.revoke_reason,
        grant.grant_id,
    )


def find_grant(tx: Tx, grant_id: str) -> TransferGrant | None:
    """Return a grant, or None."""
    row = tx.row(f"SELECT {_GRANT} FROM transfer_grants WHERE grant_id = $1", grant_id)
    return None if row is None else _grant(row)


def list_for(tx: Tx, operator_id: str, to_region: str) -> list[TransferGrant]:
    """Return the grants of an operator for a region that were not revoked."""
    rows = tx.rows(
        f"SELECT {_GRANT} FROM transfer_grants WHERE operator_id = $1 AND to_region = $2"
        " AND revoked_ms IS NULL",
        operator_id,
        to_region,
    )
    return [_grant(row) for row in rows]


def list_grants(
    tx: Tx, operator_id: str | None, offset: int, limit: int
) -> tuple[int, list[TransferGrant]]:
    """Return how many grants there are and a page of them, newest first."""
    where, values = _of_operator(operator_id)
    total = tx.row(f"SELECT count(*) FROM transfer_grants WHERE {where}", *values)
    rows = tx.rows(
        f"SELECT {_GRANT} FROM transfer_grants WHERE {where} ORDER BY grant_no DESC"
        f" LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}",
        *values,
        limit,
        offset,
    )
    return (int(total[0]) if total else 0), [_grant(row) for row in rows]


def _of_operator(operator_id: str | None) -> tuple[str, list[str]]:
    return ("1 = 1", []) if operator_id is None else ("operator_id = $1", [operator_id])


def _destination(row: Row) -> Destination:
    return Destination(row[0], DestinationKind(row[1]), *row[2:])


def _grant(row: Row) -> TransferGrant:
    values = dict(zip(TransferGrant.__struct_fields__, row, strict=True))
    values["kinds"] = frozenset(TransferKind(kind) for kind in row[3].split())
    return TransferGrant(**values)
