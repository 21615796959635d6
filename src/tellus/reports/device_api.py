"""Diagnostic reports, as chargers upload them."""

import msgspec

from tellus.kernel.call import Call, Nothing
from tellus.reports.service import ReportService


class UploadResponse(msgspec.Struct, frozen=True):
    """What was taken: size in bytes, SHA-256 in hexadecimal to compare with."""

    report_id: str
    size: int
    sha256: str


async def upload_diagnostics(
    reports: ReportService, call: Call[Nothing, Nothing]
) -> UploadResponse:
    """Take the logs that a charger was asked for."""
    if call.upload is None:
        raise TypeError("This route takes a file")
    report = await reports.take(call.path["token"], call.upload)
    return UploadResponse(report.report_id, report.size or 0, report.sha256 or "")
