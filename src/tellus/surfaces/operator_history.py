"""What chargers measured, on the operator's surface: meter values, samples of a session."""

from functools import partial
from typing import Final

from tellus.consent.model import Service
from tellus.kernel.call import Audience
from tellus.surfaces.routes import LimitClass, Route
from tellus.telemetry import operator_api_meter_values as meter_values
from tellus.telemetry import operator_api_session as session_telemetry

_query = partial(
    Route, "GET", audience=Audience.OPERATOR, scope="read", limit=LimitClass.QUERIES,
    tag="Operator: history",
)  # fmt: skip

OPERATOR_HISTORY_ROUTES: Final[tuple[Route, ...]] = (
    _query(
        "/v1/operator/meter-values", "listMeterValues", meter_values.list_meter_values,
        query=meter_values.MeterValueQuery, response=meter_values.MeterValuePage,
        table=meter_values.tabulate_meter_values,
        service=Service.DIAGNOSTICS, sifts=True,
        summary="List meter values",
        description="What a device, or one session, measured, by the names of OCPP: one value each,"
        " in order of time.",
    ),
    _query(
        "/v1/operator/devices/{device_id}/sessions/{record_id}/telemetry", "listSessionTelemetry",
        session_telemetry.list_session_telemetry,
        query=session_telemetry.SessionTelemetryQuery,
        response=session_telemetry.SessionTelemetryPage,
        service=Service.DIAGNOSTICS,
        summary="List a session's samples",
        description="By the identifier of its record, or its own while it runs. Samples as they"
        " were sent while they are kept, then means of minutes, then energies of hours; which one,"
        " `resolution` says.",
    ),
)  # fmt: skip
