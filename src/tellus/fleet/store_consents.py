"""The SQL of what consents cover."""

from collections.abc import Sequence
from typing import Final

from tellus.consent.model import Scope
from tellus.storage.database import Row, Tx

_OWNERS: Final = {
    Scope.DEVICE: "SELECT operator_id FROM devices WHERE device_id = $1 AND deleted_ms IS NULL",
    Scope.SITE: "SELECT operator_id FROM sites WHERE site_id = $1",
    Scope.OPERATOR: "SELECT operator_id FROM operators WHERE operator_id = $1",
}
_AT_ONCE: Final = 200
_COVERED: Final = (
    "SELECT device_no, device_id, site_id, operator_id, model, firmware_version FROM devices"
)
_COLUMN: Final = {
    Scope.DEVICE: "device_id",
    Scope.SITE: "site_id",
    Scope.OPERATOR: "operator_id",
}


def find_owner(tx: Tx, scope: Scope, scope_id: str) -> str | None:
    """Return whose a device, site or operator is, None where there is none such."""
    row = tx.row(_OWNERS[scope], scope_id)
    return None if row is None else str(row[0])


def list_covered(tx: Tx, scope: Scope, scope_id: str) -> list[Row]:
    """Return the living devices of a scope: number, identifier, site, operator, model, firmware."""
    return tx.rows(
        f"{_COVERED} WHERE {_COLUMN[scope]} = $1 AND deleted_ms IS NULL ORDER BY device_no",
        scope_id,
    )


def list_numbered(tx: Tx, device_nos: Sequence[int]) -> list[Row]:
    """Return those of some devices that are living, in the same columns."""
    found: list[Row] = []
    for start in range(0, len(device_nos), _AT_ONCE):
        part = device_nos[start : start + _AT_ONCE]
        marks = ", ".join(f"${number}" for number in range(1, len(part) + 1))
        wanted = f"{_COVERED} WHERE device_no IN ({marks}) AND deleted_ms IS NULL"
        found += tx.rows(wanted, *part)
    return found
