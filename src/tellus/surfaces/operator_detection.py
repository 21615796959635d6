"""What detection found, on the operator's surface."""

from typing import Final

from tellus.consent.model import Service
from tellus.diagnostics import operator_api_firmware as firmware
from tellus.kernel.call import Audience
from tellus.kernel.paging import Page
from tellus.surfaces.routes import LimitClass, Route

OPERATOR_DETECTION_ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET", "/v1/operator/firmware-health", "listFirmwareHealth",
        firmware.list_firmware_health,
        Audience.OPERATOR, "Compare faults by firmware", "Operator: diagnostics",
        description="How often each fault follows a start, by firmware version and model, against"
        " the model's other versions, with a verdict: `concentrated` on a firmware, or not. One bad"
        " device or one bad site is no firmware.",
        service=Service.DIAGNOSTICS, sifts=True,
        scope="read", limit=LimitClass.QUERIES, query=firmware.FirmwareHealthQuery,
        response=Page[firmware.FirmwareRateItem],
    ),
)  # fmt: skip
