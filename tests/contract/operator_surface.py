"""The operator surface of the contract, one row per operation."""

from tests.contract.shapes import (
    BOOL,
    FAILURE,
    INT,
    NUM,
    OPAQUE,
    STR,
    TIME,
    Answer,
    Audience,
    Form,
    Operation,
    Parameter,
    Shape,
    enveloped,
    in_path,
    in_query,
    list_of,
    obj,
    one_of,
    opt,
    promised,
    req,
    undescribed,
)

PERCENT = INT.between(0, 100)
COUNT = INT.at_least(0)
CONNECTOR_ID = INT.at_least(1)

CONNECTOR_STATE = one_of("idle", "charging", "discharging", "fault", "unavailable")
GRANULARITY = one_of("hour", "day", "month")
WEEKDAY = one_of("mon", "tue", "wed", "thu", "fri", "sat", "sun")

PAGE = in_query("page", INT.at_least(1), default=1)
SIZE = in_query("size", INT.between(1, 100), default=20)
DEVICE = in_path("device_id", STR)
CONNECTOR = in_path("connector_id", CONNECTOR_ID)


def page_of(item: Shape) -> Shape:
    """A page of items; all its fields are promised, although none is required."""
    return obj(
        promised("total", INT),
        promised("page", INT),
        promised("size", INT),
        promised("items", list_of(item)),
    )


TOKEN = obj(
    req("access_token", STR),
    req("token_type", one_of("Bearer")),
    req("expires_in", INT),
)

SITE = obj(
    req("site_id", STR),
    req("name", STR),
    opt("address", STR),
    opt("location", obj(req("lat", NUM.between(-90, 90)), req("lng", NUM.between(-180, 180)))),
    opt("total_connectors", COUNT),
    opt("status_summary", obj(opt("idle", COUNT), opt("charging", COUNT), opt("fault", COUNT))),
    opt("power_capacity", NUM),
    opt("created_at", TIME),
)

CONNECTOR_ITEM = obj(
    req("connector_id", CONNECTOR_ID),
    req("status", CONNECTOR_STATE),
    opt("power", NUM),
    opt("voltage", NUM),
    opt("current", NUM),
    opt("energy_delivered", NUM),
    opt("soc", PERCENT),
    opt("temperature", NUM),
    opt("last_telemetry_time", TIME),
)

DEVICE_DETAIL = obj(
    req("device_id", STR),
    opt("sn", STR),
    opt("model", STR),
    opt("manufacturer", STR),
    opt("firmware_version", STR),
    opt("status", one_of("online", "offline")),
    opt("connectors", list_of(CONNECTOR_ITEM)),
    opt("last_heartbeat", TIME),
    opt("site_id", STR),
)

VEHICLE = obj(opt("vin", STR), opt("soc_start", PERCENT), opt("soc_end", PERCENT)).with_unknown()

CHARGING_RECORD = obj(
    req("record_id", STR),
    req("device_id", STR),
    req("connector_id", CONNECTOR_ID),
    req("start_time", TIME),
    opt("end_time", TIME),
    req("energy", NUM),
    opt("max_power", NUM),
    opt("avg_power", NUM),
    opt("cost", NUM),
    opt("meter_start", NUM),
    opt("meter_end", NUM),
    opt("vehicle_info", VEHICLE),
).with_unknown()

ENERGY = obj(
    opt("granularity", GRANULARITY),
    opt("start_time", TIME),
    opt("end_time", TIME),
    opt(
        "series",
        list_of(
            obj(
                opt("time", STR),
                opt("charge_energy", NUM),
                opt("discharge_energy", NUM),
                opt("max_power", NUM),
                opt("avg_power", NUM),
            )
        ),
    ),
    opt(
        "total", obj(opt("charge_energy", NUM), opt("discharge_energy", NUM), opt("max_power", NUM))
    ),
)

COMMAND_QUEUED = obj(req("command_id", STR), req("status", one_of("queued")))

COMMAND = obj(
    req("command_id", STR),
    req("status", one_of("queued", "accepted", "completed", "failed")),
    opt("created_at", TIME),
    opt("updated_at", TIME),
    opt("result", OPAQUE),
)

SCHEDULE_STORED = obj(
    req("schedule_id", STR), req("command_id", STR), req("status", one_of("queued"))
)

