"""The legacy paths: operator to operator, in the older dialect of the contract, bare PascalCase."""

from functools import partial
from typing import Final

from tellus.consent.model import Service
from tellus.kernel.call import Audience
from tellus.legacy import routes as legacy
from tellus.legacy import wire
from tellus.surfaces.routes import Answer, LimitClass, Route

_call = partial(
    Route,
    audience=Audience.OPERATOR,
    scope="peer",
    answer=Answer.BARE,
    tag="Operator-to-operator (legacy interop)",
)
_query = partial(_call, limit=LimitClass.QUERIES)
_control = partial(_call, "POST", limit=LimitClass.CONTROL)

LEGACY_ROUTES: Final[tuple[Route, ...]] = (
    _query(
        "PUT", "/v1/customer/query_station_info", "legacyQueryStationInfo",
        legacy.query_station_info,
        request=wire.StationInfoRequest, response=wire.StationInfoResponse,
        service=Service.FLEXIBILITY, sifts=True,
        summary="Query charge points",
        description="Those shared with the caller whose static data changed at or after"
        " `LastQueryTime`, in the order of the changes; empty asks for all.",
    ),
    _call(
        "PUT", "/v1/customer/notification_stationStatus", "legacyNotifyStationStatus",
        legacy.notify_station_status, limit=LimitClass.CONTROL,
        request=wire.LegacyChargePointItem, response=wire.LegacyAcceptResponse,
        summary="Tell that a charge point's status changed",
        description="Pushed by a peer; operators see it among foreign charge points.",
    ),
    _query(
        "PUT", "/v1/cp/query_station_status", "legacyQueryStationStatus",
        legacy.query_station_status,
        request=wire.ChargePointIds, response=list[wire.LegacyChargePointItem],
        service=Service.FLEXIBILITY, sifts=True,
        summary="Query the status of charge points",
        description="Up to 50; what is unknown or not shared is left out.",
    ),
    _control(
        "/v1/cp/start_charging", "legacyStartCharging", legacy.start_charging,
        request=wire.LegacyStartRequest, response=wire.LegacyStartResponse,
        service=Service.FLEXIBILITY, sifts=True,
        summary="Start charging",
        description="Answers as soon as the order is stored; what becomes of it is pushed. The"
        " same `OrderId` gets the same answer.",
    ),
    _control(
        "/v1/customer/notify_work_status", "legacyNotifyWorkStatus", legacy.notify_work_status,
        request=wire.WorkStatusRequest, response=wire.LegacyAcceptResponse,
        summary="Tell how an order stands",
        description="Pushed by a peer; operators see it among foreign orders. An older status that"
        " comes late changes nothing.",
    ),
    _control(
        "/v1/cp/stop_charging", "legacyStopCharging", legacy.stop_charging,
        request=wire.LegacyStopRequest, response=wire.LegacyAcceptResponse,
        service=Service.FLEXIBILITY, sifts=True,
        summary="Stop charging",
        description="Stops what the caller started there; where that is nothing it is rejected.",
    ),
    _control(
        "/v1/cp/start_discharging", "legacyStartDischarging", legacy.start_discharging,
        request=wire.LegacyDischargeRequest, response=wire.LegacyDischargeResponse,
        service=Service.V2G_DISPATCH, sifts=True,
        summary="Start discharging",
        description="As a start, for hardware that can. It ends at `LimitMinSOC` percent, or once"
        " `LimitMaxEnergy` kWh are out of the vehicle.",
    ),
    _control(
        "/v1/cp/stop_discharging", "legacyStopDischarging", legacy.stop_discharging,
        request=wire.LegacyStopRequest, response=wire.LegacyAcceptResponse,
        service=Service.V2G_DISPATCH, sifts=True,
        summary="Stop discharging",
        description="Stops what the caller started there; where that is nothing it is rejected.",
    ),
)  # fmt: skip
