"""Component health on the operator's surface."""

from typing import Final

from tellus.consent.model import Service
from tellus.health import operator_api as health
from tellus.kernel.call import Audience
from tellus.surfaces.routes import LimitClass, Route

OPERATOR_HEALTH_ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET", "/v1/operator/devices/{device_id}/component-health", "getComponentHealth",
        health.get_component_health,
        Audience.OPERATOR, "Read how a device's parts are", "Operator: diagnostics",
        description="The newest state of each part, how it moves, and when what wears will have"
        " reached its rated life.",
        service=Service.DIAGNOSTICS,
        scope="read", limit=LimitClass.QUERIES, response=health.DeviceHealthItem,
    ),
    Route(
        "GET", "/v1/operator/devices/{device_id}/component-health/history",
        "listComponentHealthHistory", health.list_component_history,
        Audience.OPERATOR, "Read the history of a part", "Operator: diagnostics",
        description="One metric by the minute, kept two days, or by the hour, kept two years.",
        service=Service.DIAGNOSTICS,
        scope="read", limit=LimitClass.QUERIES, query=health.HealthHistoryQuery,
        response=health.HealthHistory,
    ),
)  # fmt: skip
