"""When a charger is dark: rebooting, without power, or with its link down."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from tellus.simulator.agenda import NEVER_MS
from tellus.simulator.breakdown import find_standing_faults
from tellus.simulator.figures import default_figures
from tellus.simulator.planning import follow_plan

if TYPE_CHECKING:
    from tellus.simulator.agenda import Action
    from tellus.simulator.device import ChargerTwin

_FIGURES = default_figures().downtime
_BOOTS_KEPT = 20
_LOST = "the power failed before it was finished"


class PowerState:
    """Whether a charger runs, and whether it can be heard.

    ``is_frozen``: nothing runs, as in a reboot. ``is_dark``: it says nothing, as in a reboot or
    with the link down. ``needs_heartbeat`` asks its link for one.
    """

    def __init__(self, charger: ChargerTwin) -> None:
        self._charger = charger
        self._link_back_ms = 0
        self._lost: list[str] = []
        self._after_boot: list[Action] = []
        self.back_ms: int | None = None
        self.boots = 0
        self.needs_heartbeat = False
        self.is_storming = False
        self.boot_log: deque[tuple[int, str]] = deque(maxlen=_BOOTS_KEPT)

    @property
    def is_frozen(self) -> bool:
        """Return whether the charger is off."""
        return self.back_ms is not None

    @property
    def is_dark(self) -> bool:
        """Return whether the platform can hear nothing of it."""
        return self.is_frozen or self._charger.time_ms < self._link_back_ms

    def go_down(
        self, now_ms: int, off_s: float, then: Action | None = None, reason: str = "remote"
    ) -> None:
        """Turn off for a while; sessions end as ``reason``, vehicles stay plugged in."""
        if then is not None:
            self._after_boot.append(then)
        if self.is_frozen:
            return
        charger = self._charger
        for connector in charger.connectors:
            connector.cut(now_ms, reason, "the charger restarted")
            connector.is_out_of_service = False
            connector.fault_code = None
        self._lost = charger.agenda.forget_commands()
        self.back_ms = now_ms + round(1000 * off_s)
        self.boot_log.append((self.back_ms, reason))

    def boot_if_due(self, now_ms: int) -> None:
        """Start up once the time has come."""
        if self.back_ms is None or now_ms < self.back_ms:
            return
        self.back_ms = None
        self.boots += 1
        self.needs_heartbeat = True
        charger = self._charger
        charger.is_upgrading = False
        for command_id in self._lost:
            details = {"reason": "power_loss"}
            charger.connectors[0].report(command_id, "failed", now_ms, _LOST, details)
        actions, self._after_boot, self._lost = self._after_boot, [], []
        for action in actions:
            action(now_ms)
        for connector in charger.connectors:
            connector.bounds.begin_anew(now_ms)
            find_standing_faults(connector, now_ms)
            follow_plan(connector, now_ms)
            connector.show(now_ms)

    def cut_power(self, now_ms: int) -> None:
        """Lose the supply and come back after a boot; what commands had begun fails."""
        self.go_down(now_ms, _FIGURES.reboot_s, reason="power_loss")

    def drop_link(self, now_ms: int, off_s: float | None, then: Action | None = None) -> None:
        """Be unheard for a while, or until ``restore_link``; everything else goes on."""
        if off_s is None:
            self._link_back_ms = NEVER_MS
            return
        self._link_back_ms = now_ms + round(1000 * off_s)

        def back(back_ms: int) -> None:
            self.needs_heartbeat = True
            if then is not None:
                then(back_ms)

        self._charger.agenda.at(self._link_back_ms, back)

    def restore_link(self) -> None:
        """Be heard again."""
        self._link_back_ms = 0
        self.needs_heartbeat = True
