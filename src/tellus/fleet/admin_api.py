"""The fleet on the administration surface: sites, provisioning, re-claim windows, devices."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.audit.model import Actor
from tellus.fleet.administration import DeviceAdministration, DeviceChange, Enrolment
from tellus.fleet.device_api import SerialNumber, Word
from tellus.fleet.model import ConnectorId, PowerKw, Provisioning, Site
from tellus.fleet.operator_api import (
    DeviceItem,
    DeviceListQuery,
    LocationItem,
    SiteItem,
    SitesQuery,
    device_filter,
    device_item,
    site_item,
)
from tellus.fleet.queries import DeviceView, FleetQueries, SiteSummary
from tellus.fleet.sites import SiteAdministration
from tellus.kernel.call import Call, Nothing
from tellus.kernel.ids import new_id
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.units import DAY_MS, SECOND_MS, to_text

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Address = Annotated[str, Meta(max_length=500)]
Zone = Annotated[str, Meta(min_length=1, max_length=64)]
SiteStatus = Literal["active", "inactive"]
WindowS = Annotated[int, Meta(ge=1, le=10 * 366 * 86_400)]

CLAIM_WINDOW_MS = 365 * DAY_MS
RECLAIM_WINDOW_S = 86_400


class AdminSitesQuery(SitesQuery, frozen=True, kw_only=True):
    """Which sites to list, of one operator or of all."""

    operator_id: Word | UnsetType = UNSET


class AdminDevicesQuery(DeviceListQuery, frozen=True, kw_only=True):
    """Which devices to list, of one operator or of all."""

    operator_id: Word | UnsetType = UNSET


class ProvisioningsQuery(PageQuery, frozen=True, kw_only=True):
    """Which provisionings to list."""

    operator_id: Word | UnsetType = UNSET
    site_id: Word | UnsetType = UNSET


class CreateSiteRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A new site; ``power_capacity`` in kW, ``timezone`` an IANA name."""

    operator_id: Word
    name: Name
    address: Address | UnsetType = UNSET
    location: LocationItem | UnsetType = UNSET
    timezone: Zone = "UTC"
    region: Annotated[str, Meta(min_length=1, max_length=32)] | UnsetType = UNSET
    power_capacity: PowerKw | UnsetType = UNSET
    status: SiteStatus = "active"


class ChangeSiteRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of a site; null takes an optional value away."""

    name: Name | UnsetType = UNSET
    address: Address | UnsetType | None = UNSET
    location: LocationItem | UnsetType | None = UNSET
    timezone: Zone | UnsetType = UNSET
    power_capacity: PowerKw | UnsetType | None = UNSET
    status: SiteStatus | UnsetType = UNSET


class AdminSiteItem(SiteItem, frozen=True, kw_only=True):
    """A site, and whose it is."""

    operator_id: str


class ProvisionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A serial number to expect; what is given here goes before what its model is known for.

    ``claim_window_s`` is how long it may be claimed, a year where it is left out.
    """

    sn: SerialNumber
    site_id: Word
    model: Word | UnsetType = UNSET
    connectors: ConnectorId | UnsetType = UNSET
    rated_power_kw: PowerKw | UnsetType = UNSET
    v2g: bool | UnsetType = UNSET
    claim_window_s: WindowS | UnsetType = UNSET


class EnrolmentResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The enrolment token, told this once: a bearer for register, or ``/e/<token>`` in its URL."""

    sn: str
    site_id: str
    operator_id: str
    enrolment_token: str
    claim_until: str | UnsetType = UNSET


class ProvisioningItem(msgspec.Struct, frozen=True, kw_only=True):
    """A serial number that is expected, and the device it became."""

    sn: str
    site_id: str
    operator_id: str
    model: str | UnsetType = UNSET
    connectors: int | UnsetType = UNSET
    rated_power_kw: float | UnsetType = UNSET
    v2g: bool | UnsetType = UNSET
    claim_from: str
    claim_until: str | UnsetType = UNSET
    created_at: str
    device_id: str | UnsetType = UNSET


class ReclaimRequest(msgspec.Struct, frozen=True, kw_only=True):
    """For how long the device may register again; a day where it is left out."""

    window_s: WindowS = RECLAIM_WINDOW_S


class ChangeDeviceRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of a device; null takes a value away, so that its model's counts again."""

    site_id: Word | UnsetType = UNSET
    rated_power_kw: PowerKw | UnsetType | None = UNSET
    v2g: bool | UnsetType | None = UNSET


