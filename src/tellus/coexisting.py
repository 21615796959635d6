"""Builds coexistence: who read what, what runs on which channel, and the customer's portal."""

from collections.abc import Iterable
from typing import Any

from tellus.building import Ground
from tellus.coexistence import store
from tellus.coexistence.channels import ChannelService
from tellus.coexistence.ledger import ReadLedger
from tellus.coexistence.readers import ReaderService
from tellus.coexistence.subjects import Subjects
from tellus.consent.service import ConsentService
from tellus.fleet.administration import DeviceAdministration
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.consents import FleetConsents
from tellus.fleet.erasure import ErasureService
from tellus.portal import store as store_portal
from tellus.portal.export import ExportService
from tellus.portal.requests import RequestService
from tellus.portal.service import PortalService, note_former_site
from tellus.rounds import Rounds
from tellus.surfaces.consenting import ConsentGate, build_gate
from tellus.surfaces.endpoint import Endpoint
from tellus.surfaces.http import Pipeline
from tellus.surfaces.portal_export import ChargerSources
from tellus.surfaces.reading import ReadAccounting
from tellus.surfaces.stream import StreamEndpoint
from tellus.transfers.service import TransferService


class Coexisting:
    """All of coexistence but consent itself, which lies deeper."""

    def __init__(
        self,
        ground: Ground,
        catalogue: Catalogue,
        consents: ConsentService,
        devices: DeviceAdministration,
        erasures: ErasureService,
    ) -> None:
        settings, database, directory, clock, _ = ground
        self._ground, self._consents = ground, consents
        self._ledger = ReadLedger(database, clock, kept_days=settings.retention.reads_days)
        self._reads = ReadAccounting(self._ledger, directory, Subjects(database), clock)
        self._readers = ReaderService(database, directory)
        self._channels = ChannelService(
            directory,
            catalogue,
            FleetConsents(consents, directory, clock),
            consent_required=consents.required,
        )
        self._portal = PortalService(database, directory, consents, self._readers, clock)
        self._requests = RequestService(database, self._portal, erasures, clock)
        self._exports = ExportService(database, self._portal, clock)
        self._transfers = TransferService(database, settings.instance.region, clock)
        devices.on_changed.append(note_former_site)
        erasures.add(
            erasures.part("customer_notes", store_portal.blank_notes_of),
            erasures.part("former_sites", store_portal.remove_former_sites_of),
            erasures.part("reads", store.remove_of_device),
        )

    def build_gate(self) -> ConsentGate | None:
        """Return what checks consent at the edge, None where it is not required."""
        _, database, directory, clock, _ = self._ground
        gate = build_gate(directory, self._consents, Subjects(database), clock)
        if gate is not None:
            self._consents.drain = gate.drain
        return gate

    @property
    def services(self) -> tuple[Any, ...]:
        """Return what handlers may ask for."""
        return (
            self._readers,
            self._channels,
            self._portal,
            self._requests,
            self._exports,
            self._transfers,
        )

    def let_export(self, endpoints: Iterable[Endpoint]) -> None:
        """Let customers export what these show of their chargers."""
        self._exports.sources = ChargerSources(endpoints)

    def count_reads(self, pipeline: Pipeline, streams: StreamEndpoint) -> None:
        """Have counted what is read through these, and files kept from other regions."""
        pipeline.admit_export = self._transfers.admit_export
        pipeline.reads = streams.reads = self._reads

    def begin(self, rounds: Rounds) -> None:
        """Begin what runs by itself."""
        self._reads.begin(rounds.run_every)

    async def stop(self) -> None:
        """Store what was counted and not written yet."""
        await self._ledger.flush()
