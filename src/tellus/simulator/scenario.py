"""Who plugs in when, for how long, and for how much: drawn from a scenario's usage figures.

A visit depends only on (seed, serial number, connector, arrival), never on when it is asked for,
so that a computed past and a live fleet tell one story.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from tellus.simulator.chance import (
    beta_quantile,
    correlated,
    normal_share,
    pick_weighted,
    poisson,
    quantile,
    seeded,
)
from tellus.simulator.vehicles import draw_class, draw_vin

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from random import Random

    from tellus.simulator.figures import Scenario, Usage, VehicleClass

# Fitted to public DC sessions: Beta(1.720, 3.338) of the charge on arrival, rank correlations.
_SOC_ALPHA, _SOC_BETA = 1.720, 3.338
_STAY_ENERGY_RHO = 0.66
_ENERGY_SOC_RHO = -0.40
_HIGHEST_ARRIVAL_SOC = 96.0
_LOWEST_ARRIVAL_SOC = 2.0
_SHORTEST_DWELL_MS = 90_000
_LONGEST_DWELL_MS = 20 * 3_600_000
_DAYS_AHEAD = 60


class Visit(NamedTuple):
    """One vehicle's stay. ``demand_kwh`` is what its driver came for."""

    arrive_ms: int
    depart_ms: int
    vehicle: VehicleClass
    soc_pct: float
    demand_kwh: float
    vin: str
    rng: Random


class Visits:
    """The visits of one connector; ``key`` is (seed, serial number, connector id)."""

    def __init__(
        self,
        key: tuple[int, str, int],
        kind: str,
        usage: Usage,
        scenario: Scenario,
        timezone: str = "UTC",
    ) -> None:
        self._key = key
        self._kind = kind
        self._usage = usage
        self._scenario = scenario
        self._zone = ZoneInfo(timezone)
        self._day_cache: tuple[date, list[int]] | None = None

    def next_after(self, time_ms: int) -> Visit | None:
        """Return the first visit that arrives later than ``time_ms``, or None within 60 days."""
        if self._usage.gap_s:
            rng = seeded(*self._key, "gap", time_ms)
            gap_s = quantile(self._usage.gap_s, rng.random())
            return self.visit_at(time_ms + max(1000, round(1000 * gap_s)))
        first = datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(self._zone).date()
        for ahead in range(_DAYS_AHEAD):
            for arrive_ms in self._arrivals_on(first + timedelta(days=ahead)):
                if arrive_ms > time_ms:
                    return self.visit_at(arrive_ms)
        return None

    def visit_at(self, arrive_ms: int) -> Visit:
        """Draw the visit that arrives at that time."""
        rng = seeded(*self._key, "visit", arrive_ms)
        vehicle = draw_class(rng, self._kind)
        stay_z = rng.gauss(0.0, 1.0)
        energy_z = correlated(rng, stay_z, _STAY_ENERGY_RHO)
        soc_z = correlated(rng, energy_z, _ENERGY_SOC_RHO)
        dwell_ms = round(1000 * quantile(self._usage.dwell_s, normal_share(stay_z)))
        dwell_ms = min(max(dwell_ms, _SHORTEST_DWELL_MS), _LONGEST_DWELL_MS)
        demand_kwh = max(0.5, quantile(self._usage.energy_kwh, normal_share(energy_z)))
        soc_pct = 100.0 * beta_quantile(_SOC_ALPHA, _SOC_BETA, normal_share(soc_z))
        # A driver who came for much energy did not arrive nearly full.
        room_pct = 100.0 - 100.0 * min(1.0, demand_kwh / vehicle.battery_kwh)
        soc_pct = min(soc_pct, max(room_pct, _LOWEST_ARRIVAL_SOC), _HIGHEST_ARRIVAL_SOC)
        soc_pct = max(soc_pct, _LOWEST_ARRIVAL_SOC)
        vin = draw_vin(rng)
        return Visit(arrive_ms, arrive_ms + dwell_ms, vehicle, soc_pct, demand_kwh, vin, rng)

    def _arrivals_on(self, day: date) -> Sequence[int]:
        if self._day_cache is not None and self._day_cache[0] == day:
            return self._day_cache[1]
        rng = seeded(*self._key, "day", day)
        count = poisson(rng, self._usage.rate_per_day * self._scenario.arrival_factor_ratio)
        peaks = self._usage.arrivals
        weights = [peak.weight for peak in peaks]
        midnight = datetime(day.year, day.month, day.day, tzinfo=self._zone)
        arrivals = []
        for _ in range(count):
            peak = peaks[pick_weighted(rng, weights)]
            hour = rng.gauss(peak.mean_h, peak.sigma_h) % 24.0
            wall = midnight + timedelta(hours=hour)
            arrivals.append(round(1000 * wall.timestamp()))
        arrivals.sort()
        self._day_cache = (day, arrivals)
        return arrivals