class AdminDeviceItem(DeviceItem, frozen=True, kw_only=True):
    """A device, whose it is, and whether its registration is finished."""

    operator_id: str
    registration: Literal["pending", "active"]


async def list_sites(
    fleet: FleetQueries, call: Call[Nothing, AdminSitesQuery]
) -> Page[AdminSiteItem]:
    """List sites, oldest first."""
    query = call.query
    active = None if query.status is UNSET else query.status == "active"
    total, sites = await fleet.list_sites(
        query.operator_id or None, (query.offset, query.size), call.now_ms, active=active
    )
    return Page(total, query.page, query.size, [_site(site) for site in sites])


async def get_site(fleet: FleetQueries, call: Call[Nothing, Nothing]) -> AdminSiteItem:
    """Return a site."""
    return _site(await fleet.get_site(call.path["site_id"], None, call.now_ms))


async def create_site(
    sites: SiteAdministration, call: Call[CreateSiteRequest, Nothing]
) -> AdminSiteItem:
    """Create a site of an operator."""
    body = call.body
    location = body.location or None
    site = Site(
        site_id=new_id("site"),
        operator_id=body.operator_id,
        name=body.name,
        timezone=body.timezone,
        region=body.region or sites.region,
        active=body.status == "active",
        created_ms=call.now_ms,
        address=body.address or None,
        lat=location.lat if location else None,
        lng=location.lng if location else None,
        power_capacity_kw=body.power_capacity or None,
    )
    return _site(await sites.summarise(await sites.create_site(site, _actor(call)), call.now_ms))


async def change_site(
    sites: SiteAdministration, call: Call[ChangeSiteRequest, Nothing]
) -> AdminSiteItem:
    """Change a site."""
    body = call.body
    changes: dict[str, Any] = {
        "name": body.name,
        "address": body.address,
        "timezone": body.timezone,
        "power_capacity_kw": body.power_capacity,
    }
    if body.status is not UNSET:
        changes["active"] = body.status == "active"
    if body.location is not UNSET:
        changes["lat"] = body.location.lat if body.location else None
        changes["lng"] = body.location.lng if body.location else None
    given = {name: value for name, value in changes.items() if value is not UNSET}
    site = await sites.change_site(call.path["site_id"], given, _actor(call), call.now_ms)
    return _site(await sites.summarise(site, call.now_ms))


async def provision_device(
    fleet: DeviceAdministration, call: Call[ProvisionRequest, Nothing]
) -> EnrolmentResponse:
    """Let a site expect a serial number."""
    body, now_ms = call.body, call.now_ms
    window_ms = CLAIM_WINDOW_MS
    if body.claim_window_s is not UNSET:
        window_ms = body.claim_window_s * SECOND_MS
    wanted = Provisioning(
        sn=body.sn,
        operator_id="",
        site_id=body.site_id,
        claim_from_ms=now_ms,
        created_ms=now_ms,
        model=body.model or None,
        connectors=body.connectors or None,
        rated_power_kw=body.rated_power_kw or None,
        v2g=None if body.v2g is UNSET else body.v2g,
        claim_until_ms=now_ms + window_ms,
    )
    return _enrolment(await fleet.provision(wanted, _actor(call)))


async def list_provisionings(
    fleet: FleetQueries, call: Call[Nothing, ProvisioningsQuery]
) -> Page[ProvisioningItem]:
    """List what sites expect, by serial number."""
    query = call.query
    total, found = await fleet.list_provisionings(
        query.operator_id or None, query.site_id or None, query.offset, query.size
    )
    return Page(total, query.page, query.size, [_provisioning(*pair) for pair in found])


