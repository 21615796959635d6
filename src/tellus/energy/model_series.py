"""Aggregated energy as operators ask for it and get it."""

import enum
from collections.abc import Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tellus.kernel.units import MINUTE_MS

POINTS_LARGEST = 20_000
"""How many points (buckets times groups) an answer may have."""


class Granularity(enum.StrEnum):
    """How long a bucket lasts."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


class Grouping(enum.StrEnum):
    """By what the points are told apart."""

    SITE = "site"
    OPERATOR = "operator"


class Wanted(NamedTuple):
    """What is asked for: an operator's energy in ``[from_ms, to_ms)``, as of ``now_ms``.

    ``site_ids`` None means all sites, ``zone`` None means UTC. The sums of ``withheld`` sites are
    not to be shown: an owner of a device there has not agreed.
    """

    operator_id: str
    granularity: Granularity
    from_ms: int
    to_ms: int
    now_ms: int
    group_by: Grouping | None = None
    site_ids: frozenset[str] | None = None
    zone: ZoneInfo | None = None
    withheld: frozenset[str] = frozenset()

    @property
    def until_ms(self) -> int:
        """Return ``to_ms``, or the end of its minute if that is not over: nothing comes later."""
        return self.to_ms if self.to_ms < self.now_ms else -(-self.to_ms // MINUTE_MS) * MINUTE_MS


class Totals(NamedTuple):
    """Sums over the whole range (kWh), and the largest of the powers (kW)."""

    charge_kwh: float
    discharge_kwh: float
    max_power_kw: float


class Group(NamedTuple):
    """The energy of a site, an operator, or all that was asked for, by bucket.

    Energies (kWh) are at least 0. ``max_power_kw`` is the largest of both directions, at least 0,
    ``avg_power_kw`` is positive into the vehicles.
    """

    group_id: str
    charge_kwh: Sequence[float]
    discharge_kwh: Sequence[float]
    max_power_kw: Sequence[float]
    avg_power_kw: Sequence[float]
    total: Totals


class Aggregate(NamedTuple):
    """The answer: what the buckets are called, each group's values for them, and the sums.

    Groups are in order of their identifiers; without grouping there is one without a name.
    """

    labels: Sequence[str]
    groups: Sequence[Group]
    total: Totals


class HourSlice(NamedTuple):
    """Quarters ``[first, last)`` of each hour that starts in ``[from_ms, to_ms)``.

    Those of the hour at ``hour_ms`` belong to ``bucket + (hour_ms - origin_ms) // stride_ms``.
    Where not ``has_peaks``, the sums do not hold their largest power.
    """

    from_ms: int
    to_ms: int
    first: int
    last: int
    origin_ms: int
    stride_ms: int
    bucket: int
    has_peaks: bool


class BucketSums(NamedTuple):
    """What of a scope's bucket was added up (nano-kWh); the peak is that of one minute."""

    scope_id: str
    bucket: int
    charge_nkwh: int
    discharge_nkwh: int
    peak_nkwh: int


class Running(NamedTuple):
    """A stored session that runs at some time: where it is, when, and its shape."""

    device_no: int
    connector_id: int
    operator_id: str
    site_id: str
    start_ms: int
    end_ms: int | None
    last_ms: int
    samples: int
    resolution: str
    shape: bytes

    @property
    def connector(self) -> tuple[int, int]:
        """Return device and connector."""
        return self.device_no, self.connector_id
