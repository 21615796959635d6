"""A plausible past: what a fleet would have reported over a period, computed in seconds.

The same twins as in a live fleet, moved in larger steps and with coarser telemetry, so records,
events and samples agree with each other by construction. Each history ends with the meter
readings from which the live charger carries on: give them to ``ChargerSpec.registers``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from tellus.simulator.device import ChargerSpec, ChargerTwin
from tellus.simulator.figures import default_figures
from tellus.simulator.messages import Kind, Message
from tellus.simulator.metering import Registers
from tellus.simulator.stages import Cadence

_STEP_MS = 60_000


@dataclass(frozen=True, slots=True)
class Period:
    """A half-open span of time, epoch milliseconds, and how finely to report it."""

    from_ms: int
    to_ms: int
    sample_period_s: int = 300
    idle_period_s: int = 3_600
    health_period_s: int = 21_600

    @property
    def cadence(self) -> Cadence:
        """Return the telemetry cadence of this period."""
        return Cadence(
            session_ms=1000 * self.sample_period_s,
            idle_ms=1000 * self.idle_period_s,
            settle_frames=1,
            show_steps=False,
            health_ms=1000 * self.health_period_s,
        )


@dataclass(frozen=True, slots=True)
class DeviceHistory:
    """The past of one charger: messages in upload shape, oldest first, and its last readings."""

    spec: ChargerSpec
    messages: list[Message]
    registers: dict[int, Registers]
    contactor_cycles: dict[int, int]

    def of(self, kind: Kind) -> list[Message]:
        """Return the messages of one kind."""
        return [message for message in self.messages if message.kind is kind]

    @property
    def energy_kwh(self) -> float:
        """Return the sum over the charging records."""
        return sum(message.energy_kwh for message in self.messages)

    def live_spec(self) -> ChargerSpec:
        """Return the charger as it goes on from here."""
        cycles = self.contactor_cycles
        return replace(self.spec, registers=self.registers, contactor_cycles=cycles)


def device_history(
    spec: ChargerSpec, period: Period, seed: int, scenario: str = "public"
) -> DeviceHistory:
    """Compute the past of one charger; pure, the same arguments give the same history.

    Whoever is still plugged in at the end of the period leaves then, so that every session of
    the past has its record. Raises KeyError for an unknown model or scenario.
    """
    figures = default_figures()
    twin = ChargerTwin(
        spec,
        figures.scenario(spec.scenario or scenario),
        seed,
        period.from_ms,
        cadence=period.cadence,
        step_ms=_STEP_MS,
    )
    # The last moments belong to closing up, which must not reach past the end.
    twin.advance(period.to_ms - 1000)
    twin.shut_down()
    return DeviceHistory(spec, twin.take(), twin.registers, twin.contactor_cycles)


def fleet_history(
    specs: Iterable[ChargerSpec], period: Period, seed: int, scenario: str = "public"
) -> Iterator[DeviceHistory]:
    """Compute the past of many chargers, one by one."""
    for spec in specs:
        yield device_history(spec, period, seed, scenario)
