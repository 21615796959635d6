"""The operator's surface: everything under ``/v1/operator``, one row per operation."""

from functools import partial
from typing import Final

from tellus.commands import diagnostics_api as diagnostics
from tellus.commands import operator_api as commands
from tellus.commands import operator_api_schedules as schedules
from tellus.consent.model import Service
from tellus.fleet import operator_api as fleet
from tellus.flexibility import operator_api as flexibility
from tellus.identity import operator_api as identity
from tellus.identity.credentials import AccessTokenResponse
from tellus.kernel.call import Audience
from tellus.kernel.paging import Page
from tellus.sessions import operator_api as sessions
from tellus.sessions import operator_api_export as records_export
from tellus.surfaces import stream
from tellus.surfaces.frames import TelemetryFrame
from tellus.surfaces.operator_energy import OPERATOR_ENERGY_ROUTES
from tellus.surfaces.operator_firmware import OPERATOR_FIRMWARE_ROUTES
from tellus.surfaces.operator_history import OPERATOR_HISTORY_ROUTES
from tellus.surfaces.operator_sessions import OPERATOR_SESSION_ROUTES
from tellus.surfaces.routes import (
    BODY_BYTES_CREDENTIALS,
    BODY_BYTES_FLEXIBILITY,
    Answer,
    LimitClass,
    Route,
)
from tellus.telemetry import operator_api as telemetry

_AUTHENTICATION: Final = "Operator: authentication"
_FLEET: Final = "Operator: sites and devices"
_CONTROL: Final = "Operator: remote control"
_FLEXIBILITY: Final = "Operator: flexibility"
_RECORDS: Final = "Operator: charging records"
_COMMANDS: Final = "Operator: commands"
_STREAM: Final = "Operator: live telemetry"

_query = partial(Route, "GET", audience=Audience.OPERATOR, scope="read", limit=LimitClass.QUERIES)
_write = partial(
    Route,
    audience=Audience.OPERATOR,
    scope="write",
    limit=LimitClass.CONTROL,
)
_control = partial(_write, "POST", tag=_CONTROL)

