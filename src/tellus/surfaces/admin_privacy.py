"""What is held about whom, on the administration surface."""

from typing import Final

from tellus.kernel.call import Audience
from tellus.privacy import admin_api as privacy
from tellus.privacy import admin_api_subjects as subjects
from tellus.surfaces.routes import Answer, Route

PRIVACY_ADMIN_ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET", "/v1/admin/processing-record", "getProcessingRecord", privacy.get_processing_record,
        Audience.ADMIN, "Read the record of processing", "Admin: privacy",
        description="Every table and column: what it is for, whom it is about, how long it is kept,"
        " who gets it, and with what it is erased. The legal ground is for the operator to say.",
        scope="org:read", response=privacy.ProcessingRecordResponse,
    ),
    Route(
        "POST", "/v1/admin/subjects/export", "exportSubject", subjects.export_subject,
        Audience.ADMIN, "Export what is held of a vehicle", "Admin: privacy",
        description="All rows of a vehicle by table, the samples of its charges and the texts"
        " that mention it, as one JSON document; of nobody else. Goes to the audit log, without the"
        " VIN.",
        scope="org:write", request=subjects.SubjectExportRequest, answer=Answer.FILE,
    ),
)  # fmt: skip
