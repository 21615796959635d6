"""Builds what is made of many pieces, such as energy, which hears of every fact."""

from typing import NamedTuple

from tellus.audit.sealing import Sealer
from tellus.bus.port import Bus
from tellus.commands.expiry import read_lives_ms
from tellus.commands.handover import Handover
from tellus.commands.origins import find_origins
from tellus.commands.schedules import ScheduleService
from tellus.commands.service import CommandService
from tellus.commands.withdrawal import cancel_commands
from tellus.config import Settings
from tellus.consent.service import ConsentService
from tellus.energy.quality import QualityService
from tellus.energy.queries import EnergyQueries
from tellus.energy.retention import (
    ShapeTier,
    has_fine_sessions,
    is_unfolded,
    keep_fine,
    keep_unfolded,
    session_part,
)
from tellus.energy.service import EnergyService
from tellus.energy.sessions import SessionService
from tellus.energy.spans import SessionSpans
from tellus.firmware.engine import RolloutEngine
from tellus.firmware.model import Patience
from tellus.firmware.releases import ReleaseCatalogue
from tellus.firmware.rollouts import RolloutService
from tellus.firmware.service import FirmwareService
from tellus.fleet import store_network
from tellus.fleet.administration import DeviceAdministration
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.connectivity import Connectivity
from tellus.fleet.consents import FleetConsents
from tellus.fleet.directory import Directory
from tellus.fleet.enrolment import EnrolmentTokens
from tellus.fleet.erasure import ErasureService
from tellus.fleet.events import EventKind
from tellus.fleet.presence import PresenceSettings, PresenceWatch
from tellus.fleet.queries import FleetQueries
from tellus.fleet.registration import RegistrationService, RegistrationSettings
from tellus.fleet.retention import ConnectionTier, EventTier
from tellus.fleet.rules import Mode
from tellus.fleet.service import FleetService
from tellus.flexibility.operator_api import ControlAggregates
from tellus.flexibility.service import ControlBounds, FlexibilityService
from tellus.health.retention import HealthHoursTier, HealthMinutesTier, health_parts
from tellus.identity.keys import KeyRing
from tellus.identity.model import SecretFirstUsed
from tellus.identity.retention import VehicleTier
from tellus.identity.service import IdentityService
from tellus.identity.vault import Vault
from tellus.kernel.clock import Clock
from tellus.kernel.units import SECOND_MS
from tellus.legacy.withdrawal import cancel_pushes
from tellus.sessions.retention import record_part
from tellus.sessions.service import RecordService
from tellus.storage.database import Database
from tellus.storage.postgres_partitions import drop_aged
from tellus.telemetry.meter_values import MeterValueService
from tellus.telemetry.retention import Retention
from tellus.telemetry.retention_erasure import sample_parts
from tellus.telemetry.retention_minutes import MinutesTier
from tellus.telemetry.retention_raw import RawTier
from tellus.telemetry.service import TelemetryService

_DAY_S = 86_400


class Ground(NamedTuple):
    """What all features stand on."""

    settings: Settings
    database: Database
    directory: Directory
    clock: Clock
    vault: Vault


class FactSources(NamedTuple):
    """Where the facts of energy come in, and what devices are."""

    telemetry: TelemetryService
    events: EventKind
    records: RecordService
    devices: DeviceAdministration
    catalogue: Catalogue


class EnergyParts(NamedTuple):
    """Energy: what keeps it up, and what reads it."""

    service: EnergyService
    queries: EnergyQueries
    sessions: SessionService
    quality: QualityService
    meter_values: MeterValueService


class RetentionParts(NamedTuple):
    """What removes things: by their age, and because somebody asked for it."""

    retention: Retention
    erasures: ErasureService


class ControlledFleet(NamedTuple):
    """What is told what to do."""

    service: FleetService
    presence: PresenceWatch
    catalogue: Catalogue
    devices: DeviceAdministration


class ControlParts(NamedTuple):
    """What tells chargers what to do, and what their heartbeats say besides."""

    commands: CommandService
    schedules: ScheduleService
    flexibility: FlexibilityService
    connectivity: Connectivity


class FirmwareParts(NamedTuple):
    """Firmware: what there is to install, upgrades, and rollouts with what moves them on."""

    releases: ReleaseCatalogue
    service: FirmwareService
    rollouts: RolloutService
    engine: RolloutEngine
    clock: Clock

    async def move_firmware(self) -> None:
        """Look after upgrades, then let rollouts take their next steps."""
        await self.service.sweep(self.clock.now_ms())
        await self.engine.turn()


def build_sealer(settings: Settings, database: Database, keys: KeyRing) -> Sealer:
    """Build what seals the audit log; the head of its chain lies in the data directory."""
    return Sealer(database, keys.derive("audit"), settings.data_dir / "audit-head.json")


def build_identity(
    settings: Settings, database: Database, keys: KeyRing, clock: Clock
) -> IdentityService:
    """Build who calls."""
    return IdentityService(
        database,
        keys,
        clock,
        region=settings.instance.region,
        limit_scale=settings.limits.scale,
        device_secret_life_s=settings.registration.secret_lifetime_days * _DAY_S,
    )


def build_consents(ground: Ground, identity: IdentityService) -> ConsentService:
    """Build what the owners of devices have agreed to; to be called before there are devices."""
    settings, database, directory, clock, _ = ground
    consents = ConsentService(database, identity, clock, required=settings.consent.required)
    consents.places = places = FleetConsents(consents, directory, clock)
    consents.in_tx += [cancel_commands, cancel_pushes]
    if consents.required:
        places.demand(identity)
    return consents


