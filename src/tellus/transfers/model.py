"""The words of transfers: destinations, what goes there, and grants."""

import enum
from typing import NamedTuple

import msgspec

from tellus.kernel.errors import Conflict, PermissionDenied


class TransferKind(enum.StrEnum):
    """What can leave: lists and reports as files, pushes to peers, deliveries of webhooks."""

    EXPORTS = "exports"
    PUSHES = "pushes"
    WEBHOOKS = "webhooks"


class DestinationKind(enum.StrEnum):
    """What a destination is."""

    CLIENT = "client"
    WEBHOOK = "webhook"
    PEER = "peer"


class GrantState(enum.StrEnum):
    """Where a grant stands at an instant."""

    NOT_YET = "not_yet"
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Destination(NamedTuple):
    """A client, webhook or peer, and in which region it is."""

    destination_id: str
    kind: DestinationKind
    operator_id: str
    region: str
    stated_ms: int
    stated_by: str


class TransferGrant(msgspec.Struct, frozen=True, kw_only=True):
    """Leave for an operator's data to go to a region; it holds in ``[from_ms, to_ms)``."""

    grant_id: str
    operator_id: str
    to_region: str
    kinds: frozenset[TransferKind]
    granted_by: str
    evidence: str | None
    from_ms: int
    to_ms: int | None
    created_ms: int
    created_by: str
    revoked_ms: int | None = None
    revoked_by: str | None = None
    revoke_reason: str | None = None


class RegionRefused(PermissionDenied):
    """2003: it would leave the region of the installation, and no grant covers that (rule K7)."""

    def __init__(self, region: str, to_region: str) -> None:
        message = f"Data stays in region {region}: nothing lets it go to {to_region}"
        super().__init__(message, reason="region", region=region, to_region=to_region)


class GrantOver(Conflict):
    """4001: the grant is over already."""

    def __init__(self, state: GrantState) -> None:
        super().__init__("This grant is over already", state=state.value)
