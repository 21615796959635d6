"""The composition root: the only place that knows concrete classes and joins them."""

from functools import partial
from typing import Any

import tellus
from tellus.audit.service import AuditService
from tellus.building import (
    ControlledFleet,
    FactSources,
    Ground,
    build_consents,
    build_control,
    build_energy,
    build_firmware,
    build_identity,
    build_presence,
    build_registration,
    build_retention,
    build_sealer,
)
from tellus.bus.memory import MemoryBus
from tellus.bus.port import ALERT_CHANGED, DEVICE_CHANGED
from tellus.coexisting import Coexisting
from tellus.config import Settings
from tellus.diagnosing import Beneath, Diagnosing
from tellus.fleet.administration import DeviceAdministration
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Directory
from tellus.fleet.enrolment import EnrolmentTokens
from tellus.fleet.events import EventKind, EventService
from tellus.fleet.lifecycle import LifecycleAdministration
from tellus.fleet.loading import FleetLoader
from tellus.fleet.queries import FleetQueries
from tellus.fleet.service import FleetService
from tellus.fleet.sites import SiteAdministration
from tellus.guarding import build_privacy
from tellus.identity.keys import KeyRing
from tellus.identity.model import DeviceTokenIssued, SecretOverdue
from tellus.interop import Fleet, Interop
from tellus.joining import Joining
from tellus.kernel.clock import Clock
from tellus.kernel.errors import ApiError
from tellus.kernel.ids import new_id
from tellus.nodes.model import BEAT_S
from tellus.nodes.service import NodeService
from tellus.opening import (
    leniency,
    open_bus,
    open_clock,
    open_database,
    open_keys,
    open_windows,
)
from tellus.rounds import Rounds
from tellus.sessions.service import RecordService
from tellus.storage.instance import note_instance_value
from tellus.storage.migrate import load_migrations
from tellus.storage.stats import StorageStats
from tellus.surfaces.guard.draining import DrainState
from tellus.surfaces.guard.proxies import TrustedProxies
from tellus.surfaces.guard.state import Guard
from tellus.surfaces.hot import HotRoutes
from tellus.surfaces.http import Pipeline, Recorder
from tellus.surfaces.hub import Hub
from tellus.surfaces.openapi.document import build_document
from tellus.surfaces.ratelimit import Limiter
from tellus.surfaces.routing import Router
from tellus.surfaces.site.health import Readiness, keep_probing
from tellus.surfaces.site.looplag import LoopLag
from tellus.surfaces.site.metrics import MetricSources, MetricsPage
from tellus.surfaces.site.web import SiteSources, build_site
from tellus.surfaces.stream import StreamEndpoint
from tellus.surfaces.stream_alerts import AlertChannel
from tellus.surfaces.tables import ROUTES
from tellus.telemetry.service import TelemetryService

_PRESENCE_EVERY_S = 2.0
_TIDY_EVERY_S = 60.0
_TURN_EVERY_S = 1.0
_NAMES = ("Default operator", "Default site")
_SANDBOX_NAMES = ("Demo operator", "Demo site")


