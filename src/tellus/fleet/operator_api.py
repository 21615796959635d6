"""The fleet as operators see it: sites, devices with their connectors, device events."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from tellus.consent.model import Service, services_in
from tellus.fleet.directory import Connector
from tellus.fleet.model import FAULT_KEYS, EventFilter, EventType, Presence, StoredEvent
from tellus.fleet.model_health_form import ComponentHealthForm, write_form
from tellus.fleet.operator_api_metadata import (
    METADATA,
    ConnectivityItem,
    LifecycleItem,
    ProductItem,
    metadata_fields,
    read_includes,
)
from tellus.fleet.queries import DeviceFilter, DeviceView, FleetQueries, SiteSummary
from tellus.kernel.call import Call, Nothing
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.permits import EVERYTHING
from tellus.kernel.spans import read_span
from tellus.kernel.units import SECOND_MS, to_text

Word = Annotated[str, Meta(min_length=1, max_length=128)]

NewestHealth: TypeAlias = ComponentHealthForm | UnsetType
"""What a connector said last of the charger's parts, as far as is known here."""

_INCLUDES: Final = METADATA | {"events"}
_DIGITS_KW: Final = 6
_FAULT_HREF: Final = "/v1/operator/faults/{}"


class SitesQuery(PageQuery, frozen=True, kw_only=True):
    """Which sites to list."""

    status: Literal["active", "inactive"] | UnsetType = UNSET


class DeviceListQuery(PageQuery, frozen=True, kw_only=True):
    """Which devices to list; what is left out admits all."""

    site_id: Word | UnsetType = UNSET
    status: Presence | UnsetType = UNSET
    model: Word | UnsetType = UNSET
    firmware_version: Word | UnsetType = UNSET
    sn: Word | UnsetType = UNSET


class DevicesQuery(DeviceListQuery, frozen=True, kw_only=True):
    """Which of the own devices to list; ``include`` as for one device, without ``events``."""

    include: Annotated[str, Meta(max_length=128)] | UnsetType = UNSET


class DeviceQuery(msgspec.Struct, frozen=True):
    """What to show beside the device, separated by commas.

    ``events`` for its 10 newest events, ``product`` for what its model is known for,
    ``connectivity`` for how it is connected, ``lifecycle`` for since when it is in use.
    """

    include: Annotated[str, Meta(max_length=128)] | UnsetType = UNSET


class EventsQuery(PageQuery, frozen=True, kw_only=True):
    """Which events: ``fault_code`` in any form, times are ``[start_time, end_time)``."""

    event_type: EventType | UnsetType = UNSET
    fault_code: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    start_time: datetime | UnsetType = UNSET
    end_time: datetime | UnsetType = UNSET


class LocationItem(msgspec.Struct, frozen=True):
    """Degrees, WGS 84."""

    lat: Annotated[float, Meta(ge=-90, le=90)]
    lng: Annotated[float, Meta(ge=-180, le=180)]


class StatusSummary(msgspec.Struct, frozen=True):
    """Connectors by state; those of offline devices keep theirs and are ``offline`` besides."""

    idle: int
    charging: int
    fault: int
    discharging: int
    unavailable: int
    offline: int


class SiteItem(msgspec.Struct, frozen=True, kw_only=True):
    """A site; ``power_capacity`` in kW as given, else the sum of its devices' known ratings."""

    site_id: str
    name: str
    address: str | UnsetType = UNSET
    location: LocationItem | UnsetType = UNSET
    total_connectors: int
    status_summary: StatusSummary
    power_capacity: float | UnsetType = UNSET
    created_at: str
    status: Literal["active", "inactive"]
    timezone: str
    region: str


class ConnectorItem(msgspec.Struct, frozen=True, kw_only=True):
    """A connector with its newest reading: kW, V, A, kWh of the session, %, °C.

    ``detail_state`` is the charger's own word where it says more than ``status``.
    ``component_health`` is what it said last of its parts.
    """

    connector_id: int
    status: str
    power: float | UnsetType = UNSET
    voltage: float | UnsetType = UNSET
    current: float | UnsetType = UNSET
    energy_delivered: float | UnsetType = UNSET
    soc: int | UnsetType = UNSET
    temperature: float | UnsetType = UNSET
    last_telemetry_time: str | UnsetType = UNSET
    detail_state: str | UnsetType = UNSET
    component_health: NewestHealth = UNSET


class EventItem(msgspec.Struct, frozen=True, kw_only=True):
    """An event; ``data`` as sent, ``fault_key`` the dictionary's form of its fault code.

    ``fault_href`` leads to the dictionary's entry, where it has one.

    Without ``connector_id`` it is about the device as a whole. ``origin`` says who raised it.
    """

    event_type: str
    timestamp: str
    received_at: str
    origin: str
    connector_id: int | UnsetType = UNSET
    fault_key: str | UnsetType = UNSET
    fault_href: str | UnsetType = UNSET
    clock_suspect: bool | UnsetType = UNSET
    data: msgspec.Raw