START_REQUEST = obj(
    opt("charge_power", NUM),
    opt("duration", INT),
    opt("target_soc", PERCENT),
    opt("transaction_id", STR),
)
STOP_REQUEST = obj(opt("reason", STR))
DISCHARGE_REQUEST = obj(req("discharge_power", NUM), opt("duration", INT), opt("min_soc", PERCENT))
TIME_SLOT = obj(
    opt("day_of_week", list_of(WEEKDAY)),
    req("start", STR),
    req("end", STR),
    opt("power_limit", NUM),
    req("action", one_of("charge", "discharge", "idle")),
)
SCHEDULE_REQUEST = obj(
    req("schedule_id", STR),
    req("enabled", BOOL),
    req("type", one_of("once", "daily", "weekly")),
    req("time_slots", list_of(TIME_SLOT)),
    opt("target_soc", PERCENT),
    opt("effective_from", TIME),
    opt("effective_until", TIME),
    opt("timezone", STR),
)
FLEXIBILITY_REQUEST = obj(
    req("target_type", one_of("site", "operator", "all")),
    opt("target_ids", list_of(STR)),
    req("command", one_of("set_power_limit", "pause_charging")),
    req("params", OPAQUE),
)

FRAME = obj(
    req("device_id", STR),
    req("timestamp", TIME),
    req(
        "connectors",
        list_of(
            obj(
                opt("connector_id", INT),
                opt("state", CONNECTOR_STATE),
                opt("power", NUM),
                opt("energy_delivered", NUM),
                opt("soc", PERCENT),
            )
        ),
    ),
)

_CONNECTORS = "/v1/operator/devices/{device_id}/connectors/{connector_id}"


def _read(
    path: str,
    payload: Shape,
    *parameters: Parameter,
    failures: tuple[tuple[int, Answer], ...] = (),
) -> Operation:
    answers = ((200, enveloped(payload)), *failures)
    return Operation("GET", path, Audience.OPERATOR, "read", parameters=parameters, answers=answers)


def _control(action: str, request: Shape, answer: Answer, *, body_required: bool) -> Operation:
    return Operation(
        "POST",
        f"{_CONNECTORS}/{action}",
        Audience.OPERATOR,
        "write",
        parameters=(DEVICE, CONNECTOR),
        request=request,
        body_required=body_required,
        answers=((200, answer),),
    )


OPERATOR_OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST",
        "/v1/operator/oauth/token",
        Audience.ANYONE,
        request=obj(
            req("client_id", STR),
            req("client_secret", STR),
            req("grant_type", one_of("client_credentials")),
        ),
        answers=((200, Answer(Form.TOKEN, TOKEN)), (401, FAILURE)),
    ),
    _read(
        "/v1/operator/sites",
        page_of(SITE),
        PAGE,
        SIZE,
        in_query("status", one_of("active", "inactive")),
    ),
    _read("/v1/operator/devices/{device_id}", DEVICE_DETAIL, DEVICE, failures=((404, FAILURE),)),
    _control("start", START_REQUEST, enveloped(COMMAND_QUEUED), body_required=False),
    _control("stop", STOP_REQUEST, enveloped(COMMAND_QUEUED), body_required=False),
    _control("discharge", DISCHARGE_REQUEST, enveloped(COMMAND_QUEUED), body_required=True),
    _control("schedule", SCHEDULE_REQUEST, undescribed(SCHEDULE_STORED), body_required=True),
    _read(
        "/v1/operator/charging-records",
        page_of(CHARGING_RECORD),
        in_query("device_id", STR),
        in_query("connector_id", CONNECTOR_ID),
        in_query("start_time", TIME),
        in_query("end_time", TIME),
        PAGE,
        SIZE,
    ),
    _read(
        "/v1/operator/aggregated/energy",
        ENERGY,
        in_query("granularity", GRANULARITY, required=True),
        in_query("start_time", TIME, required=True),
        in_query("end_time", TIME, required=True),
        in_query("group_by", one_of("site", "operator")),
        in_query("site_ids", STR),
    ),
    Operation(
        "POST",
        "/v1/operator/control/flexibility",
        Audience.OPERATOR,
        "write",
        request=FLEXIBILITY_REQUEST,
        answers=(
            (200, enveloped(obj(req("control_id", STR), req("status", one_of("executing"))))),
        ),
    ),
    _read("/v1/operator/commands/{command_id}", COMMAND, in_path("command_id", STR)),
    Operation(
        "GET",
        "/v1/operator/stream",
        Audience.OPERATOR,
        "read",
        parameters=(in_query("devices", STR, required=True),),
        answers=((101, Answer(Form.FRAME, FRAME)),),
        security_stated=False,
    ),
)
