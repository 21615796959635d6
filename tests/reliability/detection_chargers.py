"""Chargers of the detection scenarios: what they send by themselves, with noise and losses.

Nothing here knows a detector: the figures are those of chargers and of the physics around them.
"""

from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field
from random import Random

from tellus.commands.model import Running
from tellus.fleet.directory import Device
from tellus.fleet.model_health import ComponentHealth
from tests.reliability.detection_world import DetectionWorld

IDLE_EVERY_S, BUSY_EVERY_S, BEAT_EVERY_S = 60, 15, 30
LOST_FRAMES, REPEATED_FRAMES, LOST_BEATS = 0.06, 0.02, 0.03


@dataclass
class Outlet:
    """A connector: what its sensors would show without noise."""

    state: str = "idle"
    voltage: float = 0.0
    current: float = 0.0
    temperature: float = 28.0
    detail: str | None = None
    next_s: float = 0.0


@dataclass
class Charger:
    """A device, what it shows, and when it is silent."""

    device: Device
    rng: Random
    outlets: dict[int, Outlet] = field(default_factory=lambda: {1: Outlet(), 2: Outlet()})
    fan_rpm: float | None = None
    code: int | str = 0
    status: str = "online"
    running: Running | None = None
    silent_from_s: float = 1e9
    silent_to_s: float = 1e9
    next_beat_s: float = 0.0

    def __post_init__(self) -> None:
        self.next_beat_s = self.rng.uniform(0, BEAT_EVERY_S)
        for outlet in self.outlets.values():
            outlet.next_s = self.rng.uniform(0, IDLE_EVERY_S)
            outlet.temperature = self.rng.uniform(18, 38)

    @property
    def is_ac(self) -> bool:
        return self.device.model == "TP-AC22"

    def is_silent(self, now_s: float) -> bool:
        return self.silent_from_s <= now_s < self.silent_to_s

    def charge(self, connector_id: int = 1) -> None:
        """Begin to charge, as far as the sensors tell."""
        outlet = self.outlets[connector_id]
        outlet.state = "charging"
        outlet.voltage = 230.0 if self.is_ac else self.rng.uniform(320, 780)
        outlet.current = 30.0 if self.is_ac else self.rng.uniform(40, 220)
        outlet.next_s = 0.0

    def rest(self, connector_id: int = 1) -> None:
        """End charging, as far as the sensors tell."""
        outlet = self.outlets[connector_id]
        outlet.state, outlet.voltage, outlet.current = "idle", 0.0, 0.0

    def work(self, world: DetectionWorld, now_s: float, step_s: float) -> Iterator[Awaitable[None]]:
        """What is sent within the step that ends now."""
        if self.is_silent(now_s):
            return
        while self.next_beat_s <= now_s:
            self.next_beat_s += BEAT_EVERY_S
            if self.rng.random() >= LOST_BEATS:
                yield world.heartbeat(self.device, self.code, self.running, self.status)
        for connector_id, outlet in self.outlets.items():
            outlet.next_s = max(outlet.next_s, now_s - step_s)
            while outlet.next_s <= now_s:
                ago_ms = round((now_s - outlet.next_s) * 1000)
                outlet.next_s += BUSY_EVERY_S if outlet.state == "charging" else IDLE_EVERY_S
                yield from self.frame(world, connector_id, ago_ms)

    def frame(
        self, world: DetectionWorld, connector_id: int, ago_ms: int = 0
    ) -> Iterator[Awaitable[None]]:
        """A frame with noise; some are lost, some come twice."""
        if self.rng.random() < LOST_FRAMES:
            return
        outlet, rng = self.outlets[connector_id], self.rng
        health = None
        if self.fan_rpm is not None:
            health = ComponentHealth(cooling_fan_rpm=self.fan_rpm * rng.uniform(0.98, 1.02))
        times = 2 if rng.random() < REPEATED_FRAMES else 1
        voltage = outlet.voltage * rng.gauss(1, 0.004) + abs(rng.gauss(0, 3))
        for _ in range(times):
            yield world.frame(
                self.device,
                connector_id,
                state=outlet.state,
                voltage=round(voltage, 2),
                current=round(outlet.current * rng.gauss(1, 0.01) + rng.gauss(0, 0.08), 3),
                temperature=round(outlet.temperature + rng.gauss(0, 0.25), 2),
                detail=outlet.detail,
                health=health,
                ago_ms=ago_ms,
            )
