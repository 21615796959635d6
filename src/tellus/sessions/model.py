"""The words of charging records."""

import enum
from typing import Any, Final, NamedTuple

import msgspec

MOST_ENERGY_KWH: Final = 1_000_000.0
"""More than any session moves: over a megawatt for a month."""


class Flag(enum.StrEnum):
    """What looked wrong about a record; it is stored all the same.

    ``clock_suspect``: a time lies more than 5 minutes in the platform's future.
    ``energy_implausible``: over a million kWh. ``energy_mismatch``: energy and meter difference
    disagree. ``negative_duration``: it ends before it starts. ``repeated_differently``: the same
    ``record_id`` came again with other content.
    """

    CLOCK_SUSPECT = "clock_suspect"
    ENERGY_IMPLAUSIBLE = "energy_implausible"
    ENERGY_MISMATCH = "energy_mismatch"
    NEGATIVE_DURATION = "negative_duration"
    REPEATED_DIFFERENTLY = "repeated_differently"


class Outcome(enum.StrEnum):
    """What became of an uploaded record."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


class VinMode(enum.StrEnum):
    """How much of a VIN a client is shown."""

    FULL = "full"
    MASKED = "masked"
    NONE = "none"


class Source(NamedTuple):
    """The charger a record comes from, and where it stood when the record arrived."""

    device_no: int
    device_id: str
    operator_id: str
    site_id: str


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What a charger sent, normalised.

    Times are ms since 1970 UTC, energies and meter readings kWh, powers kW (positive into the
    vehicle), states of charge percent. ``extras`` and ``vehicle_extras`` are the properties that
    the contract does not name, as sent.
    """

    record_id: str
    connector_id: int
    start_ms: int
    end_ms: int
    energy_kwh: float
    max_power_kw: float
    avg_power_kw: float | None = None
    cost: float | None = None
    meter_start_kwh: float | None = None
    meter_end_kwh: float | None = None
    soc_start_pct: int | None = None
    soc_end_pct: int | None = None
    vin: str | None = None
    extras: dict[str, Any] = {}
    vehicle_extras: dict[str, Any] = {}


class ChargingRecord(NamedTuple):
    """A stored record: where it came from, what it says, what looked wrong, when it arrived."""

    source: Source
    content: Content
    flags: tuple[str, ...]
    received_ms: int


class RecordsStored(NamedTuple):
    """Fact: these records are new; repeats are not among them."""

    records: tuple[ChargingRecord, ...]


class RecordFilter(NamedTuple):
    """Which records of an operator to list; None admits all. Times: start in ``[from, to)``, ms.

    ``withheld`` are devices to leave out.
    """

    operator_id: str
    device_no: int | None = None
    connector_id: int | None = None
    site_id: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    withheld: tuple[int, ...] = ()


class Position(NamedTuple):
    """Where a record stands in the list: newest first, then by id."""

    start_ms: int
    record_id: str
    device_no: int
