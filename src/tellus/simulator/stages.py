"""The stages of a connector, how long each lasts, and what a connector belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tellus.simulator.climate import Climate
from tellus.simulator.electrics import Supply
from tellus.simulator.figures import ChargerModel, Scenario, Span, Usage, default_figures
from tellus.simulator.messages import Message

if TYPE_CHECKING:
    from tellus.simulator.device import ChargerTwin

_TIMING = default_figures().timing
_BIDIRECTIONAL = default_figures().bidirectional


class Stage(StrEnum):
    """Where a connector stands; the handshake stages bear the names of their messages."""

    AVAILABLE = "available"
    PLUGGED = "plugged"
    SLAC = "slac"
    SESSION_SETUP = "session_setup"
    CABLE_CHECK = "cable_check"
    PRECHARGE = "precharge"
    CONTACTOR = "contactor"
    NEGOTIATION = "bpt_negotiation"
    SYNCING = "syncing"
    CHARGING = "charging"
    DISCHARGING = "discharging"
    FULL = "full"
    STOPPING = "stopping"
    FINISHING = "finishing"


_DC_STEPS = (
    (Stage.SLAC, _TIMING.slac_s),
    (Stage.SESSION_SETUP, _TIMING.session_setup_s),
    (Stage.CABLE_CHECK, _TIMING.cable_check_s),
    (Stage.PRECHARGE, _TIMING.precharge_s),
)
DISCHARGE = "discharge"
HANDSHAKE: dict[str, tuple[tuple[Stage, Span], ...]] = {
    "ac": ((Stage.CONTACTOR, _TIMING.contactor_s),),
    "dc": _DC_STEPS,
    DISCHARGE: (
        *_DC_STEPS,
        (Stage.NEGOTIATION, _BIDIRECTIONAL.negotiation_s),
        (Stage.SYNCING, _BIDIRECTIONAL.synchronise_s),
    ),
}
FLOWING = frozenset({Stage.CHARGING, Stage.DISCHARGING})
ENERGISED = FLOWING | {Stage.FULL, Stage.STOPPING}
HANDSHAKING = frozenset(stage for steps in HANDSHAKE.values() for stage, _ in steps)
PREPARING = HANDSHAKING | {Stage.PLUGGED}


def handshake_after(kind: str, stage: Stage) -> tuple[Stage, Span] | None:
    """Return the handshake step that follows ``stage``; None when the contactor may close."""
    steps = HANDSHAKE[kind]
    if stage not in HANDSHAKING:
        return steps[0]
    done = [step for step, _ in steps].index(stage) + 1
    return steps[done] if done < len(steps) else None


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often telemetry is sent, in milliseconds, and whether every small step is shown."""

    session_ms: int = 5_000
    first_ms: int = 1_000
    idle_ms: int = 60_000
    settle_ms: int = 5_000
    settle_frames: int = 3
    show_steps: bool = True
    health_ms: int = round(1000 * _TIMING.health_s)


LIVE_CADENCE = Cadence()


@dataclass(frozen=True, slots=True)
class Installation:
    """What a connector belongs to: its charger, its identity, supply, scenario and mouth."""

    sn: str
    model: ChargerModel
    scenario: Scenario
    usage: Usage
    cadence: Cadence
    climate: Climate
    charger: ChargerTwin
    supply: Supply
    emit: Callable[[Message], None]