ConsentState = Literal["none", "partial", "full"]


class DeviceConsentItem(msgspec.Struct, frozen=True, kw_only=True):
    """What the owner of a device has agreed to; ``state`` is ``none``, ``partial`` or ``full``."""

    state: ConsentState
    services: list[Service]


class DeviceItem(msgspec.Struct, frozen=True, kw_only=True):
    """A device. Rated power in kW; ``clock_offset`` is how far its clock ran ahead, in seconds.

    ``health`` is ``fault`` while its heartbeats report one, with the code in ``fault_code``. Where
    consent is required ``consent`` says what there is of it, and ``needs_firmware`` what the device
    has to run before there can be more; without ``diagnostics`` no connector and no fault is shown.
    """

    device_id: str
    sn: str
    model: str
    manufacturer: str
    firmware_version: str
    status: Presence
    connectors: list[ConnectorItem]
    last_heartbeat: str | UnsetType = UNSET
    site_id: str
    health: Literal["ok", "fault"]
    fault_code: int | str | UnsetType = UNSET
    fault_key: str | UnsetType = UNSET
    online_since: str | UnsetType = UNSET
    offline_since: str | UnsetType = UNSET
    last_seen: str | UnsetType = UNSET
    clock_offset: float | UnsetType = UNSET
    rated_power: float | UnsetType = UNSET
    v2g: bool
    mac: str | UnsetType = UNSET
    created_at: str
    events: list[EventItem] | UnsetType = UNSET
    product: ProductItem | UnsetType = UNSET
    connectivity: ConnectivityItem | UnsetType = UNSET
    lifecycle: LifecycleItem | UnsetType = UNSET
    consent: DeviceConsentItem | UnsetType = UNSET
    needs_firmware: str | UnsetType = UNSET


async def list_sites(fleet: FleetQueries, call: Call[Nothing, SitesQuery]) -> Page[SiteItem]:
    """List the operator's sites, oldest first."""
    query = call.query
    active = None if query.status is UNSET else query.status == "active"
    total, sites = await fleet.list_sites(
        call.principal.operator_id, (query.offset, query.size), call.now_ms, active=active
    )
    return Page(total, query.page, query.size, [site_item(site) for site in sites])


async def get_site(fleet: FleetQueries, call: Call[Nothing, Nothing]) -> SiteItem:
    """Return a site of the operator."""
    site_id = call.path["site_id"]
    return site_item(await fleet.get_site(site_id, call.principal.operator_id, call.now_ms))


async def list_devices(fleet: FleetQueries, call: Call[Nothing, DevicesQuery]) -> Page[DeviceItem]:
    """List the operator's devices in order of registration."""
    query = call.query
    includes = read_includes(query.include, METADATA)
    wanted = device_filter(query, call.principal.operator_id)
    total, devices = await fleet.list_devices(wanted, query.offset, query.size, call.now_ms)
    items = await _device_items(fleet, devices, includes, call.now_ms)
    return Page(total, query.page, query.size, items)


async def get_device(fleet: FleetQueries, call: Call[Nothing, DeviceQuery]) -> DeviceItem:
    """Return a device of the operator with its connectors."""
    includes = read_includes(call.query.include, _INCLUDES)
    view = fleet.get_device(call.path["device_id"], call.principal.operator_id, call.now_ms)
    (item,) = await _device_items(fleet, [view], includes, call.now_ms)
    if "events" in includes and view.is_diagnosed:
        events = await fleet.newest_events(view.device, call.principal.vin_mode)
        item = replace(item, events=[event_item(event) for event in events])
    return item


async def list_device_events(
    fleet: FleetQueries, call: Call[Nothing, EventsQuery]
) -> Page[EventItem]:
    """List the events of a device of the operator, newest first."""
    query = call.query
    from_ms, to_time_ms = read_span(query.start_time, query.end_time)
    event_type = None if query.event_type is UNSET else query.event_type.value
    wanted = EventFilter(event_type, query.fault_code or None, from_ms, to_time_ms)
    total, events = await fleet.list_events(
        call.path["device_id"],
        call.principal.operator_id,
        wanted,
        (query.offset, query.size),
        call.principal.vin_mode,
    )
    return Page(total, query.page, query.size, [event_item(event) for event in events])


def device_filter(query: DeviceListQuery, operator_id: str | None) -> DeviceFilter:
    """Return the filter that a query asks for."""
    return DeviceFilter(
        operator_id,
        query.site_id or None,
        query.status or None,
        query.model or None,
        query.firmware_version or None,
        query.sn or None,
    )