def build_presence(ground: Ground, events: EventKind, catalogue: Catalogue) -> PresenceWatch:
    """Build what watches over who is online."""
    settings, database, directory, clock, _ = ground
    presence = PresenceSettings(
        settings.presence.offline_after_s * SECOND_MS,
        settings.presence.start_grace_s * SECOND_MS,
    )
    return PresenceWatch(database, directory, events, catalogue, presence, clock)


def build_registration(
    ground: Ground, identity: IdentityService, catalogue: Catalogue, tokens: EnrolmentTokens
) -> RegistrationService:
    """Build how chargers register; the first use of a secret activates its registration."""
    settings, database, directory, clock, _ = ground
    registration = RegistrationService(
        database,
        identity,
        directory,
        catalogue,
        tokens,
        RegistrationSettings(Mode(settings.registration.mode), settings.limits.scale),
        clock,
    )
    identity.react(
        SecretFirstUsed,
        in_tx=registration.activate,
        after_commit=registration.note_active,
    )
    return registration


def build_control(ground: Ground, fleet: ControlledFleet, bus: Bus) -> ControlParts:
    """Build what tells chargers what to do, and clears up behind devices that change hands."""
    settings, database, directory, clock, _ = ground
    catalogue, presence = fleet.catalogue, fleet.presence
    lives_ms = read_lives_ms(settings.commands.model_dump())
    commands = CommandService(
        database, directory, fleet.service, presence, catalogue, bus, clock, lives_ms
    )
    connectivity = Connectivity(database)
    commands.on_more.append(connectivity.hear)
    handover = Handover(commands, bus, lives_ms)
    fleet.devices.react(in_tx=handover.clear, after_commit=handover.tell)
    bounds = ControlBounds(**settings.flexibility.model_dump())
    flexibility = FlexibilityService(
        database, directory, presence, catalogue, commands, clock, bounds
    )
    commands.aggregates = ControlAggregates(flexibility)
    schedules = ScheduleService(database, directory, catalogue, commands)
    return ControlParts(commands, schedules, flexibility, connectivity)


def build_firmware(
    ground: Ground, queries: FleetQueries, commands: CommandService, consents: ConsentService
) -> FirmwareParts:
    """Build firmware."""
    settings, database, directory, clock, _ = ground
    patience = Patience(
        preparing_ms=settings.firmware.acceptance_timeout_s * SECOND_MS,
        installing_ms=settings.firmware.return_timeout_s * SECOND_MS,
        life_ms=settings.commands.firmware_expires_s * SECOND_MS,
    )
    releases = ReleaseCatalogue(database, directory)
    if consents.required:
        releases.on_builds = consents.use_builds
    return FirmwareParts(
        releases,
        FirmwareService(database, directory, commands, patience),
        RolloutService(database, directory, queries),
        RolloutEngine(database, queries, commands, clock, patience),
        clock,
    )


def build_energy(ground: Ground, sources: FactSources) -> EnergyParts:
    """Build energy, and let it hear of every fact in the transaction that stores it."""
    settings, database, directory, clock, _ = ground
    explore = sources.telemetry.index.explorer
    service = EnergyService(
        database,
        directory,
        sources.catalogue,
        explore,
        clock,
        share=settings.energy.folder_share,
        patience_s=settings.energy.patience_s,
    )
    sources.telemetry.kind.in_tx.append(service.marker.on_samples)
    if database.is_shared:
        sources.telemetry.kind.told.append(service.marker.on_durable)
    sources.events.in_tx.append(service.marker.on_events)
    sources.records.react(service.marker.on_records)
    sources.devices.on_changed.append(service.places.on_changed)
    sessions = SessionService(database, directory, sources.records, service, find_origins)
    spans = SessionSpans(database, sources.records, sessions)
    return EnergyParts(
        service,
        EnergyQueries(service, sources.catalogue, explore, directory),
        sessions,
        QualityService(sessions),
        MeterValueService(database, sources.telemetry, directory, spans),
    )


def build_retention(ground: Ground, sources: FactSources) -> RetentionParts:
    """Build what removes, with the parts of every feature in the order in which they go."""
    settings, database, _, clock, vault = ground
    telemetry, kept = sources.telemetry, settings.retention
    erasures = ErasureService(database, vault, sources.devices, clock)
    erasures.still_needed = is_unfolded
    erasures.add(
        session_part(erasures),
        record_part(erasures),
        *health_parts(erasures),
        *sample_parts(database, telemetry.packing),
        erasures.part("connections", store_network.remove_entries_of),
    )
    drop_pieces = drop_aged if database.is_shared else None
    retention = Retention(
        database,
        clock,
        (
            RawTier(database, telemetry.packing, kept.raw_days, keep_unfolded),
            ShapeTier(database, kept.minutes_days),
            MinutesTier(database, kept.minutes_days, keep_fine, has_fine_sessions, drop_pieces),
            VehicleTier(database, vault, kept.vin_days),
            EventTier(database, kept.events_days),
            HealthMinutesTier(database, kept.component_minutes_days),
            HealthHoursTier(database, kept.component_hours_days),
            ConnectionTier(database, kept.connections_days),
        ),
    )
    return RetentionParts(retention, erasures)
