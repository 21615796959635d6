"""Firmware on the operator's surface: releases, upgrades of one device, rollouts."""

from functools import partial
from typing import Final

from tellus.consent.model import Service
from tellus.firmware import operator_api as firmware
from tellus.firmware import operator_api_rollouts as rollouts
from tellus.kernel.call import Audience
from tellus.kernel.paging import Page
from tellus.surfaces.routes import LimitClass, Route

_ROLLOUT: Final = "/v1/operator/firmware/rollouts/{rollout_id}"

_query = partial(
    Route, "GET", audience=Audience.OPERATOR, scope="read", limit=LimitClass.QUERIES,
    tag="Operator: firmware",
)  # fmt: skip
_control = partial(
    Route, "POST", audience=Audience.OPERATOR, scope="write", limit=LimitClass.CONTROL,
    tag="Operator: firmware",
)  # fmt: skip

OPERATOR_FIRMWARE_ROUTES: Final[tuple[Route, ...]] = (
    _query(
        "/v1/operator/firmware/releases", "listFirmwareReleases", firmware.list_releases,
        query=firmware.ReleasesQuery, response=Page[firmware.ReleaseItem],
        summary="List firmware releases",
        description="What chargers may be upgraded to, newest version first; the two schemes of"
        " versions have no order between them.",
    ),
    _query(
        "/v1/operator/firmware/models", "listFirmwareStandings", firmware.list_model_standings,
        response=firmware.ModelStandingsResponse,
        service=Service.FIRMWARE, sifts=True,
        summary="See which models are behind",
        description="The operator's devices by model, against its latest stable release.",
    ),
    _control(
        "/v1/operator/devices/{device_id}/firmware", "upgradeFirmware", firmware.upgrade_firmware,
        request=firmware.UpgradeRequest, response=firmware.UpgradeQueuedResponse,
        service=Service.FIRMWARE,
        summary="Upgrade a device's firmware",
        description="Queues an upgrade to a release of the device's model. 409 with"
        " `details.reason`: `no_release`, `release_withdrawn`, `already_current`, `newer` or"
        " `not_comparable` (both admitted by `allow_downgrade`), `conflicting_session` (unless"
        " `wait_for_idle`), `upgrade_under_way`, `in_rollout`. Goes to the audit log.",
    ),
    _query(
        "/v1/operator/devices/{device_id}/firmware", "getDeviceFirmware",
        firmware.get_device_firmware, response=firmware.DeviceFirmwareResponse,
        service=Service.FIRMWARE,
        summary="Get a device's firmware",
        description="What it runs, how far an upgrade is, and the last fifty upgrades.",
    ),
    _control(
        "/v1/operator/firmware/rollouts", "createRollout", rollouts.create_rollout,
        request=rollouts.RolloutRequest, response=rollouts.RolloutResponse,
        service=Service.FIRMWARE, sifts=True,
        summary="Roll a release out",
        description="Takes the devices that fit the cohort to a release, wave after wave. A wave"
        " that fails too often halts the rollout until a person resumes or rolls it back. Devices"
        " that cannot take part are listed as `skipped` with the reason.",
    ),
    _query(
        "/v1/operator/firmware/rollouts", "listRollouts", rollouts.list_rollouts,
        query=rollouts.RolloutsQuery, response=Page[rollouts.RolloutItem],
        summary="List rollouts", description="Newest first.",
    ),
    _query(
        _ROLLOUT, "getRollout", rollouts.get_rollout, response=rollouts.RolloutResponse,
        summary="Get a rollout",
        description="Its plan, how many devices of each wave are where, and why it halted.",
    ),
    _query(
        f"{_ROLLOUT}/devices", "listRolloutDevices", rollouts.list_rollout_devices,
        query=rollouts.RolloutDevicesQuery, response=Page[rollouts.RolloutDeviceItem],
        summary="List a rollout's devices",
        description="Each device with its wave, where it stands and why, in the rollout's order.",
    ),
    _control(
        f"{_ROLLOUT}/pause", "pauseRollout", rollouts.pause_rollout,
        response=rollouts.RolloutResponse, summary="Pause a rollout",
        description="Nothing more is sent, and what has not left is taken back.",
    ),
    _control(
        f"{_ROLLOUT}/resume", "resumeRollout", rollouts.resume_rollout,
        response=rollouts.RolloutResponse, summary="Resume a rollout",
        description="Goes on after a pause or a halt; failures so far count no more.",
    ),
    _control(
        f"{_ROLLOUT}/rollback", "rollBackRollout", rollouts.roll_back_rollout,
        response=rollouts.RolloutResponse, summary="Roll a rollout back",
        description="Ends the rollout and sends those that run the new version what they ran"
        " before, or the `rollback_version` of the plan.",
    ),
    _control(
        f"{_ROLLOUT}/cancel", "cancelRollout", rollouts.cancel_rollout,
        response=rollouts.RolloutResponse, summary="Cancel a rollout",
        description="Ends the rollout where it stands; upgrades under way are followed to their"
        " end.",
    ),
)  # fmt: skip
