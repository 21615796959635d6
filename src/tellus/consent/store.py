"""The SQL of consents."""

from collections.abc import Iterable, Sequence

from tellus.consent.model import Consent, ConsentFilter, Place, Scope
from tellus.storage.database import Row, Tx

_COLUMNS = (
    "consent_id, scope, scope_id, operator_id, customer, granted_by, services, evidence, from_ms,"
    " to_ms, created_ms, created_by, revoked_ms, revoked_by, revoke_reason, ended_ms"
)
_AT_ONCE = 200


def append_consent(tx: Tx, consent: Consent) -> None:
    """Insert a consent."""
    row = [getattr(consent, name) for name in Consent.__struct_fields__]
    row[1] = consent.scope.value
    tx.insert_many(f"INSERT INTO consents ({_COLUMNS})", [row])


def set_revoked(tx: Tx, consent: Consent) -> None:
    """Save that a consent was revoked."""
    tx.execute(
        "UPDATE consents SET revoked_ms = $1, revoked_by = $2, revoke_reason = $3, ended_ms = $4"
        " WHERE consent_id = $5",
        consent.revoked_ms,
        consent.revoked_by,
        consent.revoke_reason,
        consent.ended_ms,
        consent.consent_id,
    )


def set_ended(tx: Tx, consent_ids: Iterable[str], now_ms: int) -> None:
    """Save that what follows the end of consents is done."""
    for consent_id in consent_ids:
        tx.execute("UPDATE consents SET ended_ms = $1 WHERE consent_id = $2", now_ms, consent_id)


def find_consent(tx: Tx, consent_id: str) -> Consent | None:
    """Return a consent, or None."""
    row = tx.row(f"SELECT {_COLUMNS} FROM consents WHERE consent_id = $1", consent_id)
    return None if row is None else _consent(row)


def list_unended(tx: Tx) -> list[Consent]:
    """Return the consents that are not over, and those whose end nothing has followed yet."""
    rows = tx.rows(f"SELECT {_COLUMNS} FROM consents WHERE ended_ms IS NULL ORDER BY consent_no")
    return [_consent(row) for row in rows]


def list_by_ids(tx: Tx, consent_ids: Sequence[str]) -> list[Consent]:
    """Return the consents with these identifiers."""
    found = (find_consent(tx, consent_id) for consent_id in consent_ids)
    return [consent for consent in found if consent is not None]


def list_lapsed(tx: Tx, now_ms: int, limit: int) -> list[Consent]:
    """Return up to ``limit`` consents whose time has passed and whose end nothing has followed."""
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM consents WHERE ended_ms IS NULL AND to_ms <= $1"
        " ORDER BY to_ms, consent_no LIMIT $2",
        now_ms,
        limit,
    )
    return [_consent(row) for row in rows]


def list_covering(tx: Tx, scope_ids: Sequence[str]) -> list[Consent]:
    """Return the consents that are not over and name one of these devices, sites and operators."""
    found: list[Consent] = []
    for start in range(0, len(scope_ids), _AT_ONCE):
        part = scope_ids[start : start + _AT_ONCE]
        marks = ", ".join(f"${number}" for number in range(1, len(part) + 1))
        rows = tx.rows(
            f"SELECT {_COLUMNS} FROM consents WHERE ended_ms IS NULL AND scope_id IN ({marks})",
            *part,
        )
        found += map(_consent, rows)
    return found


def list_consents(
    tx: Tx, wanted: ConsentFilter, offset: int, limit: int
) -> tuple[int, list[Consent]]:
    """Return how many consents match and a page of them, newest first."""
    condition, parameters = _condition(wanted)
    total = tx.row(f"SELECT count(*) FROM consents WHERE {condition}", *parameters)
    last = len(parameters)
    rows = tx.rows(
        f"SELECT {_COLUMNS} FROM consents WHERE {condition}"
        f" ORDER BY consent_no DESC LIMIT ${last + 1} OFFSET ${last + 2}",
        *parameters,
        limit,
        offset,
    )
    return (total[0] if total else 0), [_consent(row) for row in rows]


def _condition(wanted: ConsentFilter) -> tuple[str, list[str]]:
    place: Place | None = wanted.place
    if place is not None:
        condition = (
            "((scope = 'device' AND scope_id = $1) OR (scope = 'site' AND scope_id = $2)"
            " OR (scope = 'operator' AND scope_id = $3))"
        )
        return condition, [place.device_id, place.site_id, place.operator_id]
    if wanted.site_id is not None:
        return "scope = 'site' AND scope_id = $1", [wanted.site_id]
    if wanted.operator_id is not None and wanted.customer is not None:
        return "operator_id = $1 AND customer = $2", [wanted.operator_id, wanted.customer]
    if wanted.operator_id is not None:
        return "operator_id = $1", [wanted.operator_id]
    return "1 = 1", []


def _consent(row: Row) -> Consent:
    values = dict(zip(Consent.__struct_fields__, row, strict=True))
    values["scope"] = Scope(row[1])
    return Consent(**values)
