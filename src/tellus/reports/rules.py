"""Decisions about diagnostic reports: how one stands, and whether its upload is still awaited."""

from tellus.commands.model import Command, Phase, Signal
from tellus.reports.model import Report, ReportState

NOT_UPLOADED = "not_uploaded"
"""Why a report failed whose charger did as it was asked, and brought nothing in time."""

_REFUSED = "refused"
_GIVEN_UP = frozenset({Signal.CANCELLED.value, Signal.SUPERSEDED.value})


def settle(report: Report, command: Command | None, now_ms: int) -> Report:
    """Return a report as it truly stands, by what became of its command.

    A command that nobody answered has failed, and so has its report; but the charger may have got
    it all the same, so until its time is over an upload is taken, and heals the report.
    """
    if report.state in {ReportState.READY, ReportState.FAILED, ReportState.UPLOADING}:
        return report
    reason = _reason_of(command)
    if reason is None and now_ms >= report.upload_until_ms:
        reason = NOT_UPLOADED
    if reason is None:
        return report
    return report._replace(state=ReportState.FAILED, reason=reason)


def is_final(report: Report, command: Command | None, now_ms: int) -> bool:
    """Tell whether a report that has failed cannot become ready any more."""
    return not may_upload(report, command, now_ms)


def may_upload(report: Report, command: Command | None, now_ms: int) -> bool:
    """Tell whether an upload may begin."""
    if report.file_id is not None or report.state is ReportState.FAILED:
        return False
    if command is None or now_ms >= report.upload_until_ms:
        return False
    if command.phase is Phase.LAPSED:
        return (command.result or {}).get("reason") not in _GIVEN_UP
    return command.phase is not Phase.FAILED


def _reason_of(command: Command | None) -> str | None:
    """Return why a command failed, None while it has not."""
    if command is None:
        return Signal.CANCELLED.value
    if command.phase not in {Phase.FAILED, Phase.LAPSED}:
        return None
    found = (command.result or {}).get("reason")
    return str(found) if found else _REFUSED