async def withdraw_provisioning(fleet: DeviceAdministration, call: Call[Nothing, Nothing]) -> None:
    """Let a serial number be expected no longer."""
    await fleet.withdraw(call.path["sn"], _actor(call), call.now_ms)


async def reclaim_device(
    fleet: DeviceAdministration, call: Call[ReclaimRequest, Nothing]
) -> EnrolmentResponse:
    """Open a window in which an active device may register again."""
    device_id, window_s = call.path["device_id"], call.body.window_s
    return _enrolment(await fleet.open_reclaim(device_id, window_s, _actor(call), call.now_ms))


async def list_devices(
    fleet: FleetQueries, call: Call[Nothing, AdminDevicesQuery]
) -> Page[AdminDeviceItem]:
    """List devices in order of registration."""
    query = call.query
    wanted = device_filter(query, query.operator_id or None)
    total, devices = await fleet.list_devices(wanted, query.offset, query.size, call.now_ms)
    return Page(total, query.page, query.size, [_device(device) for device in devices])


async def get_device(fleet: FleetQueries, call: Call[Nothing, Nothing]) -> AdminDeviceItem:
    """Return a device."""
    return _device(fleet.get_device(call.path["device_id"], None, call.now_ms))


async def change_device(
    fleet: DeviceAdministration, call: Call[ChangeDeviceRequest, Nothing]
) -> AdminDeviceItem:
    """Move a device to another site, or set its figures."""
    body, device_id = call.body, call.path["device_id"]
    device = fleet.get_device(device_id, call.now_ms).device
    change = DeviceChange(
        body.site_id or device.site_id,
        device.rated_power_kw if body.rated_power_kw is UNSET else body.rated_power_kw,
        device.v2g if body.v2g is UNSET else body.v2g,
    )
    await fleet.change_device(device_id, change, _actor(call), call.now_ms)
    return _device(fleet.get_device(device_id, call.now_ms))


async def delete_device(fleet: DeviceAdministration, call: Call[Nothing, Nothing]) -> None:
    """Let a device exist no longer; its history stays in the store."""
    await fleet.delete_device(call.path["device_id"], _actor(call), call.now_ms)


def _actor(call: Call[Any, Any]) -> Actor:
    principal = call.principal
    return Actor(principal.principal_id, call.request_id or None, principal.scopes)


def _site(summary: SiteSummary) -> AdminSiteItem:
    fields = msgspec.structs.asdict(site_item(summary))
    return AdminSiteItem(**fields, operator_id=summary.site.operator_id)


def _device(view: DeviceView) -> AdminDeviceItem:
    return AdminDeviceItem(
        **msgspec.structs.asdict(device_item(view)),
        operator_id=view.device.operator_id,
        registration="active" if view.device.active else "pending",
    )


def _enrolment(enrolment: Enrolment) -> EnrolmentResponse:
    provisioning = enrolment.provisioning
    until_ms = provisioning.claim_until_ms
    return EnrolmentResponse(
        sn=provisioning.sn,
        site_id=provisioning.site_id,
        operator_id=provisioning.operator_id,
        enrolment_token=enrolment.token,
        claim_until=UNSET if until_ms is None else to_text(until_ms),
    )


def _provisioning(provisioning: Provisioning, device_id: str | None) -> ProvisioningItem:
    until_ms = provisioning.claim_until_ms
    return ProvisioningItem(
        sn=provisioning.sn,
        site_id=provisioning.site_id,
        operator_id=provisioning.operator_id,
        model=provisioning.model or UNSET,
        connectors=provisioning.connectors or UNSET,
        rated_power_kw=provisioning.rated_power_kw or UNSET,
        v2g=UNSET if provisioning.v2g is None else provisioning.v2g,
        claim_from=to_text(provisioning.claim_from_ms),
        claim_until=UNSET if until_ms is None else to_text(until_ms),
        created_at=to_text(provisioning.created_ms),
        device_id=device_id or UNSET,
    )
