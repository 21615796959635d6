"""F-0101, contactor weld: the cross-check of the platform.

After a stop the contactor opens and the connector's voltage falls. A welded one stays energised:
at least three frames over 60 V, without current, and the connector does not come back to idle.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from tellus.diagnostics.model import UNTOLD, Limits, Verdict

NO_CURRENT_A: Final = 1.0
"""What sensors show of no current; a session takes 6 A at least (IEC 61851-1)."""

LASTS_MS: Final = 14_000
"""Three frames come 5 s apart after a stop; a voltage that fell before the last of them is none."""

SESSION_STATES: Final = frozenset({"charging", "discharging"})

NO_STATES: Final = frozenset({"paused", "preparing"})
"""Finer states in which a contactor may be closed without current by intention."""


class Frame(NamedTuple):
    """What a frame says of a contactor."""

    time_ms: int
    state: str
    detail_state: str | None
    voltage_v: float
    current_a: float


class AfterStop(NamedTuple):
    """A connector after a stop: its frames in order, up to the next plug-in or start."""

    stopped_ms: int
    frames: Sequence[Frame]
    unplugged_ms: int | None = None


def is_energised(voltage_v: float, current_a: float, limit_v: float) -> bool:
    """Tell whether there is voltage without current."""
    return voltage_v > limit_v and -NO_CURRENT_A < current_a < NO_CURRENT_A


def f_0101(observation: AfterStop, limits: Limits) -> Verdict:
    """Judge the frames after a stop.

    One frame with neither voltage nor session shows that it opened. A frame of a session ends what
    is judged, and those of one instant count once. Undecided while there are too few frames, or
    they came too soon after the stop.
    """
    energised: list[Frame] = []
    for frame in observation.frames:
        if frame.time_ms <= observation.stopped_ms:
            continue
        if frame.state in SESSION_STATES or abs(frame.current_a) >= NO_CURRENT_A:
            if energised:
                break
            continue  # the stop is still going on
        if frame.voltage_v <= limits.residual_voltage_v:
            return Verdict(False, frame.time_ms)
        is_repeat = bool(energised) and energised[-1].time_ms == frame.time_ms
        if frame.detail_state not in NO_STATES and not is_repeat:
            energised.append(frame)
    if len(energised) < limits.residual_frames:
        return UNTOLD
    if energised[-1].time_ms < observation.stopped_ms + LASTS_MS:
        return UNTOLD
    highest_v = max(frame.voltage_v for frame in energised)
    evidence = {
        "stopped_ms": observation.stopped_ms,
        "energised_frames": len(energised),
        "highest_voltage_v": round(highest_v, 1),
        "highest_current_a": round(max(abs(frame.current_a) for frame in energised), 2),
        "states": sorted({frame.state for frame in energised}),
        "unplugged_ms": observation.unplugged_ms,
        "threshold_v": limits.residual_voltage_v,
    }
    note = (
        f"{len(energised)} frames after the stop show up to {highest_v:.0f} V without current,"
        " and the connector did not return to idle."
    )
    return Verdict(True, energised[-1].time_ms, note, evidence)
