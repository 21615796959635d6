"""The words of firmware: releases, upgrades of one device, and what they are chosen by."""

import enum
from typing import NamedTuple

import msgspec

from tellus.commands.model import Command, FirmwareReport


class Channel(enum.StrEnum):
    """For whom a release is meant."""

    STABLE = "stable"
    BETA = "beta"
    DEVELOPMENT = "development"


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """A version for some models; times in ms since 1970 UTC.

    ``platform_build`` is the same software by its dated version, which chargers may report instead.
    A release that was withdrawn is sent to nobody any more.
    """

    release_id: str
    models: tuple[str, ...]
    firmware_version: str
    platform_build: str | None
    url: str
    sha256: str
    size_bytes: int
    channel: Channel
    notes: str | None
    created_ms: int
    updated_ms: int
    withdrawn_ms: int | None = None
    withdrawn_reason: str | None = None

    @property
    def is_withdrawn(self) -> bool:
        """Tell whether it must not be sent any more."""
        return self.withdrawn_ms is not None

    @property
    def names(self) -> frozenset[str]:
        """Return the versions that a device may report which runs it."""
        return frozenset({self.firmware_version, self.platform_build or self.firmware_version})


class ReleaseFilter(NamedTuple):
    """Which releases are asked for; None admits all."""

    model: str | None = None
    channel: Channel | None = None
    firmware_version: str | None = None
    withdrawn: bool | None = None


class ModelStanding(NamedTuple):
    """An operator's devices of one model against its latest stable release (None: there is none).

    ``behind`` counts those on an older version, ``far_behind`` of them those more than two minor
    versions off, ``unknown`` those whose version cannot be compared with it.
    """

    model: str
    latest: Release | None
    devices: int
    current: int
    behind: int
    far_behind: int
    unknown: int


class Upgrade(NamedTuple):
    """A device's upgrade as stored: its command, from which version to which (ms)."""

    command_id: str
    device_no: int
    device_id: str
    operator_id: str
    from_version: str
    to_version: str
    platform_build: str | None
    rollout_id: str | None
    created_ms: int
    ended_ms: int | None = None

    @property
    def targets(self) -> frozenset[str]:
        """Return the versions that a device may report which has been upgraded."""
        return frozenset({self.to_version, self.platform_build or self.to_version})


class UpgradeStatus(enum.StrEnum):
    """How far an upgrade is; ``downloading`` and ``upgrading`` are the charger's own words."""

    QUEUED = "queued"
    ACCEPTED = "accepted"
    DOWNLOADING = "downloading"
    UPGRADING = "upgrading"
    COMPLETED = "completed"
    FAILED = "failed"


class Progress(NamedTuple):
    """An upgrade with its command, and what its charger last said of that version."""

    upgrade: Upgrade
    command: Command
    report: FirmwareReport | None

    @property
    def status(self) -> UpgradeStatus:
        """Return how far the upgrade is, in one word."""
        command, report = self.command, self.report
        if command.status != "accepted" or report is None:
            return UpgradeStatus(command.status)
        if report.status in {UpgradeStatus.DOWNLOADING, UpgradeStatus.UPGRADING}:
            return UpgradeStatus(report.status)
        return UpgradeStatus.ACCEPTED


class Verdict(enum.Enum):
    """What is to be done about an open upgrade."""

    WAIT = "wait"
    CONCLUDE = "conclude"
    ABANDON = "abandon"
    CLOSE = "close"


class Patience(NamedTuple):
    """How long (ms) a charger may be silent: while it prepares, and once it installs.

    ``life_ms`` is how long a device of a rollout may take to be online and idle.
    """

    preparing_ms: int
    installing_ms: int
    life_ms: int
