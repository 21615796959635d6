"""What is asked of the fleet: answered from memory, with history from the store."""

import asyncio
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from msgspec.structs import replace

from tellus.consent.model import BIT, Service
from tellus.fleet import rules, rules_metadata, store, store_events, store_metadata
from tellus.fleet.catalogue import Catalogue, ChargerModel
from tellus.fleet.directory import Device, Directory
from tellus.fleet.events import open_event
from tellus.fleet.model import (
    ConnectorState,
    EventFilter,
    Presence,
    Provisioning,
    Site,
    StoredEvent,
)
from tellus.fleet.model_metadata import NO_LINK, ActivationStatus, Lifecycle, Metadata
from tellus.fleet.presence import PresenceWatch
from tellus.identity.vault import Vault
from tellus.kernel.errors import NotFound
from tellus.storage.database import Database, Tx

NEWEST_EVENTS: Final = 10
_SLICE: Final = 250
_UNKNOWN: Final = Metadata(NO_LINK, Lifecycle(), is_site_active=True)


class SiteSummary(NamedTuple):
    """A site and its connectors: counts by published state, and how many are offline besides.

    ``power_capacity_kw`` is what was given for the site, else the sum of the known ratings.
    """

    site: Site
    counts: dict[str, int]
    offline: int
    power_capacity_kw: float | None


class DeviceView(NamedTuple):
    """A device with what follows from its state at one moment; ``services`` are bits.

    ``model`` is None if it is unknown. ``needed_firmware`` is what it has to be upgraded to before
    its owner can agree to more.
    """

    device: Device
    online: bool
    since_ms: int | None
    faulty: bool
    fault_key: str | None
    rated_power_kw: float | None
    v2g: bool
    last_heartbeat_ms: int | None
    model: ChargerModel | None
    services: int
    needed_firmware: str | None

    @property
    def is_diagnosed(self) -> bool:
        """Tell whether its owner has agreed that its live state is shown."""
        return self.services & BIT[Service.DIAGNOSTICS] != 0


class DeviceFilter(NamedTuple):
    """Which devices are asked for; None admits all."""

    operator_id: str | None = None
    site_id: str | None = None
    presence: Presence | None = None
    model: str | None = None
    firmware_version: str | None = None
    sn: str | None = None