class Platform:
    """Everything that serves requests, started and stopped as one.

    Raises:
        KeyFileRefused: the key file is missing, open to others, or malformed.
    """

    def __init__(
        self,
        settings: Settings,
        recorder: Recorder,
        *,
        clock: Clock | None = None,
        drain: DrainState | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock or open_clock(settings)
        self.drain = drain or DrainState()
        self.start_failure: Exception | None = None
        self.guard: Guard | None = None
        self._recorder = recorder
        self.node_id = new_id("node")
        self.bus = open_bus(settings, self.clock, self.node_id)
        self.directory = Directory(leniency(settings.compat))
        self.catalogue = Catalogue.load()
        self.database = open_database(settings, self.clock, self.node_id)
        keys = open_keys(settings)
        self.sealer = build_sealer(settings, self.database, keys)
        self.identity = build_identity(settings, self.database, keys, self.clock)
        self.ground = Ground(
            settings, self.database, self.directory, self.clock, self.identity.vault
        )
        self.consents = build_consents(self.ground, self.identity)
        self._build_fleet(EnrolmentTokens(keys.derive("enrolment")))
        self._build_features()
        self.diagnosing = Diagnosing(self.ground, self._beneath(keys))
        self.diagnosing.follow_consents(self.consents)
        beneath = (self.directory, self.catalogue, self.presence, self.commands)
        fleet = Fleet(*beneath, self.event_kind, self.records, self.bus)
        self.interop = Interop(self.database, self.identity, keys, fleet, settings, self.clock)
        self.coexisting = Coexisting(
            self.ground, self.catalogue, self.consents, self.devices, self.erasures
        )
        self._build_edge()
        self._rounds = Rounds(recorder, lambda: self.nodes.is_on_duty)
        self.joining = self._join()

    def _build_fleet(self, tokens: EnrolmentTokens) -> None:
        settings, database = self.settings, self.database
        directory, identity = self.directory, self.identity
        self.event_kind = EventKind(directory, identity.vault)
        self.events = EventService(database, self.event_kind, directory)
        self.presence = build_presence(self.ground, self.event_kind, self.catalogue)
        self.fleet = FleetService(database, directory, self.presence)
        self.loader = FleetLoader(database, directory, identity)
        self.queries = FleetQueries(
            database, directory, self.catalogue, self.presence, identity.vault
        )
        self.sites = SiteAdministration(database, identity, self.queries, settings.instance.region)
        self.devices = DeviceAdministration(database, identity, directory, tokens, self.queries)
        self.lifecycles = LifecycleAdministration(database, directory, self.queries)
        self.registration = build_registration(self.ground, identity, self.catalogue, tokens)
        identity.react(DeviceTokenIssued, after_commit=self.presence.note_token)
        identity.react(SecretOverdue, after_commit=self.presence.note_overdue)

    def _build_features(self) -> None:
        database, directory, clock = self.database, self.directory, self.clock
        self.audit = AuditService(database)
        self.nodes = NodeService(
            database,
            clock,
            self.node_id,
            version=tellus.__version__,
            alone=not database.is_shared,
        )
        self.telemetry = TelemetryService(database, directory, self.fleet, self.bus, clock)
        self.records = RecordService(database, directory, self.identity.vault)
        self._build_energy()
        fleet = ControlledFleet(self.fleet, self.presence, self.catalogue, self.devices)
        control = build_control(self.ground, fleet, self.bus)
        self.commands, self.schedules, self.flexibility, self.connectivity = control
        self._moving = build_firmware(self.ground, self.queries, self.commands, self.consents)
        self.releases, self.firmware, self.rollouts, *_ = self._moving

    def _beneath(self, keys: KeyRing) -> Beneath:
        told = (self.event_kind, self.fleet.heartbeats)
        fleet = (self.catalogue, self.presence, *told, self.devices, self.queries)
        facts = (self.telemetry, self.records, self.commands, self.releases)
        return Beneath(self.identity, keys, self.audit, *fleet, *facts, self.bus, self.erasures)

    def _build_energy(self) -> None:
        sources = FactSources(
            self.telemetry, self.event_kind, self.records, self.devices, self.catalogue
        )
        self.energy = build_energy(self.ground, sources)
        self.retention, self.erasures = build_retention(self.ground, sources)

    def _join(self) -> Joining | None:
        """Join the other nodes, where the store has room for them."""
        windows = open_windows(self.settings, self.clock, self.node_id)
        if isinstance(self.bus, MemoryBus) or windows is None:
            return None
        joining = Joining(self.bus, windows, self.nodes, self.database, self.clock)
        joining.follow_principals(self.identity)
        joining.follow_vehicles(self.identity.vault)
        joining.follow_consents(self.consents, self.releases)
        joining.follow_fleet(self.loader, self.presence)
        joining.follow_commands(self.commands)
        joining.follow_streams(self.hub)
        joining.follow_controls(self.flexibility)
        joining.follow_heard("config_reports", self.diagnosing.configuration)
        joining.follow_heard("device_connectivity", self.connectivity)
        self.registration.shared = self.limiter.shared = windows
        self.pipeline.revive = self.streams.revive = self.identity.revive
        return joining

    def _build_edge(self) -> None:
        settings, clock = self.settings, self.clock
        proxies = TrustedProxies(settings.server.trusted_proxies)
        self.limiter = limiter = Limiter(settings.limits.scale, settings.server.trusted_proxies)
        self.hub = Hub(
            self.directory,
            clock,
            self.identity.authenticate,
            cadence_s=settings.stream.cadence_s,
            slow_after_s=settings.stream.slow_after_s,
        )
        self.bus.subscribe(DEVICE_CHANGED, self.hub.on_changed)
        self.alert_channel = AlertChannel(self.hub, self.diagnosing.alert_feed)
        self.bus.subscribe(ALERT_CHANGED, self.alert_channel.on_changed)
        self.router = Router(ROUTES, {type(service): service for service in self._services()})
        self.pipeline = Pipeline(
            self.router, self.identity, limiter, clock, self.drain, self._recorder, proxies
        )
        self.pipeline.origins = self.identity.cors_origins
        self.pipeline.consents = self.coexisting.build_gate()
        self.hot = HotRoutes(self.router.endpoints, self.pipeline, self.database.enqueue, clock)
        self.streams = StreamEndpoint(
            self.hub,
            self.directory,
            self.identity,
            limiter,
            clock,
            self.drain,
            proxies,
            self.pipeline.next_request_id,
        )
        self.coexisting.count_reads(self.pipeline, self.streams)
        self.coexisting.let_export(self.router.endpoints)
        self.drain.on_drain(self._release_polls)
        self._build_site()

    def _services(self) -> tuple[Any, ...]:
        """Return what handlers may ask for, by the type of their first parameter."""
        return (
            self.audit,
            self.sealer,
            self.nodes,
            self.identity,
            self.consents,
            *self.coexisting.services,
            *build_privacy(self.ground, self.telemetry, self.erasures),
            self.sites,
            self.devices,
            self.lifecycles,
            self.registration,
            self.queries,
            self.events,
            self.telemetry,
            *self.energy,
            self.records,
            self.commands,
            self.schedules,
            self.flexibility,
            self.releases,
            self.firmware,
            self.rollouts,
            self.hub,
            self.retention,
            self.erasures,
            *self.diagnosing.services,
            *self.interop.services,
        )

    def _build_site(self) -> None:
        settings = self.settings
        readiness = Readiness(
            self._storage_facts,
            self.drain,
            queue_operations=settings.storage.queue_operations,
            schema_version=load_migrations()[-1].name,
        )
        sandbox = settings.instance.sandbox
        self.site = build_site(
            SiteSources(
                document=partial(build_document, ROUTES, sandbox=sandbox),
                readiness=readiness,
                metrics=self._build_metrics().render,
                next_request_id=self.pipeline.next_request_id,
                version=tellus.__version__,
                sandbox=sandbox,
                admits=self.pipeline.admits_stranger,
            )
        )

    def _build_metrics(self) -> MetricsPage:
        self.lag = LoopLag()
        return MetricsPage(
            MetricSources(
                endpoints=self.router.endpoints,
                storage=self._storage_facts,
                devices=lambda: self.directory,
                samples=lambda: (self.telemetry.kind.stored, self.telemetry.kind.duplicates),
                polls=lambda: self.commands.parked,
                controls=lambda: self.flexibility.active,
                pushes=lambda: self.interop.outbox,
                deliveries=lambda: self.diagnosing.deliveries,
                streams=lambda: len(self.hub),
                frames=lambda: self.hub.frames_sent,
                connections=lambda: self.guard.register.open_count if self.guard else 0,
                refused=lambda: self.guard.refused if self.guard else {},
                lag=self.lag,
                version=tellus.__version__,
                node_id=self.node_id,
                admitted=lambda: self.events.admitted,
                retention=lambda: self.retention,
                energy=lambda: self.energy.service,
            )
        )

    def _storage_facts(self) -> StorageStats:
        return self.database.stats

    async def start(self) -> None:
        """Open the store, read memory back from it, and begin what runs by itself.

        Raises:
            StorageRefused: the store is in use, newer than this release, or not durable.
            KeyFileRefused: the database was written with another key file.
        """
        await self.database.start()
        try:
            await self._load()
        except BaseException:
            await self.database.stop()
            raise
        self._begin(self._rounds)

    def _begin(self, rounds: Rounds) -> None:
        """Begin what runs by itself."""
        rounds.run_every(_PRESENCE_EVERY_S, self._sweep_presence)
        rounds.run_every(_TIDY_EVERY_S, self.telemetry.compact, once=True)
        rounds.run_every(_TIDY_EVERY_S, self.identity.prune_signed_answers, once=True)
        rounds.run_every(0.0, self.flexibility.keep)
        rounds.run_every(self.settings.firmware.turn_s, self._moving.move_firmware, once=True)
        rounds.run_every(_TURN_EVERY_S, self.commands.sweep, once=True)
        rounds.run_every(self.settings.energy.turn_s, self.energy.service.watch)
        rounds.run_every(self.settings.energy.turn_s, self.energy.service.turn, once=True)
        for turn in (self.consents.turn, self.retention.turn, self.erasures.turn, self.sealer.seal):
            rounds.run_every(_TURN_EVERY_S, turn, once=True)
        self.coexisting.begin(rounds)
        self.diagnosing.begin(rounds)
        self.interop.begin(rounds)
        if self.settings.commands.poll_s > 0:
            rounds.run_every(self.settings.commands.poll_s, self.commands.look)
        if self.joining is not None:
            rounds.run_every(BEAT_S, self.nodes.beat)
            for work in self.joining.work():
                rounds.run(work)
        for work in (self.hub.run(), self.alert_channel.run(), self.commands.run(), self.lag.run()):
            rounds.run(work)
        rounds.run(keep_probing(self._storage_facts, self._probe))

    async def _load(self) -> None:
        if self.joining is not None:
            await self.joining.start()
        await self.identity.start()
        names = _SANDBOX_NAMES if self.settings.instance.sandbox else _NAMES
        built_in = await self.sites.ensure_built_in(self.clock.now_ms(), *names)
        self.registration.use_default_place(built_in.operator_id, built_in.site_id)
        await self.loader.load()
        await self.consents.start()
        await self.releases.start()
        await self.telemetry.start()
        await self.energy.service.start()
        await self.commands.start()
        await self.connectivity.start()
        await self.flexibility.start()
        await self.interop.outbox.start()
        await self.diagnosing.start()

    async def stop(self) -> None:
        """End what runs by itself, store what is owed, close the store."""
        await self._rounds.end()
        try:
            await self.coexisting.stop()
            await self.interop.outbox.stop()
            await self.diagnosing.stop()
            await self.presence.flush(self.clock.now_ms())
            await self.telemetry.stop()
            await self.diagnosing.stop()
            await self.nodes.leave()
        except ApiError as error:
            self._recorder.crash("", "presence", error)
        await self.database.stop()

    async def _release_polls(self) -> None:
        self.commands.release_all()

    async def _probe(self) -> None:
        await self.database.write(note_instance_value, "probed_ms", str(self.clock.now_ms()))

    async def _sweep_presence(self) -> None:
        await self.presence.sweep(self.clock.now_ms())
