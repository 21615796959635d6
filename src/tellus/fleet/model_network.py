"""The words of a device's connection."""

import enum
from typing import NamedTuple


class ConnectionKind(enum.StrEnum):
    """What happened to a connection.

    ``offline`` is silence, ``shutdown`` an end that the device announced. ``reconnect`` stands
    beside ``online``, and alone where a device came back before anybody noticed that it was gone.
    """

    ONLINE = "online"
    OFFLINE = "offline"
    SHUTDOWN = "shutdown"
    RECONNECT = "reconnect"


class ConnectionEntry(NamedTuple):
    """Something that happened to a device's connection, and when (ms since 1970 UTC)."""

    device_no: int
    time_ms: int
    kind: ConnectionKind


class Change(NamedTuple):
    """From this instant (ms) on a device was online, or it was not."""

    time_ms: int
    online: bool


class Availability(NamedTuple):
    """What is known of a span: how long it is known (ms), how much of it online, the longest gap.

    An outage that began before the span counts from its beginning.
    """

    known_ms: int = 0
    online_ms: int = 0
    longest_outage_ms: int = 0

    @property
    def share(self) -> float | None:
        """Return the part of the known time that the device was online, from 0 to 1."""
        return self.online_ms / self.known_ms if self.known_ms else None


class Reconnections(NamedTuple):
    """How often a device reconnected lately."""

    last_10_minutes: int
    last_24_hours: int
    last_7_days: int


class NetworkFacts(NamedTuple):
    """What the health score is made of."""

    online: bool
    announced: bool
    day: Availability
    week: Availability
    reconnects: Reconnections
