"""A run with what the platform knows of its device now, for those who read evidence."""

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from tellus.firmware.model import Channel, Release, ReleaseFilter
from tellus.fleet.model import EventFilter, StoredEvent
from tellus.fleet.queries import DeviceView
from tellus.runbooks.model import Run
from tellus.runbooks.model_catalogue import Runbook, Step
from tellus.runbooks.rules_power import FaultSeen
from tellus.runbooks.rules_preparing import ConnectorSeen
from tellus.runbooks.sources import Sources

_RELEASES_MOST: Final = 10_000
_NO_VEHICLES: Final = "none"


class Scene(NamedTuple):
    """A run at its present step, and its device at ``now_ms``."""

    runbook: Runbook
    run: Run
    view: DeviceView
    now_ms: int

    @property
    def step(self) -> Step:
        """Return the present step."""
        return self.runbook.steps[self.run.n - 1]

    def by_its_clock(self, time_ms: int) -> int:
        """Return a time of ours as the device's clock shows it."""
        return time_ms + (self.view.device.clock_offset_ms or 0)

    def connector(self) -> ConnectorSeen | None:
        """Return the newest sample of the run's connector, None before the first."""
        connector = self.view.device.connectors.get(self.run.connector_id)
        if connector is None or connector.reading is None:
            return None
        reading = connector.reading
        return ConnectorSeen(reading.state, reading.detail_state, connector.time_ms)

    def inverter_word(self) -> str | None:
        """Return what the run's connector, or else another one, last said of the inverter."""
        connectors = self.view.device.connectors
        mine = [connectors[one] for one in (self.run.connector_id,) if one in connectors]
        for connector in (*mine, *connectors.values()):
            if connector.health is not None and connector.health.inverter_sync_status is not None:
                return connector.health.inverter_sync_status
        return None


async def list_events(
    sources: Sources, scene: Scene, wanted: EventFilter, size: int
) -> list[StoredEvent]:
    """Return a device's newest events that match and whose time can be believed, newest first.

    Vehicles are not named in them.
    """
    _, events = await sources.queries.list_events(
        scene.run.device_id, scene.run.operator_id, wanted, (0, size), _NO_VEHICLES
    )
    return [event for event in events if not event.clock_suspect]


async def list_faults(
    sources: Sources, scene: Scene, size: int, from_ms: int | None = None
) -> list[FaultSeen]:
    """Return the newest fault events of a device from ``from_ms`` on (its clock), newest first."""
    wanted = EventFilter(event_type="fault", from_ms=from_ms)
    return to_faults(await list_events(sources, scene, wanted, size))


def to_faults(events: Iterable[StoredEvent]) -> list[FaultSeen]:
    """Return fault events as checks judge them."""
    return [
        FaultSeen(
            event.time_ms,
            event.connector_id,
            event.fault_key or "unknown",
            event.origin,
            msgspec.json.decode(event.data),
        )
        for event in events
    ]


async def list_releases(sources: Sources, model: str) -> list[Release]:
    """Return the releases for a model that were not withdrawn, newest first."""
    wanted = ReleaseFilter(model=model, withdrawn=False)
    _, releases = await sources.releases.list_releases(wanted, 0, _RELEASES_MOST)
    return releases


def names_of(version: str, releases: Iterable[Release]) -> set[str]:
    """Return the names that a version has in both schemes, as far as releases tell."""
    return {version}.union(*(release.names for release in releases if version in release.names))


def latest_of(runbook: Runbook, model: str, releases: Iterable[Release]) -> set[str]:
    """Return the names of a model's latest stable release, empty where none is known."""
    for release in releases:
        if release.channel is Channel.STABLE:
            return set(release.names)
    known = runbook.latest_stable.get(model)
    return set() if known is None else {known}
