"""The charger's surface: everything under ``/v1/device``, one row per operation."""

from functools import partial
from typing import Final

from tellus.commands import device_api as commands
from tellus.consent.model import Service
from tellus.fleet import device_api as fleet
from tellus.identity import device_api as identity
from tellus.identity.credentials import AccessTokenResponse
from tellus.kernel.batch import BatchRequest, BatchResponse
from tellus.kernel.call import Audience
from tellus.sessions import device_api as sessions
from tellus.surfaces.routes import (
    BODY_BYTES_BATCH,
    BODY_BYTES_CREDENTIALS,
    Answer,
    LimitClass,
    Route,
)
from tellus.telemetry import device_api as telemetry

_PROVISIONING: Final = "Charger: provisioning"
_REPORTING: Final = "Charger: reporting"
_COMMANDS: Final = "Charger: commands"
_FIRMWARE: Final = "Charger: firmware"

_public = partial(Route, audience=Audience.PUBLIC, body_bytes=BODY_BYTES_CREDENTIALS)
_hot = partial(Route, audience=Audience.DEVICE, limit=LimitClass.DEVICE_HOT)
_other = partial(Route, audience=Audience.DEVICE, limit=LimitClass.DEVICE_OTHER)
_batch = partial(
    Route,
    audience=Audience.DEVICE,
    limit=LimitClass.DEVICE_BATCH,
    body_bytes=BODY_BYTES_BATCH,
    request=BatchRequest,
    response=BatchResponse,
    tag=_REPORTING,
)

DEVICE_ROUTES: Final[tuple[Route, ...]] = (
    _public(
        "POST", "/v1/device/register", "registerDevice", fleet.register_device,
        request=fleet.RegisterRequest, response=fleet.RegisterResponse,
        secret=True, summary="Register a charger", tag=_PROVISIONING,
        description="A charger calls this when it first connects and gets the identifier and the"
        " secret it asks for tokens with. Until the secret is first used, the same call with the"
        " same proof answers with the same identifier and a fresh secret, so a lost answer heals."
        " A charger that was provisioned shows its enrolment token as bearer, or carries it in its"
        " base URL as `/e/<token>`.",
    ),
    _public(
        "POST", "/v1/device/token", "issueDeviceToken", identity.issue_device_token,
        request=identity.DeviceTokenRequest, response=AccessTokenResponse,
        answer=Answer.TOKEN, form=True, optional_body=True,
        summary="Get a charger's access token", tag=_PROVISIONING,
        description="Exchanges `device_id` and `device_secret` for a bearer token of 24 hours."
        " Earlier tokens stay good.",
    ),
    _other(
        "POST", "/v1/device/secret/rotate", "rotateDeviceSecret", identity.rotate_device_secret,
        response=identity.DeviceSecretResponse,
        secret=True, summary="Rotate the charger's secret", tag=_PROVISIONING,
        description="Answers with a new secret. The old one works until the new one is first used"
        " and for a day after; a lost answer is healed by calling again.",
    ),
    _hot(
        "POST", "/v1/device/heartbeat", "sendHeartbeat", commands.report_heartbeat,
        request=commands.HeartbeatRequest, response=commands.HeartbeatResponse,
        lenient=commands.decode_heartbeat_leniently,
        summary="Send a heartbeat", tag=_REPORTING,
        description="Every 30 seconds. The answer carries commands that wait for the charger.",
    ),
    _hot(
        "POST", "/v1/device/telemetry", "uploadTelemetry", telemetry.upload_telemetry,
        request=telemetry.TelemetryUpload, lenient=telemetry.decode_leniently,
        hot=telemetry.prepare_telemetry,
        service=Service.DIAGNOSTICS,
        summary="Upload one telemetry sample", tag=_REPORTING,
        description="Every 5 seconds in a session, every 60 seconds when idle. An identical repeat"
        " changes nothing. The answer means that the sample is on disk.",
    ),
    _batch(
        "POST", "/v1/device/telemetry/batch", "uploadTelemetryBatch",
        telemetry.upload_telemetry_batch,
        service=Service.DIAGNOSTICS,
        summary="Upload up to 500 telemetry samples",
        description="For a charger that was offline. Each item has its own outcome, in order.",
    ),
    _other(
        "POST", "/v1/device/events", "reportEvent", fleet.report_event,
        request=fleet.EventReport,
        service=Service.DIAGNOSTICS,
        summary="Report an event", tag=_REPORTING,
        description="Plugging, start and stop of a session, faults, alarms, authentication."
        " `connector_id` 0 or none means the whole charger.",
    ),
    _batch(
        "POST", "/v1/device/events/batch", "reportEventBatch", fleet.report_event_batch,
        service=Service.DIAGNOSTICS,
        summary="Report up to 500 events",
        description="For a charger that was offline. Each item has its own outcome, in order.",
    ),
    _other(
        "POST", "/v1/device/charging-records", "uploadChargingRecord",
        sessions.upload_charging_record,
        request=sessions.ChargingRecordUpload, lenient=sessions.decode_leniently,
        service=Service.ENERGY_REPORTING,
        summary="Upload a charging record", tag=_REPORTING,
        description="One record per session, under the charger's own `record_id`. A repeat changes"
        " nothing; other content under a known identifier is a conflict: the first stands.",
    ),
    _batch(
        "POST", "/v1/device/charging-records/batch", "uploadChargingRecordBatch",
        sessions.upload_charging_record_batch,
        service=Service.ENERGY_REPORTING,
        summary="Upload up to 500 charging records",
        description="For a charger that was offline. Each item has its own outcome, in order.",
    ),
    Route(
        "GET", "/v1/device/commands", "fetchCommand", commands.fetch_command,
        audience=Audience.DEVICE, waits=True,
        query=commands.CommandPollQuery, response=commands.PendingCommandItem,
        summary="Wait for a command", tag=_COMMANDS,
        description="Holds the request until there is a command for the connector or `wait`"
        " seconds have passed; then `data` is null.",
    ),
    _other(
        "POST", "/v1/device/command-status", "reportCommandStatus",
        commands.report_command_status, request=commands.DeviceCommandStatusRequest,
        summary="Report what became of a command", tag=_COMMANDS,
        description="`accepted` or `rejected`, then `completed` or `failed`. Repeats change"
        " nothing; the first final report stands.",
    ),
    _other(
        "POST", "/v1/device/firmware/status", "reportFirmwareStatus",
        commands.report_firmware_status, request=commands.FirmwareUpgradeStatusRequest,
        service=Service.FIRMWARE,
        summary="Report the progress of a firmware upgrade", tag=_FIRMWARE,
        description="From download to success or failure.",
    ),
)  # fmt: skip
