"""What the folder keeps: sessions as stored, marks, places."""

from typing import NamedTuple

import msgspec

from tellus.energy.model import Doubt, MinuteEnergies

Connector = tuple[int, int]
"""The number of a device, and of its connector."""

MINUTE, QUARTER = "minute", "quarter"
"""How fine the shape of a stored session is."""


class StoredSession(msgspec.Struct, frozen=True, gc=False):
    """A row of a session, its columns in the table's order; ``session_no`` 0 is not stored yet.

    ``site_id`` and ``operator_id`` are where the device stood at the session's start, whose sums
    hold its minutes. ``shape`` are its minutes packed, ``resolution`` how fine they are. Facts up
    to, not including, ``folded_to_ms`` are in it. ``carry`` is how the fold goes on, where it does.
    """

    session_no: int
    session_id: str
    device_no: int
    connector_id: int
    device_id: str
    operator_id: str
    site_id: str
    start_ms: int
    end_ms: int | None
    last_ms: int
    record_id: str | None
    charge_nkwh: int
    discharge_nkwh: int
    peak_nkwh: int
    soc_start_pct: int | None
    soc_end_pct: int | None
    samples: int
    basis: str
    resolution: str
    folded_to_ms: int
    shape: bytes
    carry: bytes | None

    @property
    def connector(self) -> Connector:
        """Return device and connector."""
        return self.device_no, self.connector_id


class Mark(NamedTuple):
    """``[from_ms, to_ms]`` of a connector is to be folded again; ``marks`` counts why.

    Facts at both ends count. ``first_ms`` and ``last_ms`` are when it was first and last marked.
    """

    device_no: int
    connector_id: int
    from_ms: int
    to_ms: int
    marks: int
    first_ms: int
    last_ms: int

    @property
    def connector(self) -> Connector:
        """Return device and connector."""
        return self.device_no, self.connector_id


class PastPlace(NamedTuple):
    """Up to ``until_ms`` a device stood there."""

    until_ms: int
    operator_id: str
    site_id: str


class Home(NamedTuple):
    """What the fold must know of a device: who it is, where it stands and stood, its rating (kW).

    ``past`` is in order of time; ``rated_kw`` holds by connector what its own rating is.
    """

    device_no: int
    device_id: str
    operator_id: str
    site_id: str
    model: str
    device_rated_kw: float | None
    rated_kw: dict[int, float]
    past: tuple[PastPlace, ...]

    def place_at(self, time_ms: int) -> tuple[str, str]:
        """Return operator and site at a time."""
        for place in self.past:
            if place.until_ms > time_ms:
                return place.operator_id, place.site_id
        return self.operator_id, self.site_id


class Change(NamedTuple):
    """What a fold alters in the store for one connector.

    ``before`` are the stored sessions that it was folded from and replaces: it holds only while
    they are stored as they were. ``after`` are those in their place, with the numbers of those that
    go on. ``moved`` is by scope what changes in its minutes. Where a window was folded anew it is
    ``span``, and ``doubts`` replace all those stored in ``judged``, its end excluded; else they are
    more.
    """

    connector: Connector
    before: list[StoredSession]
    after: list[StoredSession]
    doubts: list[Doubt]
    moved: dict[str, MinuteEnergies]
    samples: int
    span: tuple[int, int] | None = None
    judged: tuple[int, int] | None = None
