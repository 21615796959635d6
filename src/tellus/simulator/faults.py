"""What goes wrong with commands at one charger: by chance, or because it was told to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tellus.simulator.chance import uniform_ms
from tellus.simulator.messages import Message

if TYPE_CHECKING:
    from random import Random

    from tellus.simulator.device import ChargerTwin
    from tellus.simulator.figures import CommandFaults


class FaultDice:
    """The command faults of a charger.

    The ``next_`` counters say how many of the coming commands or reports are struck for certain.
    """

    def __init__(self, charger: ChargerTwin, figures: CommandFaults, rng: Random) -> None:
        self.figures = figures
        self.rng = rng
        self.next_rejects = 0
        self.next_lost_reports = 0
        self.next_duplicate_reports = 0
        self.next_power_cuts = 0
        self.next_lost_commands = 0
        self.next_delays_s: list[float] = []
        self._charger = charger

    def strikes(self, ratio: float) -> bool:
        """Draw once; without a chance nothing is drawn."""
        return ratio > 0.0 and self.rng.random() < ratio

    @property
    def loses_command(self) -> bool:
        """Return whether this command never got here, and count it."""
        if self.next_lost_commands == 0:
            return False
        self.next_lost_commands -= 1
        return True

    def draw_delay_ms(self) -> int:
        """Return how long this command is left lying."""
        if self.next_delays_s:
            return round(1000 * self.next_delays_s.pop(0))
        if self.strikes(self.figures.slow_ratio):
            return uniform_ms(self.rng, self.figures.slow_s)
        return 0

    @property
    def refuses(self) -> bool:
        """Return whether this command is to be refused, and count it."""
        if self.next_rejects > 0:
            self.next_rejects -= 1
            return True
        return self.strikes(self.figures.reject_ratio)

    def pass_on(self, message: Message, now_ms: int) -> None:
        """Let a command status out: once, twice, or at first not at all and then again."""
        outbox = self._charger.outbox
        if self._loses():
            due_ms = now_ms + round(1000 * self.figures.repeat_after_s)
            self._charger.agenda.at(due_ms, lambda _: self._charger.outbox.append(message))
            return
        outbox.append(message)
        if self._doubles():
            outbox.append(msgspec.structs.replace(message))

    def _loses(self) -> bool:
        if self.next_lost_reports > 0:
            self.next_lost_reports -= 1
            return True
        return self.strikes(self.figures.lost_report_ratio)

    def _doubles(self) -> bool:
        if self.next_duplicate_reports > 0:
            self.next_duplicate_reports -= 1
            return True
        return self.strikes(self.figures.duplicate_report_ratio)

    def after_acceptance(self, now_ms: int) -> None:
        """Perhaps cut the power soon after a command was taken."""
        if self.next_power_cuts > 0:
            self.next_power_cuts -= 1
        elif not self.strikes(self.figures.power_cut_ratio):
            return
        due_ms = now_ms + uniform_ms(self.rng, self.figures.power_cut_after_s)
        self._charger.agenda.at(due_ms, self._charger.power_state.cut_power)