def site_item(summary: SiteSummary) -> SiteItem:
    """Return a site as it goes out."""
    site, counts = summary.site, summary.counts
    known_place = site.lat is not None and site.lng is not None
    capacity_kw = summary.power_capacity_kw
    return SiteItem(
        site_id=site.site_id,
        name=site.name,
        address=site.address or UNSET,
        location=LocationItem(site.lat or 0.0, site.lng or 0.0) if known_place else UNSET,
        total_connectors=sum(counts.values()),
        status_summary=StatusSummary(**counts, offline=summary.offline),
        power_capacity=UNSET if capacity_kw is None else round(capacity_kw, _DIGITS_KW),
        created_at=to_text(site.created_ms),
        status="active" if site.active else "inactive",
        timezone=site.timezone,
        region=site.region,
    )


def device_item(view: DeviceView) -> DeviceItem:
    """Return a device as it goes out; what is not known is left out."""
    device = view.device
    offset_ms = device.clock_offset_ms
    since = _text(view.since_ms)
    shown = sorted(device.connectors) if view.is_diagnosed else ()
    code = device.fault_code if view.fault_key and view.is_diagnosed else None
    return DeviceItem(
        device_id=device.device_id,
        sn=device.sn,
        model=device.model,
        manufacturer=device.manufacturer,
        firmware_version=device.firmware_version,
        status=Presence.ONLINE if view.online else Presence.OFFLINE,
        connectors=[connector_item(device.connectors[number]) for number in shown],
        last_heartbeat=_text(view.last_heartbeat_ms),
        site_id=device.site_id,
        health="fault" if view.faulty and view.is_diagnosed else "ok",
        fault_code=code or UNSET,
        fault_key=(view.fault_key or UNSET) if code else UNSET,
        online_since=since if view.online else UNSET,
        offline_since=UNSET if view.online else since,
        last_seen=_text(device.seen_ms or None),
        clock_offset=UNSET if offset_ms is None else offset_ms / SECOND_MS,
        rated_power=UNSET if view.rated_power_kw is None else view.rated_power_kw,
        v2g=view.v2g,
        mac=device.mac or UNSET,
        created_at=to_text(device.created_ms),
        consent=_consent_item(view.services),
        needs_firmware=view.needed_firmware or UNSET,
    )


def _consent_item(services: int) -> DeviceConsentItem | UnsetType:
    return UNSET if services == EVERYTHING else _CONSENTS[services]


def _make_consent_item(services: int) -> DeviceConsentItem:
    agreed = services_in(services)
    state: ConsentState = "full" if len(agreed) == len(Service) else "partial" if agreed else "none"
    return DeviceConsentItem(state=state, services=agreed)


_CONSENTS: Final = tuple(map(_make_consent_item, range(2 ** len(Service))))
"""What can be agreed to, by the bits of its services."""


def connector_item(connector: Connector) -> ConnectorItem:
    """Return a connector as it goes out; before its first reading it is idle and no more."""
    reading = connector.reading
    if reading is None:
        return ConnectorItem(connector_id=connector.connector_id, status=connector.state)
    return ConnectorItem(
        connector_id=connector.connector_id,
        status=connector.state,
        power=reading.power_kw,
        voltage=reading.voltage_v,
        current=reading.current_a,
        energy_delivered=reading.energy_kwh,
        soc=UNSET if reading.soc_pct is None else reading.soc_pct,
        temperature=UNSET if reading.temperature_c is None else reading.temperature_c,
        last_telemetry_time=to_text(connector.time_ms),
        detail_state=reading.detail_state or UNSET,
        component_health=newest_health(connector),
    )


def newest_health(connector: Connector) -> NewestHealth:
    """Return what a connector said last of the charger's parts, as it goes out."""
    return UNSET if connector.health is None else write_form(connector.health)


def event_item(event: StoredEvent) -> EventItem:
    """Return an event as it goes out."""
    return EventItem(
        event_type=event.event_type,
        timestamp=to_text(event.time_ms),
        received_at=to_text(event.received_ms),
        origin=event.origin,
        connector_id=event.connector_id or UNSET,
        fault_key=event.fault_key or UNSET,
        fault_href=_FAULT_HREF.format(event.fault_key) if event.fault_key in FAULT_KEYS else UNSET,
        clock_suspect=event.clock_suspect or UNSET,
        data=msgspec.Raw(event.data.encode()),
    )


async def _device_items(
    fleet: FleetQueries, views: Sequence[DeviceView], includes: frozenset[str], now_ms: int
) -> list[DeviceItem]:
    """Return devices as they go out, with what was asked for beside them."""
    if not includes & METADATA:
        return [device_item(view) for view in views]
    known = await fleet.read_metadata(views)
    return [
        replace(
            device_item(view),
            **metadata_fields(view, known[view.device.device_no], includes, now_ms),
        )
        for view in views
    ]


def _text(time_ms: int | None) -> str | UnsetType:
    return UNSET if time_ms is None else to_text(time_ms)
