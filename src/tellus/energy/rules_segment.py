"""A stretch of samples without a boundary between: what its counter says (rules 3 and 4)."""

import msgspec

from tellus.energy.model import Point, Reason
from tellus.energy.rules_account import Account
from tellus.energy.rules_bins import Grid
from tellus.energy.rules_judge import Believed, judge

_TRAPEZOID_GAP_MS = 15_000


class Segment(msgspec.Struct, array_like=True):
    """Where a stretch stands.

    ``base_ms`` and ``base_nkwh`` are the last counter that counts: of a sample or, where
    ``is_from_zero``, of the start or idle sample at which the counter is 0. A drop while charging
    waits in ``drop_ms`` and ``drop_nkwh`` until the next sample tells a dip from a reset.
    """

    is_from_zero: bool = False
    base_ms: int | None = None
    base_nkwh: int = 0
    top_nkwh: int = 0
    drop_ms: int | None = None
    drop_nkwh: int = 0
    heading: int = 0
    sample_ms: int | None = None
    sample_mw: int = 0
    soc_ms: int | None = None
    soc_pct: int | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether the next sample meets nothing but the last counter and a known direction."""
        return (
            self.sample_ms is not None
            and self.drop_ms is None
            and self.heading != 0
            and not self.is_from_zero
        )

    def _believed(self, point: Point) -> Believed:
        """Return what a sample is judged by; at the instant of the zero its counter is not."""
        base_ms, base_nkwh, top_nkwh = self.base_ms, self.base_nkwh, self.top_nkwh
        if base_ms is None or (self.is_from_zero and base_ms == point.time_ms):
            return Believed(soc_ms=self.soc_ms, soc_pct=self.soc_pct)
        if self.drop_ms is not None and point.energy_nkwh < base_nkwh:
            base_ms, base_nkwh = self.drop_ms, self.drop_nkwh
        return Believed(base_ms, base_nkwh, top_nkwh, self.soc_ms, self.soc_pct)

    def add(
        self, point: Point, account: Account, grid: Grid, limit_mw: int | None
    ) -> Reason | None:
        """Count a sample; where it cannot be believed leave it out and say why."""
        heading = point.heading or self.heading
        reason = judge(point, limit_mw, self._believed(point), heading)
        if reason is not None:
            return reason
        time_ms, energy_nkwh = point.time_ms, point.energy_nkwh
        self.heading = heading
        self._note(point, account, grid)
        if self.base_ms is None:
            self.base_ms, self.base_nkwh, self.top_nkwh = time_ms, energy_nkwh, energy_nkwh
            return None
        if self.is_from_zero and time_ms == self.base_ms:
            return None  # at that very instant the counter is 0, whatever a sample says
        self.is_from_zero = False
        self.top_nkwh = max(self.top_nkwh, energy_nkwh)
        self._resolve_drop(energy_nkwh, account)
        if heading >= 0 and energy_nkwh < self.base_nkwh:
            self.drop_ms, self.drop_nkwh = time_ms, energy_nkwh
            return None
        moved_nkwh = abs(energy_nkwh - self.base_nkwh)
        account.count_counter(grid, (self.base_ms, time_ms), moved_nkwh, heading)
        self.base_ms, self.base_nkwh = time_ms, energy_nkwh
        return None

    def end_idle(
        self, point: Point, account: Account, grid: Grid, limit_mw: int | None
    ) -> Reason | None:
        """Count what the counter moved up to the idle sample that ends the stretch.

        That is what it grew, and after discharging also what it fell; but a counter that is back at
        0, from whichever side, has begun anew. Only this is judged, and the power: an idle
        connector may show any counter and any state of charge.
        """
        if limit_mw is not None and abs(point.power_mw) > limit_mw:
            return Reason.POWER
        if self.base_ms is None or (self.is_from_zero and point.time_ms == self.base_ms):
            return None
        self._resolve_drop(point.energy_nkwh, account)
        moved_nkwh = point.energy_nkwh - self.base_nkwh
        if self.heading < 0:
            moved_nkwh = abs(moved_nkwh)
        if moved_nkwh < 0 or (self.base_nkwh and not point.energy_nkwh):
            return None
        if self.heading:
            believed = self._believed(point)
            reason = judge(point._replace(soc_pct=None), limit_mw, believed, self.heading)
            if reason is not None:
                return reason
            account.last_ms = point.time_ms
        account.count_counter(grid, (self.base_ms, point.time_ms), moved_nkwh, self.heading)
        return None

    def _note(self, point: Point, account: Account, grid: Grid) -> None:
        """Note the sample itself, and what its power says of the time since the last."""
        time_ms = point.time_ms
        if account.start_ms is None:
            account.start_ms = time_ms
            is_zero_told = point.energy_nkwh == 0 or (self.heading == 0 < point.energy_nkwh)
            if self.base_ms is not None and not is_zero_told:
                account.start_ms = self.base_ms
        account.notice(time_ms, 1, point.soc_pct, point.soc_pct)
        account.has_heading = account.has_heading or self.heading != 0
        if self.sample_ms is not None and not account.has_moved:
            gap_ms = time_ms - self.sample_ms
            if gap_ms <= _TRAPEZOID_GAP_MS:
                span_ms = (self.sample_ms, time_ms)
                account.count_power(grid, span_ms, self.sample_mw + point.power_mw)
        self.sample_ms, self.sample_mw = time_ms, point.power_mw
        if point.soc_pct is not None:
            self.soc_ms, self.soc_pct = time_ms, point.soc_pct

    def _resolve_drop(self, energy_nkwh: int, account: Account) -> None:
        """Tell a dip, which is forgotten, from a reset, from which counting goes on."""
        if self.drop_ms is None:
            return
        if energy_nkwh < self.base_nkwh and self.base_ms is not None:
            account.cover(self.base_ms, self.drop_ms)
            self.base_ms, self.base_nkwh = self.drop_ms, self.drop_nkwh
        self.drop_ms = None
