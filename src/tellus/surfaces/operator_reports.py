"""Diagnostic reports: operators ask for them and download them, chargers upload them."""

from functools import partial
from typing import Final

from tellus.consent.model import Service
from tellus.kernel.call import Audience
from tellus.kernel.paging import Page, PageQuery
from tellus.reports import device_api, operator_api
from tellus.surfaces.routes import BODY_BYTES_FILE, Answer, LimitClass, Route

_OPERATOR_TAG: Final = "Operator: diagnostics"

_read = partial(
    Route, audience=Audience.OPERATOR, scope="read", limit=LimitClass.QUERIES, tag=_OPERATOR_TAG
)

REPORT_ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "POST", "/v1/operator/devices/{device_id}/diagnostics", "requestDiagnostics",
        operator_api.request_diagnostics, audience=Audience.OPERATOR,
        service=Service.DIAGNOSTICS,
        scope="write",
        limit=LimitClass.CONTROL, tag=_OPERATOR_TAG, optional_body=True,
        request=operator_api.DiagnosticsRequest, response=operator_api.DiagnosticsQueuedResponse,
        summary="Fetch a charger's logs",
        description="Sends the charger `fetch_logs` with an address to upload to. The report is"
        " `ready` once it has done so.",
    ),
    _read(
        "GET", "/v1/operator/devices/{device_id}/diagnostics", "listDiagnostics",
        operator_api.list_diagnostics, query=PageQuery, response=Page[operator_api.ReportItem],
        service=Service.DIAGNOSTICS,
        summary="List a device's diagnostic reports",
    ),
    _read(
        "GET", "/v1/operator/diagnostics/{report_id}", "getDiagnostics",
        operator_api.get_diagnostics, response=operator_api.ReportItem,
        service=Service.DIAGNOSTICS,
        summary="Read a diagnostic report",
        description="How far it is; when `ready`, how large and until when it can be downloaded.",
    ),
    _read(
        "GET", "/v1/operator/diagnostics/{report_id}/download", "downloadDiagnostics",
        operator_api.download_diagnostics, answer=Answer.FILE,
        service=Service.DIAGNOSTICS,
        summary="Download a diagnostic report",
        description="The file as the charger sent it; 404 before it is there and once it expired.",
    ),
    Route(
        "PUT", "/v1/device/diagnostics/uploads/{token}", "uploadDiagnostics",
        device_api.upload_diagnostics, audience=Audience.PUBLIC, tag="Charger: reporting",
        upload=True, body_bytes=BODY_BYTES_FILE, secret=True, response=device_api.UploadResponse,
        summary="Upload logs that were asked for",
        description="The raw bytes of the bundle, up to 32 MiB, to the `upload_url` of"
        " `fetch_logs`. The address is the credential: it works once and as long as the command"
        " lives; the same bytes again are answered like the first time. Unknown, used and expired"
        " addresses are all answered with 404.",
    ),
)  # fmt: skip
