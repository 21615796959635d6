"""What is counted for one session: of the counter and of the power, until one of them decides."""

import msgspec
from msgspec.structs import replace

from tellus.energy.model import Basis, MinuteEnergies, RecordSpan, Session
from tellus.energy.rules_bins import MINUTE_MS, Bins, Grid, merged, spread
from tellus.energy.rules_settle import Spans, cover, settle

_MW_MS_PER_HALF_NKWH = 7200


class Account(msgspec.Struct, array_like=True):
    """A session in the making.

    The power counts only as long as the counter has not moved; then it is dropped. What time is
    covered matters only to a record, which is settled by it.
    """

    record: RecordSpan | None = None
    is_started: bool = False
    start_ms: int | None = None
    last_ms: int = 0
    has_moved: bool = False
    has_heading: bool = False
    samples: int = 0
    soc_start_pct: int | None = None
    soc_end_pct: int | None = None
    charge: Bins = {}
    discharge: Bins = {}
    covered: Spans = []
    power_charge: Bins = {}
    power_discharge: Bins = {}
    power_covered: Spans = []

    def count_counter(self, grid: Grid, span_ms: tuple[int, int], nkwh: int, heading: int) -> None:
        """Count what the counter says of the time between two samples."""
        from_ms, to_ms = span_ms
        if nkwh and heading:
            self.decide()
            spread(self.charge if heading > 0 else self.discharge, grid, from_ms, to_ms, nkwh)
        self.cover(from_ms, to_ms)

    def count_power(self, grid: Grid, span_ms: tuple[int, int], sum_mw: int) -> None:
        """Count the trapezoid under the power between two samples, given the sum of both."""
        from_ms, to_ms = span_ms
        nkwh = (abs(sum_mw) * (to_ms - from_ms) + _MW_MS_PER_HALF_NKWH // 2) // _MW_MS_PER_HALF_NKWH
        if nkwh:
            bins = self.power_charge if sum_mw > 0 else self.power_discharge
            spread(bins, grid, from_ms, to_ms, nkwh)
        if self.record is not None:
            cover(self.power_covered, from_ms, to_ms)

    def cover(self, from_ms: int, to_ms: int) -> None:
        """Note that the counter is known at both ends of a span."""
        if self.record is not None:
            cover(self.covered, from_ms, to_ms)

    def decide(self) -> None:
        """Go by the counter from now on, and for what was so far."""
        if not self.has_moved:
            self.has_moved = True
            self.power_charge, self.power_discharge, self.power_covered = {}, {}, []

    def notice(
        self, time_ms: int, samples: int, first_soc_pct: int | None, last_soc_pct: int | None
    ) -> None:
        """Note samples, the last of which came at a time."""
        self.samples += samples
        self.last_ms = time_ms
        if self.soc_start_pct is None:
            self.soc_start_pct = first_soc_pct
        if last_soc_pct is not None:
            self.soc_end_pct = last_soc_pct

    @property
    def has_energy(self) -> bool:
        """Whether anything moved."""
        return bool(self.has_moved or self.power_charge or self.power_discharge)

    @property
    def is_session(self) -> bool:
        """Whether there is anything to tell: a record, a start, a direction or energy."""
        if self.record is not None or self.is_started or self.has_energy:
            return True
        return self.has_heading and self.start_ms is not None and self.start_ms < self.last_ms

    def bins(self, grid: Grid) -> tuple[Bins, Bins]:
        """Return energy in and out by bins, settled where there is a record."""
        by_counter = (self.charge, self.discharge, self.covered)
        by_power = (self.power_charge, self.power_discharge, self.power_covered)
        charge, discharge, covered = by_counter if self.has_moved else by_power
        if self.record is None:
            return charge, discharge
        return settle(charge, discharge, covered, self.record, grid)

    def session(self, grid: Grid, end_ms: int | None) -> Session:
        """Return the session as far as it is known."""
        charge, discharge = self.bins(grid)
        minutes = merged(charge, discharge)
        record = self.record
        if record is None:
            is_by_power = bool(minutes) and not self.has_moved
            return Session(
                start_ms=self.last_ms if self.start_ms is None else self.start_ms,
                end_ms=end_ms,
                last_ms=self.last_ms,
                record_id=None,
                basis=Basis.POWER if is_by_power else Basis.COUNTER,
                minutes=minutes,
                samples=self.samples,
                soc_start_pct=self.soc_start_pct,
                soc_end_pct=self.soc_end_pct,
            )
        soc_start_pct, soc_end_pct = record.soc_start_pct, record.soc_end_pct
        return Session(
            start_ms=record.start_ms,
            end_ms=end_ms,
            last_ms=max(self.last_ms, record.start_ms) if end_ms is None else end_ms,
            record_id=record.record_id,
            basis=Basis.RECORD,
            minutes=minutes,
            samples=self.samples,
            soc_start_pct=self.soc_start_pct if soc_start_pct is None else soc_start_pct,
            soc_end_pct=self.soc_end_pct if soc_end_pct is None else soc_end_pct,
        )

    def without_energy(self) -> "Account":
        """Return what has to be kept beside the session's own minutes."""
        return replace(self, charge={}, discharge={}, power_charge={}, power_discharge={})

    def with_energy(self, minutes: MinuteEnergies) -> "Account":
        """Return the account as it was before its minutes were left out."""
        charge = {number * MINUTE_MS: into for number, (into, _) in minutes.items() if into}
        discharge = {number * MINUTE_MS: out for number, (_, out) in minutes.items() if out}
        if self.has_moved:
            return replace(self, charge=charge, discharge=discharge)
        return replace(self, power_charge=charge, power_discharge=discharge)
