"""The legacy operator-to-operator dialect of the contract: bare PascalCase bodies."""

from tests.contract.operator_surface import PERCENT
from tests.contract.shapes import (
    INT,
    NUM,
    STR,
    Answer,
    Audience,
    Form,
    Operation,
    Shape,
    list_of,
    obj,
    one_of,
    opt,
    req,
)

_ID = STR.up_to(64)
_CONNECTOR = INT.at_least(1)

CHARGE_POINT = obj(
    req("ChargeBoxId", _ID),
    req("CreateTime", STR),
    req("Type", one_of("DC", "AC")),
    req("Power", INT.at_least(1)),
    req("Longitude", NUM.between(-180, 180)),
    req("Latitude", NUM.between(-90, 90)),
    req(
        "Connectors",
        list_of(
            obj(
                req("ConnectorId", INT.at_least(0)),
                req("Status", one_of("Available", "Working", "Fault")),
            ),
            fewest=1,
        ),
    ),
)

_STATES = (
    "STARTING",
    "START_FAILED",
    "CHARGING",
    "WAIT_CP_STOP_CHARGING",
    "WAIT_PULL_OUT_CONNECTOR",
    "WAIT_PAY",
    "COMPLETED",
)
CHARGING_STATUS = one_of(*_STATES)
DISCHARGING_STATUS = one_of(*(state.replace("CHARGING", "DISCHARGING") for state in _STATES))
ACKNOWLEDGED = obj(opt("Status", one_of("Accept", "Reject")))

METER = obj(
    req("Power", NUM),
    req("Voltage", NUM),
    req("Current", NUM),
    req("WorkValue", NUM),
    req("Energy", NUM),
    opt("Soc", PERCENT),
)


def _call(method: str, path: str, request: Shape, answer: Shape) -> Operation:
    return Operation(
        method,
        path,
        Audience.PEER,
        request=request,
        answers=((200, Answer(Form.BARE, answer)),),
        security_stated=False,
    )


LEGACY_OPERATIONS: tuple[Operation, ...] = (
    _call(
        "PUT",
        "/v1/customer/query_station_info",
        obj(opt("LastQueryTime", STR), opt("PageNo", INT), opt("PageSize", INT)),
        obj(
            opt("PageNo", INT),
            opt("PageCount", INT),
            opt("ItemSize", INT),
            opt("ChargePoints", list_of(CHARGE_POINT)),
        ),
    ),
    _call("PUT", "/v1/customer/notification_stationStatus", CHARGE_POINT, ACKNOWLEDGED),
    _call("PUT", "/v1/cp/query_station_status", list_of(STR, most=50), list_of(CHARGE_POINT)),
    _call(
        "POST",
        "/v1/cp/start_charging",
        obj(
            req("OrderId", _ID),
            req("ChargePointId", _ID),
            req("ConnectorId", _CONNECTOR),
            opt("Note", STR.up_to(255)),
        ),
        obj(opt("Status", CHARGING_STATUS), opt("DeviceVendorOrderId", STR)),
    ),
    _call(
        "POST",
        "/v1/customer/notify_work_status",
        obj(
            req("OrderId", _ID),
            req("DeviceVendorOrderId", _ID),
            req("ChargePointId", _ID),
            req("ConnectorId", _CONNECTOR),
            req("ChangeTime", STR),
            req("Status", CHARGING_STATUS),
            opt("Meter", METER),
        ),
        ACKNOWLEDGED,
    ),
    _call(
        "POST",
        "/v1/cp/stop_charging",
        obj(req("ChargePointId", _ID), req("ConnectorId", _CONNECTOR)),
        ACKNOWLEDGED,
    ),
    _call(
        "POST",
        "/v1/cp/start_discharging",
        obj(
            req("OrderId", _ID),
            req("ChargePointId", _ID),
            req("ConnectorId", _CONNECTOR),
            opt("LimitMinSOC", PERCENT),
            opt("LimitMaxEnergy", INT),
            opt("Note", STR.up_to(255)),
        ),
        obj(opt("Status", DISCHARGING_STATUS), opt("DeviceVendorOrderId", STR)),
    ),
    _call(
        "POST",
        "/v1/cp/stop_discharging",
        obj(req("ChargePointId", _ID), req("ConnectorId", _CONNECTOR)),
        ACKNOWLEDGED,
    ),
)
