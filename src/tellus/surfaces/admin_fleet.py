"""The fleet's part of the administration surface: sites, provisioning and devices."""

from functools import partial
from typing import Final

from tellus.fleet import admin_api as fleet
from tellus.fleet import admin_api_lifecycle as lifecycle
from tellus.kernel.call import Audience
from tellus.kernel.paging import Page
from tellus.surfaces.routes import Route

_site_query = partial(Route, "GET", audience=Audience.ADMIN, scope="site:read", tag="Admin: sites")
_site_change = partial(Route, audience=Audience.ADMIN, scope="site:write", tag="Admin: sites")
_device_query = partial(
    Route, "GET", audience=Audience.ADMIN, scope="device:read", tag="Admin: devices"
)
_device_change = partial(Route, audience=Audience.ADMIN, scope="device:write", tag="Admin: devices")

FLEET_ADMIN_ROUTES: Final[tuple[Route, ...]] = (
    _site_query(
        "/v1/admin/sites", "adminListSites", fleet.list_sites,
        query=fleet.AdminSitesQuery, response=Page[fleet.AdminSiteItem],
        summary="List sites", description="Of one operator or of all, oldest first.",
    ),
    _site_change(
        "POST", "/v1/admin/sites", "createSite", fleet.create_site,
        request=fleet.CreateSiteRequest, response=fleet.AdminSiteItem,
        summary="Create a site",
    ),
    _site_query(
        "/v1/admin/sites/{site_id}", "adminGetSite", fleet.get_site,
        response=fleet.AdminSiteItem,
        summary="Read a site",
    ),
    _site_change(
        "PATCH", "/v1/admin/sites/{site_id}", "updateSite", fleet.change_site,
        request=fleet.ChangeSiteRequest, response=fleet.AdminSiteItem,
        summary="Change a site",
        description="What is left out stays as it is; null takes an optional value away.",
    ),
    _device_query(
        "/v1/admin/devices", "adminListDevices", fleet.list_devices,
        query=fleet.AdminDevicesQuery, response=Page[fleet.AdminDeviceItem],
        summary="List devices", description="Of one operator or of all, as they registered.",
    ),
    _device_change(
        "POST", "/v1/admin/devices/provision", "provisionDevice", fleet.provision_device,
        request=fleet.ProvisionRequest, response=fleet.EnrolmentResponse,
        secret=True, summary="Provision a serial number",
        description="Lets a site expect a charger. The enrolment token is shown in this answer and"
        " never again; provisioning the serial number anew makes another one.",
    ),
    _device_query(
        "/v1/admin/provisionings", "listProvisionings", fleet.list_provisionings,
        query=fleet.ProvisioningsQuery, response=Page[fleet.ProvisioningItem],
        summary="List provisioned serial numbers",
        description="What sites expect, by serial number, with the device that came of it.",
    ),
    _device_change(
        "DELETE", "/v1/admin/provisionings/{sn}", "withdrawProvisioning",
        fleet.withdraw_provisioning,
        summary="Withdraw a provisioning",
        description="The serial number is expected no longer; a device that it became stays.",
    ),
    _device_query(
        "/v1/admin/devices/{device_id}", "adminGetDevice", fleet.get_device,
        response=fleet.AdminDeviceItem,
        summary="Read a device",
    ),
    _device_change(
        "PATCH", "/v1/admin/devices/{device_id}", "updateDevice", fleet.change_device,
        request=fleet.ChangeDeviceRequest, response=fleet.AdminDeviceItem,
        summary="Change a device",
        description="Moves it to a site, also of another operator, or sets its rated power (kW) and"
        " whether it can discharge. Its credentials stay good.",
    ),
    _device_query(
        "/v1/admin/devices/{device_id}/lifecycle", "getDeviceLifecycle",
        lifecycle.get_device_lifecycle, response=lifecycle.DeviceLifecycleResponse,
        summary="Read a device's life",
        description="Since when it is in use, its warranty, its batch.",
    ),
    _device_change(
        "PATCH", "/v1/admin/devices/{device_id}/lifecycle", "updateDeviceLifecycle",
        lifecycle.change_device_lifecycle,
        request=lifecycle.ChangeLifecycleRequest, response=lifecycle.DeviceLifecycleResponse,
        summary="Change a device's life",
        description="What is left out stays as it is; null takes a value away. The activation date"
        " is noted by itself when a charger first uses its secret.",
    ),
    _device_change(
        "DELETE", "/v1/admin/devices/{device_id}", "deleteDevice", fleet.delete_device,
        summary="Delete a device",
        description="Ends its credentials at once. Records and telemetry stay as long as they are"
        " kept; its serial number may register again as another device.",
    ),
    _device_change(
        "POST", "/v1/admin/devices/{device_id}/reclaim", "openReclaim", fleet.reclaim_device,
        request=fleet.ReclaimRequest, response=fleet.EnrolmentResponse, optional_body=True,
        secret=True, summary="Open a re-claim window",
        description="Lets an active charger that lost its secret register again with the token of"
        " this answer. Its present secrets work until the new one is used, and a day longer.",
    ),
)  # fmt: skip
