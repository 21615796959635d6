"""When a connector shows itself: the cadence of its telemetry frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tellus.simulator.chance import seeded
from tellus.simulator.component_report import HealthCadence
from tellus.simulator.frames import build_sample
from tellus.simulator.messages import telemetry_message
from tellus.simulator.stages import PREPARING

if TYPE_CHECKING:
    from tellus.simulator.connector_state import ConnectorState
    from tellus.simulator.stages import Installation


class Display:
    """When a connector's next frame is due, and when its last was sent, or -1."""

    def __init__(self, connector_id: int, home: Installation, now_ms: int) -> None:
        self._cadence = home.cadence
        self._settle_left = 0
        self._health = HealthCadence(home.cadence.health_ms)
        rng = seeded(home.sn, connector_id, "frames", now_ms)
        self.due_ms = now_ms + rng.randrange(home.cadence.idle_ms)
        self.last_ms = -1

    def show(self, now_ms: int) -> None:
        """Send a frame now."""
        self.due_ms = now_ms

    def show_step(self, now_ms: int) -> None:
        """Send a frame now, where every small step is shown."""
        if self._cadence.show_steps:
            self.due_ms = now_ms

    def show_begin(self, now_ms: int) -> None:
        """Send the first frame of a session soon."""
        self.due_ms = now_ms + self._cadence.first_ms

    def show_end(self, now_ms: int) -> None:
        """Send a frame now that a session is over, and more soon after."""
        self._settle_left = self._cadence.settle_frames
        self.due_ms = now_ms

    def after_last_ms(self, now_ms: int) -> int:
        """Return ``now_ms``, or the first moment after the last frame where that is later."""
        return max(now_ms, self.last_ms + 1)

    def send(self, connector: ConnectorState, now_ms: int) -> None:
        """Send a frame, unless one of this moment has been sent."""
        if now_ms <= self.last_ms:
            self.due_ms = self.last_ms + 1
            return
        connector.power.warm(now_ms)
        self.last_ms = now_ms
        self.due_ms = now_ms + self._gap_ms(connector)
        sample = build_sample(connector, now_ms)
        health = self._health.report_if_due(connector, now_ms)
        if health is not None:
            sample.component_health = health
        connector.home.emit(telemetry_message(sample, now_ms))

    def _gap_ms(self, connector: ConnectorState) -> int:
        cadence = self._cadence
        if connector.is_energised or connector.stage in PREPARING:
            return cadence.session_ms
        if self._settle_left > 1:
            self._settle_left -= 1
            return cadence.settle_ms
        self._settle_left = 0
        return cadence.idle_ms
