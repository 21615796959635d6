"""What a peer is shown of the fleet: the devices shared with it, as they are now."""

import asyncio
from collections.abc import Collection
from typing import Final, NamedTuple

from tellus.consent.model import Service, bits_of
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Device, Directory
from tellus.fleet.presence import PresenceWatch
from tellus.kernel.units import SECOND_MS, to_text
from tellus.legacy import rules, store
from tellus.legacy.model import Description, Peer, ShareKind, Statuses
from tellus.legacy.wire import LegacyChargePointItem, LegacyConnectorItem
from tellus.storage.database import Tx

_SLICE: Final = 200
STEERED: Final = bits_of((Service.FLEXIBILITY, Service.V2G_DISPATCH))


class Shown(NamedTuple):
    """A device as a peer may see it at one moment."""

    device: Device
    described: Description
    statuses: Statuses


class Scope(NamedTuple):
    """A peer, what is shared with it, and where the sites of its operator are."""

    peer: Peer
    shared: frozenset[tuple[ShareKind, str]]
    places: store.Places

    def has(self, device: Device) -> bool:
        """Tell whether a device is shared with the peer: with its site, or by itself."""
        return device.operator_id == self.peer.operator_id and (
            (ShareKind.SITE, device.site_id) in self.shared
            or (ShareKind.DEVICE, device.device_id) in self.shared
        )


class Showcase:
    """Looks at the fleet in memory with the eyes of a peer."""

    def __init__(self, directory: Directory, catalogue: Catalogue, presence: PresenceWatch) -> None:
        self._directory = directory
        self._catalogue = catalogue
        self._presence = presence

    async def look(
        self, scope: Scope, now_ms: int, device_nos: Collection[int] | None = None
    ) -> dict[str, Shown]:
        """Return the devices that the peer may see, by identifier; of some, or all there are.

        One that cannot be shared is left out. Works in slices, for a peer may see a whole fleet.
        """
        shown: dict[str, Shown] = {}
        for number, device in enumerate(self._devices(scope, device_nos)):
            if number % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
            one = self._show(device, scope, now_ms)
            if one is not None:
                shown[device.device_id] = one
        return shown

    def find(self, scope: Scope, device_id: str, now_ms: int) -> Shown | None:
        """Return one device if the peer may see it, else None: absent and foreign look alike."""
        device = self._directory.by_id(device_id)
        if device is None or not scope.has(device):
            return None
        return self._show(device, scope, now_ms)

    def _devices(self, scope: Scope, device_nos: Collection[int] | None) -> list[Device]:
        if device_nos is not None:
            some = map(self._directory.by_no, device_nos)
            return [device for device in some if device is not None and scope.has(device)]
        found: dict[int, Device] = {}
        for kind, resource_id in scope.shared:
            if kind is ShareKind.SITE:
                devices = self._directory.of_site(resource_id)
            else:
                one = self._directory.by_id(resource_id)
                devices = [] if one is None else [one]
            found |= {device.device_no: device for device in devices if scope.has(device)}
        return list(found.values())

    def _show(self, device: Device, scope: Scope, now_ms: int) -> Shown | None:
        """Return a device as it is shown: one whose owner has not agreed to be steered is not."""
        if not device.permit.allows(STEERED, now_ms):
            return None
        model = self._catalogue.find(device.model)
        described = rules.describe(
            None if model is None else model.current,
            self._catalogue.rated_power_kw(device),
            scope.places.get(device.site_id, (None, None)),
            tuple(device.connectors),
            device.created_ms,
        )
        if described is None:
            return None
        online = self._presence.is_online(device, now_ms)
        statuses = {
            number: rules.status_of(connector.reading, online=online)
            for number, connector in sorted(device.connectors.items())
        }
        return Shown(device, described, statuses)


def load_scope(tx: Tx, peer_id: str) -> Scope:
    """Return what a peer may see.

    Raises:
        NotFound: there is no such peer.
    """
    peer = store.get_peer(tx, peer_id)
    shares = store.list_shares(tx, peer_id)
    shared = frozenset((share.kind, share.resource_id) for share in shares)
    return Scope(peer, shared, store.list_places(tx, peer.operator_id))


def to_item(device_id: str, described: Description, statuses: Statuses) -> LegacyChargePointItem:
    """Return a device on the wire."""
    return LegacyChargePointItem(
        device_id,
        to_text(described.created_ms // SECOND_MS * SECOND_MS),
        described.current,  # type: ignore[arg-type]
        described.power_kw,
        described.lng,
        described.lat,
        [LegacyConnectorItem(number, status.value) for number, status in statuses.items()],
    )