class FleetQueries:
    """Reads sites, devices and events; an operator sees its own and nothing else exists for it."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        catalogue: Catalogue,
        presence: PresenceWatch,
        vault: Vault,
    ) -> None:
        self._vault = vault
        self._database = database
        self._directory = directory
        self._catalogue = catalogue
        self._presence = presence

    async def list_sites(
        self,
        operator_id: str | None,
        page: tuple[int, int],
        now_ms: int,
        *,
        active: bool | None = None,
    ) -> tuple[int, list[SiteSummary]]:
        """Return how many sites match and a page (offset, size) of them, oldest first."""
        total, sites = await self._database.read(store.list_sites, operator_id, page, active=active)
        return total, [await self.summarise(site, now_ms) for site in sites]

    async def get_site(self, site_id: str, operator_id: str | None, now_ms: int) -> SiteSummary:
        """Return a site; ``operator_id`` None asks as an administrator.

        Raises:
            NotFound: absent, or another operator's.
        """
        return await self.summarise(await self._find_site(site_id, operator_id), now_ms)

    async def summarise(self, site: Site, now_ms: int) -> SiteSummary:
        """Return a site with the counts of its connectors at ``now_ms``."""
        counts = dict.fromkeys((state.value for state in ConnectorState), 0)
        offline = 0
        ratings_kw = []
        devices = self._directory.of_site(site.site_id)
        for start in range(0, len(devices), _SLICE):
            await asyncio.sleep(0)  # also before the first: a page has up to 100 small sites
            for device in devices[start : start + _SLICE]:
                ratings_kw.append(self._catalogue.rated_power_kw(device))
                if not device.allows(Service.DIAGNOSTICS, now_ms):
                    continue
                for connector in device.connectors.values():
                    counts[connector.state] += 1
                if not self._presence.is_online(device, now_ms):
                    offline += len(device.connectors)
        known_kw = [rating_kw for rating_kw in ratings_kw if rating_kw is not None]
        capacity_kw = site.power_capacity_kw
        if capacity_kw is None and known_kw:
            capacity_kw = sum(known_kw)
        return SiteSummary(site, counts, offline, capacity_kw)

    async def list_devices(
        self, wanted: DeviceFilter, offset: int, size: int, now_ms: int
    ) -> tuple[int, list[DeviceView]]:
        """Return how many devices match and a page of them, in order of registration.

        Raises:
            NotFound: the site asked for is absent, or another operator's.
        """
        if wanted.site_id is not None:
            await self._find_site(wanted.site_id, wanted.operator_id)
        found: list[Device] = []
        devices = self._candidates(wanted)
        for start in range(0, len(devices), _SLICE):
            if start:
                await asyncio.sleep(0)
            part = devices[start : start + _SLICE]
            found += [device for device in part if self._matches(device, wanted, now_ms)]
        found.sort(key=attrgetter("device_no"))
        page = [self._view(device, now_ms) for device in found[offset : offset + size]]
        return len(found), page

    def get_device(self, device_id: str, operator_id: str | None, now_ms: int) -> DeviceView:
        """Return a device; ``operator_id`` None asks as an administrator.

        Raises:
            NotFound: absent, or another operator's.
        """
        return self._view(self._find(device_id, operator_id), now_ms)

    async def read_metadata(self, views: Sequence[DeviceView]) -> dict[int, Metadata]:
        """Return what is known of devices beyond their operation, by their numbers."""
        device_nos = [view.device.device_no for view in views]
        found = await self._database.read(store_metadata.read_metadata, device_nos)
        return {device_no: found.get(device_no, _UNKNOWN) for device_no in device_nos}

    async def newest_events(self, device: Device, vin_mode: str) -> list[StoredEvent]:
        """Return the 10 newest events of a device whose times can be believed, newest first.

        What came before the device was its present operator's is not shown.
        """

        def read(tx: Tx) -> list[StoredEvent]:
            events = store_events.newest_events(
                tx, device.device_no, device.owned_since_ms, NEWEST_EVENTS
            )
            return [open_event(tx, self._vault, event, vin_mode) for event in events]

        return await self._database.read(read)

    async def list_events(
        self,
        device_id: str,
        operator_id: str | None,
        wanted: EventFilter,
        page: tuple[int, int],
        vin_mode: str,
    ) -> tuple[int, list[StoredEvent]]:
        """Return how many events of a device match and a page (offset, size), newest first.

        Raises:
            NotFound: the device is absent, or another operator's.
        """
        device = self._find(device_id, operator_id)
        if wanted.fault_code is not None:
            wanted = replace(wanted, fault_code=rules.fault_key_of(wanted.fault_code))
        if operator_id is not None and device.owned_since_ms:
            wanted = replace(wanted, received_from_ms=device.owned_since_ms)

        def read(tx: Tx) -> tuple[int, list[StoredEvent]]:
            total, events = store_events.list_events(tx, device.device_no, wanted, page)
            return total, [open_event(tx, self._vault, event, vin_mode) for event in events]

        return await self._database.read(read)

    async def list_provisionings(
        self, operator_id: str | None, site_id: str | None, offset: int, size: int
    ) -> tuple[int, list[tuple[Provisioning, str | None]]]:
        """Return how many provisionings match and a page, each with the device it became."""
        return await self._database.read(
            store.list_provisionings, operator_id, site_id, offset, size
        )

    async def _find_site(self, site_id: str, operator_id: str | None) -> Site:
        site = await self._database.read(store.find_site, site_id)
        if site is None or operator_id not in {None, site.operator_id}:
            raise NotFound
        return site

    def _find(self, device_id: str, operator_id: str | None) -> Device:
        if operator_id is None:
            device = self._directory.by_id(device_id)
        else:
            device = self._directory.owned(device_id, operator_id)
        if device is None:
            raise NotFound
        return device

    def _candidates(self, wanted: DeviceFilter) -> list[Device]:
        if wanted.operator_id is not None:
            return self._directory.of_operator(wanted.operator_id)
        if wanted.site_id is not None:
            return self._directory.of_site(wanted.site_id)
        return list(self._directory)

    def _matches(self, device: Device, wanted: DeviceFilter, now_ms: int) -> bool:
        given: Iterable[tuple[str | None, str]] = (
            (wanted.site_id, device.site_id),
            (wanted.model, device.model),
            (wanted.firmware_version, device.firmware_version),
            (wanted.sn, device.sn),
        )
        if any(value not in {None, held} for value, held in given):
            return False
        if wanted.presence is None:
            return True
        return self._presence.is_online(device, now_ms) == (wanted.presence is Presence.ONLINE)

    def _view(self, device: Device, now_ms: int) -> DeviceView:
        code = device.fault_code
        faulty = rules.is_faulty(device.heartbeat_status, code)
        services = device.permit.at(now_ms)
        # Whatever may be used for more than its upgrade has the firmware for that.
        is_past_gate = services & ~BIT[Service.FIRMWARE] != 0
        return DeviceView(
            device,
            self._presence.is_online(device, now_ms),
            self._presence.since_ms(device, now_ms),
            faulty,
            rules.fault_key_of(code) if faulty and code else None,
            self._catalogue.rated_power_kw(device),
            self._catalogue.is_v2g(device),
            device.heartbeat_ms,
            self._catalogue.find(device.model),
            services,
            None if is_past_gate else self._directory.needed_firmware(device),
        )


def activation_of(view: DeviceView, metadata: Metadata, now_ms: int) -> ActivationStatus:
    """Return whether a device is in use."""
    return rules_metadata.activation_status(
        metadata.lifecycle,
        now_ms,
        is_active=view.device.active,
        is_site_active=metadata.is_site_active,
    )


def usage_days_of(metadata: Metadata, now_ms: int) -> int | None:
    """Return for how many whole days a device has been in use, None where that is not known."""
    return rules_metadata.usage_days(metadata.lifecycle, now_ms)
