"""The words of the outbox: what is owed to a peer, and where it goes."""

from typing import Final

import msgspec

from tellus.delivery.model import Owed, PushState
from tellus.kernel.units import DAY_MS, HOUR_MS, MINUTE_MS
from tellus.legacy.model import PeerAuth, PushOperation

INTERVALS_MS: Final = (MINUTE_MS, 5 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS, DAY_MS)
"""From one attempt to the next; the first is made at once. (Published contract, legacy push.)"""


class OwedPush(Owed, frozen=True, kw_only=True):
    """A push in the outbox; a younger one with the same key makes it needless."""

    operation: PushOperation

    @property
    def peer_id(self) -> str:
        """Return the peer that it is for."""
        return self.receiver_id

    @property
    def line(self) -> tuple[str, ...]:
        """Return what it shares with all pushes that must not overtake one another."""
        return self.operation.value, self.ordering_key


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
