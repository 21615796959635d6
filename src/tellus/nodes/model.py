"""The words of nodes."""

from typing import Final, NamedTuple

from tellus.kernel.units import SECOND_MS

BEAT_S: Final = 2.0
"""How often a node renews its entry and its duty."""

LOST_AFTER_MS: Final = 10 * SECOND_MS
"""After how long without renewal a node counts as gone, and its duty as free."""

DUTY: Final = "background"
"""The one lease there is: whoever holds it does what is to be done once."""


class Node(NamedTuple):
    """A process that serves; times in ms since 1970 UTC, by the database's clock.

    ``address`` is where it listens, ``on_duty`` whether it does the work in the background.
    """

    node_id: str
    host: str
    pid: int
    address: str
    version: str
    started_ms: int
    seen_ms: int
    on_duty: bool = False


class Change(NamedTuple):
    """A row of another feature's table that was written; ``node_id`` by whom, empty for unknown."""

    change_no: int
    at_ms: int
    node_id: str
    table: str
    key: str
