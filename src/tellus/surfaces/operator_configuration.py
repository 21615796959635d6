"""Configuration profiles on the operator's surface."""

from functools import partial
from typing import Final

from tellus.configuration import operator_api as profiles
from tellus.configuration import operator_api_devices as devices
from tellus.consent.model import Service
from tellus.kernel.call import Audience
from tellus.kernel.paging import Page, PageQuery
from tellus.surfaces.routes import LimitClass, Route

_PROFILES: Final = "/v1/operator/config-profiles"
_PROFILE: Final = _PROFILES + "/{profile_id}"
_DEVICE: Final = "/v1/operator/devices/{device_id}/config-profile"
_TAG: Final = "Operator: configuration"

_query = partial(
    Route, "GET", audience=Audience.OPERATOR, scope="read", limit=LimitClass.QUERIES, tag=_TAG
)
_change = partial(
    Route, audience=Audience.OPERATOR, scope="write", limit=LimitClass.CONTROL, tag=_TAG
)

OPERATOR_CONFIGURATION_ROUTES: Final[tuple[Route, ...]] = (
    _query(
        _PROFILES, "listConfigProfiles", profiles.list_config_profiles,
        query=profiles.ConfigProfilesQuery, response=Page[profiles.ConfigProfileItem],
        summary="List configuration profiles",
        description="The operator's profiles, oldest first, without their values.",
    ),
    _change(
        "POST", _PROFILES, "createConfigProfile", profiles.create_config_profile,
        request=profiles.CreateConfigProfileRequest, response=profiles.ConfigProfileResponse,
        summary="Create a configuration profile",
        description="Values that chargers are to run, at most 16 KiB of JSON, with the hash they"
        " are known by: the SHA-256 of their canonical JSON. Nobody runs it until it is assigned.",
    ),
    _query(
        _PROFILE, "getConfigProfile", profiles.get_config_profile,
        response=profiles.ConfigProfileResponse,
        summary="Get a configuration profile", description="With its values.",
    ),
    _change(
        "PATCH", _PROFILE, "updateConfigProfile", profiles.change_config_profile,
        request=profiles.ChangeConfigProfileRequest, response=profiles.ConfigProfileResponse,
        summary="Change a configuration profile",
        description="Other values are a new version with another hash. Devices keep the version"
        " that they were assigned until the profile is assigned to them again.",
    ),
    _change(
        "DELETE", _PROFILE, "deleteConfigProfile", profiles.delete_config_profile,
        summary="Delete a configuration profile",
        description="409 with `details.reason` `assigned` while devices are assigned it.",
    ),
    _query(
        f"{_PROFILE}/versions", "listConfigProfileVersions", profiles.list_config_versions,
        query=PageQuery, response=Page[profiles.ConfigVersionItem],
        summary="List the versions of a profile", description="Newest first, with their values.",
    ),
    _query(
        f"{_PROFILE}/devices", "listConfigProfileDevices", devices.list_config_devices,
        query=devices.ConfigDevicesQuery, response=Page[devices.DeviceConfigResponse],
        service=Service.DIAGNOSTICS,
        summary="List the devices of a profile",
        description="Each with what it was assigned and says it runs; `state=drifted` for those"
        " that run something else.",
    ),
    _query(
        _DEVICE, "getDeviceConfigProfile", devices.get_device_config,
        response=devices.DeviceConfigResponse,
        service=Service.DIAGNOSTICS,
        summary="Compare a device's configuration",
        description="What it was assigned, what it says it runs, and how the two compare.",
    ),
    _change(
        "PUT", _DEVICE, "assignConfigProfile", devices.assign_device_config,
        request=devices.AssignConfigProfileRequest, response=devices.ConfigQueuedResponse,
        service=Service.DIAGNOSTICS,
        summary="Assign a configuration profile",
        description="Replaces any before, and queues `apply_config_profile` for the charger. 409"
        " with `details.reason` `model_mismatch` where the profile is for other models.",
    ),
    _change(
        "DELETE", _DEVICE, "unassignConfigProfile", devices.unassign_device_config,
        service=Service.DIAGNOSTICS,
        summary="Take a configuration profile away",
        description="The charger goes on running what it runs; what is still queued is given up.",
    ),
    _change(
        "POST", f"{_DEVICE}/apply", "applyConfigProfile", devices.apply_device_config,
        response=devices.ConfigQueuedResponse,
        service=Service.DIAGNOSTICS,
        summary="Apply the assigned profile again",
        description="Queues `apply_config_profile` once more, with the version that was assigned."
        " 409 with `details.reason` `nothing_assigned` where there is none.",
    ),
    _change(
        "PUT", "/v1/operator/sites/{site_id}/config-profile", "assignSiteConfigProfile",
        devices.assign_site_config, limit=LimitClass.BATCH_CONTROL,
        request=devices.AssignSiteConfigRequest, response=devices.SiteConfigResponse,
        service=Service.DIAGNOSTICS, sifts=True,
        summary="Assign a configuration profile to a site",
        description="To each device that is there now and whose model it is for; says of each what"
        " came of it.",
    ),
)  # fmt: skip
