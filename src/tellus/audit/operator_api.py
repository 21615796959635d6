"""The audit log as an operator reads it: what was done with what is the operator's."""

from datetime import datetime
from typing import Annotated, Any

import msgspec

from tellus.audit.model import ActionKind, Entry, Filter
from tellus.audit.service import AuditService
from tellus.kernel.call import Call, Nothing
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.units import to_ms, to_text

Word = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class AuditLogsQuery(PageQuery, frozen=True):
    """Which entries to list; what is left out admits all. ``since`` is the earliest time."""

    actor: Word | msgspec.UnsetType = msgspec.UNSET
    resource_type: Word | msgspec.UnsetType = msgspec.UNSET
    resource_id: Word | msgspec.UnsetType = msgspec.UNSET
    action: ActionKind | msgspec.UnsetType = msgspec.UNSET
    since: datetime | msgspec.UnsetType = msgspec.UNSET


class AuditLogItem(msgspec.Struct, frozen=True):
    """One recorded action.

    ``action`` is what it does to the resource (``create``, ``update``, ``delete``,
    ``execute_command``), ``event`` what exactly it was.
    """

    entry_no: int
    timestamp: str
    actor: str
    action: str
    event: str
    resource_type: str
    resource_id: str
    details: dict[str, Any]
    request_id: str | msgspec.UnsetType = msgspec.UNSET


async def list_audit_logs(
    audit: AuditService, call: Call[Nothing, AuditLogsQuery]
) -> Page[AuditLogItem]:
    """List what was done with the operator's resources, newest first."""
    query = call.query
    wanted = Filter(
        resource_type=query.resource_type or None,
        resource_id=query.resource_id or None,
        actor=query.actor or None,
        operator_id=call.principal.operator_id,
        since_ms=None if query.since is msgspec.UNSET else to_ms(query.since),
    )
    kind = None if query.action is msgspec.UNSET else query.action
    total, entries = await audit.list_entries(wanted, query.offset, query.size, kind)
    items = [_item(entry, audit.kind_of(entry)) for entry in entries]
    return Page(total, query.page, query.size, items)


def _item(entry: Entry, kind: ActionKind) -> AuditLogItem:
    return AuditLogItem(
        entry_no=entry.entry_no,
        timestamp=to_text(entry.at_ms),
        actor=entry.actor,
        action=kind.value,
        event=entry.action,
        resource_type=entry.resource_type,
        resource_id=entry.resource_id,
        details=entry.details,
        request_id=entry.request_id or msgspec.UNSET,
    )
