"""The words of detection: what waits to be looked at, what was seen, what is the case."""

import enum
from typing import Any, Final, NamedTuple

import msgspec

SITE_NETWORK: Final = "site_network"
GRID: Final = "grid"
FIRMWARE: Final = "firmware"
_LARGER: Final = frozenset({SITE_NETWORK, GRID, FIRMWARE})

CONTACTOR_WEAR: Final = "contactor_wear"
STUCK_PREPARING: Final = "stuck_preparing"
"""What the platform finds beside the codes of the dictionary."""

RELEASED: Final = ""
"""What a condition is folded into that was part of something that is over, and is so still."""


class ItemKind(enum.StrEnum):
    """What an item of the inbox asks to be looked at.

    ``fault``: a fault event. ``heartbeat``: a heartbeat's new word of a fault. ``record``: a
    charging record that did not end cleanly. ``stop``: a connector whose session ended. ``frame``:
    a connector that is energised without current. ``heat``: a connector that is hot. ``fan``: a
    device whose fan was slow. ``config``: a device whose configuration was told or assigned.
    ``wear``: a connector whose contactor has made much of its rated life. ``prepare``: a connector
    that somebody plugged in at.
    """

    FAULT = "fault"
    HEARTBEAT = "heartbeat"
    RECORD = "record"
    STOP = "stop"
    FRAME = "frame"
    HEAT = "heat"
    FAN = "fan"
    CONFIG = "config"
    WEAR = "wear"
    PREPARE = "prepare"


class Item(NamedTuple):
    """Something that waits to be looked at from ``due_ms`` on; ``content`` is JSON.

    Of one kind, place and ``ref`` there is one item; what comes again while it waits adds to
    ``marks`` and replaces the content.
    """

    kind: str
    device_no: int
    connector_id: int
    ref: str
    due_ms: int
    content: str
    item_no: int = 0
    marks: int = 1


class FaultTold(msgspec.Struct, frozen=True):
    """A fault as an event told of it; ``details`` are the event's own, without what is long."""

    code: str
    origin: str
    time_ms: int
    received_ms: int
    message: str = ""
    details: dict[str, Any] = {}


class HeartbeatTold(msgspec.Struct, frozen=True):
    """What a heartbeat newly said; ``code`` is empty where it names no fault."""

    code: str
    status: str
    time_ms: int


class RecordTold(msgspec.Struct, frozen=True):
    """A charging record that did not end cleanly."""

    record_id: str
    stop_reason: str
    start_ms: int
    end_ms: int
    received_ms: int
    details: Any = None


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A fault that was seen at a device (connector 0: the whole device).

    ``repeats``: each sighting is news, as with events of chargers; otherwise only that it began, or
    that what is in ``evidence['mark']`` is another. ``severity`` is empty where the code's holds.
    ``at_power_up``: the charger had just come online, and nobody had plugged in since.
    """

    code: str
    device_no: int
    connector_id: int
    found_by: str
    at_ms: int
    note: str = ""
    evidence: dict[str, Any] = {}
    repeats: bool = False
    severity: str = ""
    at_power_up: bool = False


class Gone(NamedTuple):
    """A fault that is no longer so."""

    code: str
    device_no: int
    connector_id: int
    at_ms: int


class Condition(NamedTuple):
    """A fault that is so, or was until ``cleared_ms``.

    ``since_ms`` and ``last_ms`` are by the clock of the fact, ``seen_ms`` by the platform's:
    when it was last taken in. ``told_ms`` is None while nobody was told yet, because it may turn
    out to be part of something larger; ``folded`` is the matter that it is part of, ``RELEASED``
    once that is over.
    """

    operator_id: str
    matter: str
    code: str
    device_no: int
    connector_id: int
    site_id: str
    found_by: str
    since_ms: int
    last_ms: int
    seen_ms: int
    told_ms: int | None
    folded: str | None
    cleared_ms: int | None
    content: str

    @property
    def is_present(self) -> bool:
        """Tell whether it is still so."""
        return self.cleared_ms is None

    @property
    def is_larger(self) -> bool:
        """Tell whether it is about more than one device; chargers may send codes of any name."""
        return not self.device_no and self.code in _LARGER


class Verdict(msgspec.Struct, frozen=True):
    """What a detector says: ``present`` None where it cannot tell from what it was shown."""

    present: bool | None
    at_ms: int = 0
    note: str = ""
    evidence: dict[str, Any] = {}


UNTOLD: Final = Verdict(None)


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The thresholds of one model; the names are the dictionary's."""

    residual_voltage_v: float
    residual_frames: float
    connector_c: float
    cabinet_critical_c: float
    fan_nominal_rpm: float
    fan_least_pct: float
    fan_low_for_s: float
    area_km: float
    contactor_cycles: float


class Count(NamedTuple):
    """How often something happened to a device on a day while a firmware ran; code '' is starts."""

    device_no: int
    day_ms: int
    firmware_version: str
    code: str
    times: int
    at_ms: int


class Turn(NamedTuple):
    """An event of a connector that tells how far a vehicle came."""

    event_type: str
    time_ms: int
