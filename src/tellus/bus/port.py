"""The port: topics, and integer keys that say what to look at again.

A message says "look at this device again", never what happened: the receiver reads the truth from
memory or the store.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

Keys = Sequence[int]
Listener = Callable[[Keys], None]

DEVICE_CHANGED = "device_changed"
"""Connector state of these devices (``device_no``) moved forward."""

COMMAND_PENDING = "command_pending"
"""These devices (``device_no``) have a command to fetch."""

CHANGES = "changes"
"""Rows that every node keeps in memory were written; the keys say nothing."""

DEVICE_SEEN = "device_seen"
"""These devices count as offline, and a node hears of them."""

DEVICE_RECONNECTED = "device_reconnected"
"""These devices came back."""

TOKEN_ISSUED = "token_issued"  # noqa: S105 - a topic
"""These devices got a token."""

POLL_PARKED = "poll_parked"
"""A poll was parked at these places (``place_key``): an older one there is to end."""

STREAM_OPENED = "stream_opened"
"""Streams with these keys were opened: an older one with the same key is to end."""

ALERT_CHANGED = "alert_changed"
"""These alerts (``alert_no``) changed, or, without a key, some did."""


class Bus(Protocol):
    """Delivers at most once, in no promised order, without blocking the sender."""

    def publish(self, topic: str, keys: Keys) -> None:
        """Tell every listener of ``topic``; call on the event loop, after the commit."""
        ...

    def tell(self, topic: str, keys: Keys) -> None:
        """Tell the listeners of this process alone."""
        ...

    def pass_on(self, topic: str, keys: Keys) -> None:
        """Tell the other nodes alone."""
        ...

    def subscribe(self, topic: str, listener: Listener) -> Callable[[], None]:
        """Call ``listener(keys)`` on the event loop for each message; returns the way to stop."""
        ...
