"""The audit log: for administrators, and for each operator its own part."""

from typing import Final

from tellus.audit import admin_api as audit
from tellus.audit import operator_api
from tellus.kernel.call import Audience
from tellus.kernel.paging import Page
from tellus.surfaces.routes import LimitClass, Route

AUDIT_ADMIN_ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET", "/v1/admin/audit-log", "listAuditLog", audit.list_audit_log,
        Audience.ADMIN, "Read the audit log", "Admin: audit",
        description="Every recorded action, newest first.", scope="org:read",
        query=audit.AuditQuery, response=Page[audit.AuditItem],
    ),
    Route(
        "GET", "/v1/admin/audit-log/verification", "verifyAuditLog", audit.verify_audit_log,
        Audience.ADMIN, "Check that the audit log is as it was written", "Admin: audit",
        description="Compares entries with their seals, a part at a time: go on after"
        " `checked_to` until `is_last`. At the end it also looks for entries without a seal, and"
        " compares the chain with its head outside the database.",
        scope="org:read", query=audit.VerificationQuery, response=audit.VerificationResponse,
    ),
)  # fmt: skip

OPERATOR_AUDIT_ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET", "/v1/operator/audit-logs", "listAuditLogs", operator_api.list_audit_logs,
        Audience.OPERATOR, "Read the audit log", "Operator: audit",
        description="What was done with the operator's clients, sites, devices and commands, and"
        " by whom, newest first.",
        scope="read", limit=LimitClass.QUERIES, query=operator_api.AuditLogsQuery,
        response=Page[operator_api.AuditLogItem],
    ),
)  # fmt: skip
