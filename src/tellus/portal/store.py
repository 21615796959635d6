"""The SQL of customers' requests, and of the sites that chargers have left."""

from tellus.portal.model import (
    CustomerRequest,
    FormerSite,
    RequestFilter,
    RequestKind,
    RequestStatus,
)
from tellus.storage.database import Row, Tx

_COLUMNS = (
    "request_id, kind, operator_id, customer, device_no, device_id, consent_id, services, note,"
    " status, created_ms, created_by, answered_ms, answered_by, answer, erasure_id"
)


def append_request(tx: Tx, request: CustomerRequest) -> None:
    """Insert a request."""
    tx.insert_many(f"INSERT INTO customer_requests ({_COLUMNS})", [_to_row(request)])


def save_answer(tx: Tx, request: CustomerRequest) -> None:
    """Save how a request was answered."""
    tx.execute(
        "UPDATE customer_requests SET status = $1, answered_ms = $2, answered_by = $3,"
        " answer = $4, erasure_id = $5 WHERE request_id = $6",
        request.status.value,
        request.answered_ms,
        request.answered_by,
        request.answer,
        request.erasure_id,
        request.request_id,
    )


def find_request(tx: Tx, request_id: str) -> CustomerRequest | None:
    """Return a request, or None."""
    row = tx.row(f"SELECT {_COLUMNS} FROM customer_requests WHERE request_id = $1", request_id)
    return None if row is None else _to_request(row)


def find_open(tx: Tx, kind: RequestKind, device_no: int, customer: str) -> CustomerRequest | None:
    """Return a customer's open request of a kind about a device, or None."""
    row = tx.row(
        f"SELECT {_COLUMNS} FROM customer_requests WHERE device_no = $1 AND kind = $2"
        " AND customer = $3 AND status = 'open'",
        device_no,
        kind.value,
        customer,
    )
    return None if row is None else _to_request(row)


def count_open(tx: Tx, operator_id: str, customer: str) -> int:
    """Return how many requests of a customer wait for an answer."""
    row = tx.row(
        "SELECT count(*) FROM customer_requests WHERE operator_id = $1 AND customer = $2"
        " AND status = 'open'",
        operator_id,
        customer,
    )
    return int(row[0]) if row else 0


def list_requests(
    tx: Tx, wanted: RequestFilter, offset: int, limit: int
) -> tuple[int, list[CustomerRequest]]:
    """Return how many requests match and a page of them, newest first."""
    names = ("operator_id", "customer", "status")
    given = [(name, value) for name, value in zip(names, wanted, strict=True) if value is not None]
    where = " AND ".join(f"{name} = ${number}" for number, (name, _) in enumerate(given, 1))
    values = [str(value) for _, value in given]
    total = tx.row(f"SELECT count(*) FROM customer_requests WHERE {where or '1 = 1'}", *values)
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM customer_requests WHERE {where or '1 = 1'}"
        f" ORDER BY request_no DESC LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}",
        *values,
        limit,
        offset,
    )
    return (int(total[0]) if total else 0), [_to_request(row) for row in rows]


def blank_notes_of(tx: Tx, device_no: int, limit: int) -> int:
    """Take the words out of up to ``limit`` requests about a device; return of how many."""
    return tx.execute(
        "UPDATE customer_requests SET note = NULL, answer = NULL WHERE request_id IN"
        " (SELECT request_id FROM customer_requests WHERE device_no = $1"
        " AND (note IS NOT NULL OR answer IS NOT NULL) ORDER BY request_no LIMIT $2)",
        device_no,
        limit,
    )


def append_former_site(tx: Tx, left: FormerSite) -> None:
    """Save that a device has left a site; what is known of the same instant stays."""
    tx.execute(
        "INSERT INTO former_sites (device_no, to_ms, site_id) VALUES ($1, $2, $3)"
        " ON CONFLICT (device_no, to_ms) DO NOTHING",
        left.device_no,
        left.to_ms,
        left.site_id,
    )


def list_former_sites(tx: Tx, operator_id: str) -> list[FormerSite]:
    """Return the sites that an operator's devices have left, by device and time."""
    rows = tx.rows(
        "SELECT f.device_no, f.to_ms, f.site_id FROM former_sites f"
        " JOIN devices d ON d.device_no = f.device_no"
        " WHERE d.operator_id = $1 AND f.to_ms > d.owned_since_ms ORDER BY f.device_no, f.to_ms",
        operator_id,
    )
    return [FormerSite(*row) for row in rows]


def list_former_sites_of(tx: Tx, device_no: int) -> list[FormerSite]:
    """Return the sites that a device has left, the first one first."""
    rows = tx.rows(
        "SELECT device_no, to_ms, site_id FROM former_sites WHERE device_no = $1 ORDER BY to_ms",
        device_no,
    )
    return [FormerSite(*row) for row in rows]


def remove_former_sites_of(tx: Tx, device_no: int, limit: int) -> int:
    """Delete up to ``limit`` of the sites that a device has left; return how many."""
    return tx.execute(
        "DELETE FROM former_sites WHERE device_no = $1 AND to_ms IN"
        " (SELECT to_ms FROM former_sites WHERE device_no = $1 ORDER BY to_ms LIMIT $2)",
        device_no,
        limit,
    )


def _to_row(request: CustomerRequest) -> list[object]:
    row = [getattr(request, name) for name in CustomerRequest.__struct_fields__]
    row[1], row[9] = request.kind.value, request.status.value
    return row


def _to_request(row: Row) -> CustomerRequest:
    values = dict(zip(CustomerRequest.__struct_fields__, row, strict=True))
    values["kind"], values["status"] = RequestKind(row[1]), RequestStatus(row[9])
    return CustomerRequest(**values)
