"""The words of configuration: profiles, and what a device was assigned and says it runs."""

import enum
from typing import Any, Final, NamedTuple

import msgspec

PROFILES_MOST: Final = 200
"""How many profiles an operator may have."""

VERSIONS_MOST: Final = 1_000
"""How many times the values of a profile may change."""


class RunningConfig(NamedTuple):
    """What a device ought to run and what it said; None where it said nothing of it.

    ``settled_ms`` is until when a difference is no drift, because the profile is still on its way.
    """

    device_no: int
    assigned_profile_id: str
    assigned_hash: str
    settled_ms: int
    reported_profile_id: str | None
    reported_hash: str | None
    reported_ms: int | None


class SyncState(enum.StrEnum):
    """How what a device says it runs stands to what it was assigned."""

    IN_SYNC = "in_sync"
    DRIFTED = "drifted"
    UNKNOWN = "unknown"
    APPLYING = "applying"


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A profile as an operator keeps it; ``models`` empty fits every model.

    ``hash`` is the SHA-256 (lower-case hex) of the canonical JSON of the values of ``version``.
    """

    profile_id: str
    operator_id: str
    name: str
    note: str | None
    models: tuple[str, ...]
    version: int
    hash: str
    created_ms: int
    updated_ms: int


class Version(NamedTuple):
    """What a profile said from ``created_ms`` on; ``content`` is canonical JSON."""

    version: int
    hash: str
    content: str
    created_ms: int


class ProfileView(NamedTuple):
    """A profile with its present values as JSON text, and how many devices it is assigned to."""

    profile: Profile
    content: str
    devices: int


class ProfileChange(NamedTuple):
    """What to change of a profile; None leaves a thing as it is, an empty note takes it away."""

    name: str | None = None
    note: str | None = None
    models: tuple[str, ...] | None = None
    values: dict[str, Any] | None = None


class Carrier(NamedTuple):
    """The command that carries a profile to its device, as it is stored; times in ms."""

    phase: str
    sent_ms: int
    updated_ms: int
    delivered_ms: int | None
    expires_ms: int


class Assignment(NamedTuple):
    """What a device was assigned, by which command it went out, and that command, if it is kept.

    ``newest_version`` is that of the profile, which may have changed since.
    """

    profile_id: str
    name: str
    version: int
    newest_version: int
    hash: str
    assigned_ms: int
    command_id: str
    carrier: Carrier | None


class Reported(NamedTuple):
    """What a device says it runs, and since when (ms); None where it does not say."""

    profile_id: str | None
    hash: str | None
    since_ms: int


class Standing(NamedTuple):
    """A device's assignment and its own word, either of which there may not be."""

    device_no: int
    assignment: Assignment | None
    reported: Reported | None


class Judgement(NamedTuple):
    """How a device stands to its assignment, and since when (ms), where that can be told."""

    state: SyncState
    since_ms: int | None
