"""Recording what was done, and showing it."""

from typing import Any

import msgspec

from tellus.audit import store
from tellus.audit.model import ActionKind, Entry, Filter
from tellus.audit.rules import kind_of, verbs_of
from tellus.storage.database import Database, Tx

_NEVER_RECORDED = frozenset(
    {"secret", "client_secret", "device_secret", "token", "password", "authorization", "vin"}
)


def record(
    tx: Tx,
    actor: str,
    action: str,
    resource_type: str,
    resource_id: str,
    operator_id: str | None,
    request_id: str | None,
    now_ms: int,
    **details: Any,
) -> None:
    """Append an entry to the audit log, in the transaction of what it records.

    ``action`` is a noun and a verb such as ``client.created``; ``actor`` the id of who did it.

    Raises:
        ValueError: a detail is named like a secret.
    """
    leaking = _NEVER_RECORDED.intersection(details)
    if leaking:
        raise ValueError(f"audit details must not hold {sorted(leaking)}")
    store.append_entry(
        tx,
        Entry(
            entry_no=0,
            at_ms=now_ms,
            actor=actor,
            action=action,
            resource_type=resource_type,
            resource_id=resource_id,
            operator_id=operator_id,
            request_id=request_id,
            details=details,
        ),
    )


class AuditService:
    """Shows the audit log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_entries(
        self, wanted: Filter, offset: int, size: int, kind: ActionKind | None = None
    ) -> tuple[int, list[Entry]]:
        """Return how many entries match and one page of them, newest first."""
        if kind is not None:
            wanted = msgspec.structs.replace(wanted, verbs=verbs_of(kind))
        return await self._database.read(store.list_entries, wanted, offset, size)

    def kind_of(self, entry: Entry) -> ActionKind:
        """Return what an entry's action does to its resource."""
        return kind_of(entry.action)
