"""The words of the outbox: what is owed to a peer, how it was attempted, where it goes."""

import enum
from typing import Final, NamedTuple

import msgspec

from tellus.kernel.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from tellus.legacy.model import PeerAuth, PushOperation

INTERVALS_MS: Final = (MINUTE_MS, 5 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS, DAY_MS)
"""From one attempt to the next; the first is made at once. (Published contract, legacy push.)"""

LEASE_MS: Final = 15 * SECOND_MS
"""For how long whoever sends a push keeps others from it; several times what an attempt takes."""

IN_FLIGHT_LARGEST: Final = 4
"""How many pushes may be on their way to one peer at a time."""

HISTORY_KEPT: Final = 12
"""How many attempts of a push are kept, the newest."""


class PushState(enum.StrEnum):
    """Where a push stands; all but ``WAITING`` are ends."""

    WAITING = "waiting"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
    GIVEN_UP = "given_up"
    CANCELLED = "cancelled"


class Outcome(enum.StrEnum):
    """How one attempt ended. The first two are verdicts of the peer, the others are tried again."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    BAD_STATUS = "bad_status"
    GARBAGE = "garbage"
    TOO_LARGE = "too_large"
    REDIRECTED = "redirected"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    TLS_FAILED = "tls_failed"
    ADDRESS_REFUSED = "address_refused"
    UNAUTHENTICATED = "unauthenticated"


class Verdict(NamedTuple):
    """How an attempt ended, with the HTTP status where there was one."""

    outcome: Outcome
    http_status: int | None = None


class Attempt(msgspec.Struct, frozen=True, array_like=True):
    """One attempt at a push, and when it began (ms since 1970 UTC)."""

    begun_ms: int
    outcome: Outcome
    http_status: int | None = None


class OwedPush(msgspec.Struct, frozen=True):
    """A push in the outbox.

    ``attempts`` counts those of the schedule that were recorded. While it is being sent it holds a
    lease, and ``due_ms`` is when that runs out; otherwise ``due_ms`` is when it is to be sent.
    ``has_newer`` tells whether there is a younger push with the same key.
    """

    push_no: int
    push_id: str
    peer_id: str
    operation: PushOperation
    ordering_key: str
    body: str
    state: PushState
    attempts: int
    due_ms: int | None
    lease_id: str | None
    created_ms: int
    updated_ms: int
    last_status: int | None
    last_error: str | None
    history: tuple[Attempt, ...]
    ended_ms: int | None
    has_newer: bool = False

    @property
    def line(self) -> tuple[str, str]:
        """Return what it shares with all pushes that must not overtake one another."""
        return self.operation, self.ordering_key

    def is_in_flight(self, now_ms: int) -> bool:
        """Tell whether somebody is sending it."""
        return self.lease_id is not None and self.due_ms is not None and self.due_ms > now_ms


class PushFilter(msgspec.Struct, frozen=True):
    """Which pushes are asked for; None admits all."""

    peer_id: str | None = None
    state: PushState | None = None


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """Where pushes of one peer go and what they carry; ``secret`` in the clear, never logged."""

    push_url: str
    auth: PeerAuth = PeerAuth.NONE
    secret: str = ""
    token_url: str | None = None
    auth_id: str | None = None
    auth_scope: str | None = None

    def __repr__(self) -> str:
        """Return where it leads, without what must not be written down."""
        return f"Destination({self.push_url!r}, {self.auth})"