OPERATOR_ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "POST", "/v1/operator/oauth/token", "issueOperatorToken", identity.issue_operator_token,
        audience=Audience.PUBLIC, request=identity.OperatorTokenRequest,
        response=AccessTokenResponse, answer=Answer.TOKEN, form=True, optional_body=True,
        body_bytes=BODY_BYTES_CREDENTIALS,
        summary="Get an access token", tag=_AUTHENTICATION,
        description="OAuth 2.0 client credentials: JSON, a form, or HTTP Basic. The token is good"
        " for 24 hours; earlier ones stay good.",
    ),
    _query(
        "/v1/operator/sites", "listSites", fleet.list_sites,
        query=fleet.SitesQuery, response=Page[fleet.SiteItem],
        summary="List sites", tag=_FLEET,
        description="The operator's sites with how many connectors are in which state.",
    ),
    _query(
        "/v1/operator/sites/{site_id}", "getSite", fleet.get_site, response=fleet.SiteItem,
        summary="Get a site", tag=_FLEET, description="One site, as in the list.",
    ),
    _query(
        "/v1/operator/devices", "listDevices", fleet.list_devices,
        query=fleet.DevicesQuery, response=Page[fleet.DeviceItem],
        summary="List devices", tag=_FLEET,
        description="The operator's chargers with the current state of their connectors;"
        " `include=product,connectivity,lifecycle` adds what else is known of them.",
    ),
    _query(
        "/v1/operator/devices/{device_id}", "getDevice", fleet.get_device,
        query=fleet.DeviceQuery, response=fleet.DeviceItem,
        summary="Get a device", tag=_FLEET,
        description="A charger and the last known state of its connectors. `include=events` adds"
        " its ten newest events, `product`, `connectivity` and `lifecycle` what else is known.",
    ),
    _query(
        "/v1/operator/devices/{device_id}/events", "listDeviceEvents", fleet.list_device_events,
        query=fleet.EventsQuery, response=Page[fleet.EventItem],
        service=Service.DIAGNOSTICS,
        summary="List a device's events", tag=_FLEET,
        description="Newest first; faults by any spelling of their code.",
    ),
    _query(
        "/v1/operator/devices/{device_id}/telemetry", "listDeviceTelemetry",
        telemetry.list_device_telemetry,
        query=telemetry.TelemetryQuery, response=telemetry.SamplePage,
        service=Service.DIAGNOSTICS,
        summary="List a connector's samples", tag=_FLEET,
        description="Stored samples in order of time, each exactly as it was sent.",
    ),
    _control(
        "/v1/operator/devices/{device_id}/connectors/{connector_id}/start", "startCharging",
        commands.start_charging,
        request=commands.RemoteStartRequest, response=commands.CommandQueuedResponse,
        optional_body=True,
        service=Service.FLEXIBILITY,
        summary="Start charging",
        description="Queues a start for the connector and answers at once; what becomes of it is"
        " told by `getCommand`.",
    ),
    _control(
        "/v1/operator/devices/{device_id}/connectors/{connector_id}/stop", "stopCharging",
        commands.stop_charging,
        request=commands.RemoteStopRequest, response=commands.CommandQueuedResponse,
        optional_body=True,
        service=Service.FLEXIBILITY,
        summary="Stop charging",
        description="Queues a stop. A start that was not delivered yet is superseded.",
    ),
    _control(
        "/v1/operator/devices/{device_id}/connectors/{connector_id}/discharge", "startDischarging",
        commands.discharge,
        request=commands.RemoteDischargeRequest, response=commands.CommandQueuedResponse,
        service=Service.V2G_DISPATCH,
        summary="Discharge the vehicle",
        description="Queues a discharge. Hardware that cannot is 409 with `details.reason`"
        " `not_v2g_capable`.",
    ),
    _control(
        "/v1/operator/devices/{device_id}/commands", "issueDiagnosticCommand",
        diagnostics.issue_diagnostic_command,
        request=diagnostics.DiagnosticCommandRequest, response=commands.CommandQueuedResponse,
        service=Service.DIAGNOSTICS,
        summary="Issue a diagnostic command",
        description="`run_self_test`, `calibrate_sensor`, `reset_power_module`, `unlock_connector`"
        " and `reset_connector` take the charger out of service for a while: they need the scope"
        " `diagnostics` and `confirm`, are refused during a session, and go to the audit log.",
    ),
    _query(
        "/v1/operator/commands", "listCommands", commands.list_commands,
        query=commands.CommandsQuery, response=Page[commands.CommandItem],
        summary="List commands", tag=_COMMANDS, description="Newest first.",
    ),
    _write(
        "DELETE", "/v1/operator/commands/{command_id}", "cancelCommand", commands.cancel_command,
        response=commands.CommandStatusResponse,
        summary="Cancel a command", tag=_COMMANDS,
        description="A queued command fails with the reason `cancelled` and is not delivered any"
        " more; one that was accepted or has ended is 409.",
    ),
    _control(
        "/v1/operator/devices/{device_id}/connectors/{connector_id}/schedule", "setSchedule",
        schedules.set_schedule,
        request=schedules.ScheduleRequest, response=schedules.ScheduleQueuedResponse,
        service=Service.FLEXIBILITY,
        summary="Set a schedule",
        description="Stores a plan under the operator's own `schedule_id`, in place of any of the"
        " same id, and queues it for the charger, which runs it by itself.",
    ),
    _query(
        "/v1/operator/devices/{device_id}/connectors/{connector_id}/schedule", "listSchedules",
        schedules.list_schedules, response=schedules.ScheduleListResponse,
        service=Service.FLEXIBILITY,
        summary="List a connector's schedules", tag=_CONTROL,
        description="What is planned, whether the charger has it, and the next slots as moments.",
    ),
    _write(
        "DELETE", "/v1/operator/devices/{device_id}/connectors/{connector_id}/schedule",
        "deleteSchedule", schedules.delete_schedule,
        query=schedules.ScheduleQuery, response=schedules.ScheduleQueuedResponse,
        service=Service.FLEXIBILITY,
        summary="Remove a schedule", tag=_CONTROL,
        description="Forgets the plan and queues its disabling for the charger.",
    ),
    _write(
        "POST", "/v1/operator/control/flexibility", "controlFlexibility",
        flexibility.control_flexibility,
        request=flexibility.FlexibilityRequest, response=flexibility.FlexibilityResponse,
        limit=LimitClass.BATCH_CONTROL, body_bytes=BODY_BYTES_FLEXIBILITY,
        service=Service.FLEXIBILITY, sifts=True,
        summary="Limit or pause many chargers", tag=_FLEXIBILITY,
        description="Limits every charger of sites, of the operator, or all, for `duration`"
        " seconds. The lowest of all limits of a connector holds; each is lifted by itself when its"
        " time is over. What becomes of it is told by `getControl`, and by `getCommand` under the"
        " `control_id`.",
    ),
    _query(
        "/v1/operator/control/flexibility", "listControls", flexibility.list_controls,
        query=flexibility.ControlsQuery, response=Page[flexibility.ControlItem],
        summary="List controls", tag=_FLEXIBILITY,
        description="Newest first; `active=true` for those under way.",
    ),
    _query(
        "/v1/operator/control/flexibility/{control_id}", "getControl", flexibility.get_control,
        response=flexibility.ControlResponse,
        summary="Get a control", tag=_FLEXIBILITY,
        description="Where it stands, and what became of it at each charger and connector.",
    ),
    _write(
        "DELETE", "/v1/operator/control/flexibility/{control_id}", "cancelControl",
        flexibility.cancel_control, response=flexibility.ControlItem,
        summary="Cancel a control", tag=_FLEXIBILITY,
        description="Its limits are taken back at once, those of other controls stay. Cancelling"
        " again changes nothing; a control that is over is 409.",
    ),
    _query(
        "/v1/operator/commands/{command_id}", "getCommand", commands.get_command,
        response=commands.CommandStatusResponse,
        summary="Get a command", tag=_COMMANDS,
        description="Its status, its result once there is one, and every report of the charger. A"
        " `control_id` shows the control with its chargers under `result.targets`.",
    ),
    _query(
        "/v1/operator/charging-records", "listChargingRecords", sessions.list_charging_records,
        query=sessions.RecordQuery, response=sessions.RecordPage,
        table=records_export.tabulate_charging_records,
        service=Service.ENERGY_REPORTING, sifts=True,
        summary="List charging records", tag=_RECORDS,
        description="Newest first, by pages or by cursor.",
    ),
    *OPERATOR_ENERGY_ROUTES,
    *OPERATOR_HISTORY_ROUTES,
    *OPERATOR_SESSION_ROUTES,
    *OPERATOR_FIRMWARE_ROUTES,
    Route(
        "GET", "/v1/operator/stream", "subscribeTelemetry", stream.subscribe_telemetry,
        audience=Audience.OPERATOR, scope="read", limit=LimitClass.QUERIES,
        query=stream.StreamQuery, response=TelemetryFrame, answer=Answer.STREAM,
        service=Service.DIAGNOSTICS, sifts=True,
        summary="Subscribe to live telemetry", tag=_STREAM,
        description="A WebSocket. The token goes into the `Authorization` header, or `?token=`"
        " where the client cannot set headers. First comes a frame for each device, then one per"
        " change, at most one per device and second. `?channels=telemetry,alerts` adds a frame"
        ' `{"type": "alert", "change": "opened|changed|closed", "alert": …}` for each change of an'
        " alert.",
    ),
)  # fmt: skip
