"""What binds a connector from outside: the limits of controls, and its stored plans."""

from __future__ import annotations

import math

from tellus.simulator.agenda import NEVER_MS
from tellus.simulator.limits import PowerLimit, lowest_kw, next_end_ms
from tellus.simulator.schedule import Plan, Window


class Bounds:
    """The limit in force and the window of a plan, kept until ``due_ms``; survives a reboot."""

    def __init__(self) -> None:
        self.limits: tuple[PowerLimit, ...] = ()
        self.plans: dict[str, Plan] = {}
        self.limit_kw = math.inf
        self.window: Window | None = None
        self.plan: Plan | None = None
        self.due_ms = NEVER_MS
        self._served: tuple[str, int] | None = None

    def refresh(self, now_ms: int) -> None:
        """Bring limit and window up to ``now_ms``."""
        self.limit_kw = lowest_kw(self.limits, now_ms)
        self.due_ms = next_end_ms(self.limits, now_ms)
        self.window = self.plan = None
        for plan in self.plans.values():
            self.due_ms = min(self.due_ms, plan.next_change_ms(now_ms))
            window = plan.window_at(now_ms)
            if window is not None and self.window is None:
                self.window, self.plan = window, plan
        if self.window is not None:
            is_idle = self.window.slot.action == "idle"
            self.limit_kw = min(self.limit_kw, 0.0 if is_idle else self.window.slot.limit_kw)

    def set_limits(self, limits: tuple[PowerLimit, ...], now_ms: int) -> None:
        """Replace the limits of all controls."""
        self.limits = limits
        self.refresh(now_ms)

    def store(self, schedule_id: str, plan: Plan | None, now_ms: int) -> None:
        """Keep a plan under its id, replacing an older one; None removes it."""
        self.plans.pop(schedule_id, None)
        if self._served is not None and self._served[0] == schedule_id and plan is None:
            self._served = None
        if plan is not None:
            self.plans[schedule_id] = plan
        self.refresh(now_ms)

    def begin_anew(self, now_ms: int) -> None:
        """Bring everything up to ``now_ms`` after a boot: the present window asks again."""
        self._served = None
        self.refresh(now_ms)

    def take_turn(self) -> bool:
        """Return whether the window is yet to be acted upon, and count it as done from now on."""
        if self.plan is None or self.window is None or not self.has_turn:
            return False
        self._served = (self.plan.schedule_id, self.window.end_ms)
        return True

    @property
    def has_turn(self) -> bool:
        """Return whether the present window asks for something that has not been done."""
        if self.plan is None or self.window is None or self.window.slot.action == "idle":
            return False
        return self._served != (self.plan.schedule_id, self.window.end_ms)
