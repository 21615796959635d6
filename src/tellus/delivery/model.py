"""The words of delivery: what is owed to a receiver, how it was attempted, how that went."""

import enum
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from tellus.kernel.units import SECOND_MS

LEASE_MS: Final = 15 * SECOND_MS
"""For how long whoever sends a push keeps others from it; several times what an attempt takes."""

IN_FLIGHT_LARGEST: Final = 4
"""How many pushes may be on their way to one receiver at a time."""

HISTORY_KEPT: Final = 12
"""How many attempts of a push are kept, the newest."""

Schedule = Sequence[int]
"""From one attempt to the next (ms); the first is made at once."""


class PushState(enum.StrEnum):
    """Where a push stands; all but ``WAITING`` are ends."""

    WAITING = "waiting"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
    GIVEN_UP = "given_up"
    CANCELLED = "cancelled"


class Outcome(enum.StrEnum):
    """How one attempt ended: the first two are verdicts, the others are no answer.

    ``REGION``: the receiver is in another region, and nothing was sent for want of a grant.
    """

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
    REGION = "region"


class Verdict(NamedTuple):
    """How an attempt ended, with the HTTP status where there was one."""

    outcome: Outcome
    http_status: int | None = None


class Attempt(msgspec.Struct, frozen=True, array_like=True):
    """One attempt at a push, and when it began (ms since 1970 UTC)."""

    begun_ms: int
    outcome: Outcome
    http_status: int | None = None


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """A push on a shelf.

    ``attempts`` counts those of the schedule that were recorded. While it is being sent it holds a
    lease, and ``due_ms`` is when that runs out; otherwise ``due_ms`` is when it is to be sent.
    ``has_newer`` tells whether there is a younger push that makes it needless.
    """

    push_no: int
    push_id: str
    receiver_id: str
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
    def line(self) -> tuple[str, ...]:
        """Return what it shares with all pushes that must not overtake one another."""
        return (self.ordering_key,)

    def is_in_flight(self, now_ms: int) -> bool:
        """Tell whether somebody is sending it."""
        return self.lease_id is not None and self.due_ms is not None and self.due_ms > now_ms
