"""The audit log on the administration surface."""

from typing import Annotated, Any

import msgspec

from tellus.audit.model import Entry, Filter
from tellus.audit.sealing import Sealer
from tellus.audit.service import AuditService
from tellus.kernel.call import Call, Nothing
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.units import to_text

Word = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class AuditQuery(PageQuery, frozen=True):
    """Which entries to list; what is left out admits all."""

    resource_type: Word | msgspec.UnsetType = msgspec.UNSET
    resource_id: Word | msgspec.UnsetType = msgspec.UNSET
    actor: Word | msgspec.UnsetType = msgspec.UNSET


class AuditItem(msgspec.Struct, frozen=True):
    """One recorded action."""

    entry_no: int
    at: str
    actor: str
    action: str
    resource_type: str
    resource_id: str
    details: dict[str, Any]
    operator_id: str | msgspec.UnsetType = msgspec.UNSET
    request_id: str | msgspec.UnsetType = msgspec.UNSET


class VerificationQuery(msgspec.Struct, frozen=True):
    """Which part of the chain to check: up to ``limit`` seals after the one numbered ``after``."""

    after: Annotated[int, msgspec.Meta(ge=0, lt=2**62)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=20_000)] = 5_000


class ProblemItem(msgspec.Struct, frozen=True):
    """Something wrong: ``changed``, ``missing``, ``gap``, ``cut_off`` or ``unsealed``."""

    kind: str
    seal_no: int | msgspec.UnsetType = msgspec.UNSET
    entry_no: int | msgspec.UnsetType = msgspec.UNSET


class VerificationResponse(msgspec.Struct, frozen=True):
    """What the check found; go on after ``checked_to`` until ``is_last``."""

    checked: int
    checked_to: int
    is_last: bool
    problems: list[ProblemItem]


async def list_audit_log(audit: AuditService, call: Call[Nothing, AuditQuery]) -> Page[AuditItem]:
    """List recorded actions, newest first."""
    query = call.query
    wanted = Filter(
        resource_type=query.resource_type or None,
        resource_id=query.resource_id or None,
        actor=query.actor or None,
    )
    total, entries = await audit.list_entries(wanted, query.offset, query.size)
    return Page(total, query.page, query.size, [_item(entry) for entry in entries])


async def verify_audit_log(
    sealer: Sealer, call: Call[Nothing, VerificationQuery]
) -> VerificationResponse:
    """Check a part of the chain of seals."""
    found = await sealer.verify(call.query.after, call.query.limit, call.now_ms)
    problems = [
        ProblemItem(
            problem.kind.value,
            msgspec.UNSET if problem.seal_no is None else problem.seal_no,
            msgspec.UNSET if problem.entry_no is None else problem.entry_no,
        )
        for problem in found.problems
    ]
    return VerificationResponse(found.checked, found.checked_to, found.is_last, problems)


def _item(entry: Entry) -> AuditItem:
    return AuditItem(
        entry_no=entry.entry_no,
        at=to_text(entry.at_ms),
        actor=entry.actor,
        action=entry.action,
        resource_type=entry.resource_type,
        resource_id=entry.resource_id,
        details=entry.details,
        operator_id=entry.operator_id or msgspec.UNSET,
        request_id=entry.request_id or msgspec.UNSET,
    )
