"""The charger surface of the contract, one row per operation."""

from tests.contract.operator_surface import CONNECTOR_ID, PERCENT, TOKEN, VEHICLE
from tests.contract.shapes import (
    FAILURE_NAMED_ONLY,
    INT,
    NULL,
    NUM,
    OPAQUE,
    STR,
    TIME,
    Answer,
    Audience,
    Form,
    Operation,
    Shape,
    enveloped,
    in_query,
    list_of,
    obj,
    one_of,
    opt,
    promised,
    req,
    undescribed,
)

REGISTER_REQUEST = obj(
    req("sn", STR),
    req("model", STR),
    req("manufacturer", STR),
    req("firmware_version", STR),
    opt("mac", STR),
)
REGISTERED = obj(req("device_id", STR), req("device_secret", STR), req("expires_in", INT))

HEARTBEAT_REQUEST = obj(
    req("timestamp", TIME),
    req("status", one_of("online", "offline", "fault")),
    req("fault_code", INT),
)

# Every command goes out with its expiry, although the published contract leaves it optional.
PENDING_COMMAND = obj(
    req("command_id", STR),
    req("command", STR),
    req("params", OPAQUE),
    promised("expiry", TIME),
)

_PHASE = obj(req("voltage", NUM), req("current", NUM))
TELEMETRY_REQUEST = obj(
    req("timestamp", TIME),
    req("connector_id", CONNECTOR_ID),
    req("state", one_of("idle", "charging", "discharging", "fault")),
    req("voltage", NUM),
    req("current", NUM),
    req("power", NUM),
    req("energy_delivered", NUM),
    opt("soc", PERCENT),
    opt("temperature", NUM),
    opt(
        "phase_details", obj(opt("phase_a", _PHASE), opt("phase_b", _PHASE), opt("phase_c", _PHASE))
    ),
)

EVENT_REQUEST = obj(
    req("timestamp", TIME),
    req("event_type", one_of("plug_in", "plug_out", "start", "stop", "fault", "alarm")),
    req("connector_id", CONNECTOR_ID),
    req("data", OPAQUE),
)

RECORD_REQUEST = obj(
    req("record_id", STR),
    req("connector_id", CONNECTOR_ID),
    req("start_time", TIME),
    req("end_time", TIME),
    req("energy", NUM),
    req("max_power", NUM),
    req("avg_power", NUM),
    opt("cost", NUM),
    req("meter_start", NUM),
    req("meter_end", NUM),
    opt("vehicle_info", VEHICLE),
)

COMMAND_STATUS_REQUEST = obj(
    req("command_id", STR),
    req("status", one_of("accepted", "rejected", "completed", "failed")),
    opt("message", STR),
    req("timestamp", TIME),
    opt("details", OPAQUE),
)

FIRMWARE_STATUS_REQUEST = obj(
    req("firmware_version", STR),
    req("status", one_of("downloading", "upgrading", "success", "failed")),
    opt("progress", PERCENT),
    opt("message", STR),
)


def _report(path: str, request: Shape, answer: Answer) -> Operation:
    return Operation("POST", path, Audience.DEVICE, request=request, answers=((200, answer),))


DEVICE_OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "POST",
        "/v1/device/register",
        Audience.ANYONE,
        request=REGISTER_REQUEST,
        answers=(
            (200, enveloped(REGISTERED)),
            (400, FAILURE_NAMED_ONLY),
            (409, FAILURE_NAMED_ONLY),
        ),
    ),
    Operation(
        "POST",
        "/v1/device/token",
        Audience.ANYONE,
        request=obj(
            req("device_id", STR),
            req("device_secret", STR),
            req("grant_type", one_of("client_credentials")),
        ),
        answers=((200, Answer(Form.TOKEN, TOKEN)), (401, FAILURE_NAMED_ONLY)),
    ),
    _report(
        "/v1/device/heartbeat",
        HEARTBEAT_REQUEST,
        enveloped(obj(promised("commands", list_of(PENDING_COMMAND)))),
    ),
    _report("/v1/device/telemetry", TELEMETRY_REQUEST, undescribed(NULL)),
    _report("/v1/device/events", EVENT_REQUEST, undescribed(NULL)),
    _report("/v1/device/charging-records", RECORD_REQUEST, undescribed(NULL)),
    Operation(
        "GET",
        "/v1/device/commands",
        Audience.DEVICE,
        parameters=(
            in_query("connector_id", CONNECTOR_ID, required=True),
            in_query("wait", INT.between(1, 60), default=30),
        ),
        answers=((200, enveloped(PENDING_COMMAND.or_null())),),
    ),
    _report("/v1/device/command-status", COMMAND_STATUS_REQUEST, undescribed(NULL)),
    _report("/v1/device/firmware/status", FIRMWARE_STATUS_REQUEST, undescribed(NULL)),
)
