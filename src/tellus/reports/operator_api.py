"""Diagnostic reports, as operators ask for them and fetch them."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.audit.model import Actor
from tellus.kernel.call import Call, Nothing
from tellus.kernel.files import FileAnswer
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.spans import read_span
from tellus.kernel.units import to_text
from tellus.reports.model import Report, Status, Wanted
from tellus.reports.service import Client, ReportService


class DiagnosticsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the report is to be about: logs of ``[start_time, end_time)``, all where left out.

    ``note`` is for whoever reads the list later; the charger does not see it.
    """

    start_time: datetime | UnsetType = UNSET
    end_time: datetime | UnsetType = UNSET
    note: Annotated[str, Meta(min_length=1, max_length=500)] | UnsetType = UNSET


class DiagnosticsQueuedResponse(msgspec.Struct, frozen=True):
    """A report was asked for; ``expires_at`` is when the charger has to have begun its upload."""

    report_id: str
    status: Status
    command_id: str
    expires_at: str
    device_online: bool


class ReportItem(msgspec.Struct, frozen=True, kw_only=True):
    """A report. From ``file_size`` (bytes) on there when it is ready.

    ``reason`` says why it failed: what became of its command (``expired``, ``no_response``,
    ``cancelled``, the charger's own word), or ``not_uploaded``. ``expires_at`` is until when it can
    be downloaded; ``expired`` is true after that.
    """

    report_id: str
    device_id: str
    command_id: str
    status: Status
    created_at: str
    reason: str | UnsetType = UNSET
    note: str | UnsetType = UNSET
    start_time: str | UnsetType = UNSET
    end_time: str | UnsetType = UNSET
    file_size: int | UnsetType = UNSET
    media_type: str | UnsetType = UNSET
    sha256: str | UnsetType = UNSET
    uploaded_at: str | UnsetType = UNSET
    expires_at: str | UnsetType = UNSET
    expired: bool | UnsetType = UNSET


async def request_diagnostics(
    reports: ReportService, call: Call[DiagnosticsRequest, Nothing]
) -> DiagnosticsQueuedResponse:
    """Ask a charger for its logs."""
    body, principal = call.body, call.principal
    from_ms, to_ms = read_span(body.start_time, body.end_time)
    client = Client(
        principal.principal_id,
        principal.operator_id,
        Actor(principal.principal_id, call.request_id or None, principal.scopes),
        call.idempotency_key,
    )
    wanted = Wanted(from_ms, to_ms, body.note or None)
    report, issued = await reports.request(call.path["device_id"], wanted, client)
    command = issued.command
    return DiagnosticsQueuedResponse(
        report.report_id,
        "queued",
        command.command_id,
        to_text(command.expires_ms),
        issued.device_online,
    )


async def get_diagnostics(reports: ReportService, call: Call[Nothing, Nothing]) -> ReportItem:
    """Return a report."""
    report = await reports.read(call.path["report_id"], call.principal.operator_id)
    return _to_item(report, call.now_ms)


async def list_diagnostics(
    reports: ReportService, call: Call[Nothing, PageQuery]
) -> Page[ReportItem]:
    """List the reports that a device was asked for, newest first."""
    query = call.query
    total, found = await reports.list_reports(
        call.path["device_id"], call.principal.operator_id, query.offset, query.size
    )
    items = [_to_item(report, call.now_ms) for report in found]
    return Page(total, query.page, query.size, items)


async def download_diagnostics(reports: ReportService, call: Call[Nothing, Nothing]) -> FileAnswer:
    """Return the file of a report."""
    return await reports.download(call.path["report_id"], call.principal.operator_id)


def _to_item(report: Report, now_ms: int) -> ReportItem:
    wanted = report.wanted
    expires_ms = report.expires_ms
    return ReportItem(
        report_id=report.report_id,
        device_id=report.device_id,
        command_id=report.command_id,
        status=report.state.value,
        created_at=to_text(report.created_ms),
        reason=report.reason or UNSET,
        note=wanted.note or UNSET,
        start_time=_time(wanted.from_ms),
        end_time=_time(wanted.to_ms),
        file_size=UNSET if report.size is None else report.size,
        media_type=report.media_type or UNSET,
        sha256=report.sha256 or UNSET,
        uploaded_at=_time(report.uploaded_ms),
        expires_at=_time(expires_ms),
        expired=True if expires_ms is not None and expires_ms <= now_ms else UNSET,
    )


def _time(time_ms: int | None) -> str | UnsetType:
    return UNSET if time_ms is None else to_text(time_ms)
