"""When a fault is over: one row per code, each with a rule of its own.

| code | over when |
|---|---|
| F-0101 | the connector shows a frame without voltage while no session runs |
| F-0203 | the connector is 5 K below its threshold |
| F-0204 | the cabinet, measured since, is 10 K below critical and no connector shows a fault |
| F-0301 | the device is heard of |
| F-0302 | fewer than 2 reconnects in 10 minutes |
| F-0512 | what is reported is what was assigned |
| F-0601 | the fan is above 90% of nominal for two minutes |
| F-0702 | the connector discharges, or 10 minutes later it shows no fault |
| `contactor_wear` | the counter is below 80% of the rated life: it began again |
| `stuck_preparing` | the connector charges or discharges |
| all others, unknown ones too | it works again: a frame that shows no fault, a minute later |

None of what a charger told is over while its heartbeats name that code. What only a heartbeat told
is over when heartbeats no longer name it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from tellus.diagnostics.model import CONTACTOR_WEAR, STUCK_PREPARING, Condition, Limits
from tellus.diagnostics.rules_f_0203 import HYSTERESIS_K
from tellus.diagnostics.rules_f_0301 import f_0301, f_0302
from tellus.diagnostics.rules_wear import WORN_FROM
from tellus.kernel.units import MINUTE_MS

HEARTBEAT: Final = "heartbeat"
CABINET_HYSTERESIS_K: Final = 10.0
_SETTLED_MS: Final = MINUTE_MS
_LONG_SETTLED_MS: Final = 10 * MINUTE_MS


class ConnectorNow(NamedTuple):
    """The newest frame of a connector."""

    time_ms: int
    state: str
    voltage_v: float
    current_a: float
    temperature_c: float | None


class Now(NamedTuple):
    """How a device is now; ``cabinet_c`` and ``fan_good`` None where that is not reported.

    ``cabinet_ms`` is when the minute began that tells of the cabinet. ``worn_ratio`` is how much of
    its rated life a contactor has made, by connector, as reported. ``heartbeat_code`` is the code
    that its heartbeats name, in the dictionary's form.
    """

    now_ms: int
    online: bool
    heartbeat_code: str
    connectors: dict[int, ConnectorNow]
    reconnects_ms: tuple[int, ...] = ()
    cabinet_c: float | None = None
    fan_good: bool | None = None
    cabinet_ms: int = 0
    worn_ratio: Mapping[int, float] = MappingProxyType({})


def is_over(condition: Condition, now: Now, limits: Limits) -> bool:
    """Tell whether a present condition is no longer so."""
    if condition.found_by == HEARTBEAT:
        return now.heartbeat_code != condition.code
    rule = _RULES.get(condition.code, _works_again)
    if rule in {_works_again, _discharged} and now.heartbeat_code == condition.code:
        return False
    return rule(condition, now, limits)


def _works_again(condition: Condition, now: Now, limits: Limits) -> bool:
    del limits
    return _is_sound(condition, now, _SETTLED_MS)


def _is_sound(condition: Condition, now: Now, settled_ms: int) -> bool:
    """Tell whether frames long enough after the fault show none; of a device, of all connectors."""
    if condition.connector_id:
        frame = now.connectors.get(condition.connector_id)
        frames = [] if frame is None else [frame]
    else:
        frames = list(now.connectors.values())
    newer = [frame for frame in frames if frame.time_ms >= condition.last_ms + settled_ms]
    return bool(newer) and all(frame.state != "fault" for frame in newer)


def _opened(condition: Condition, now: Now, limits: Limits) -> bool:
    frame = now.connectors.get(condition.connector_id)
    return (
        frame is not None
        and frame.time_ms > condition.last_ms
        and frame.voltage_v <= limits.residual_voltage_v
        and frame.state in {"idle", "unavailable"}
    )


def _cooled(condition: Condition, now: Now, limits: Limits) -> bool:
    frame = now.connectors.get(condition.connector_id)
    if frame is None or frame.temperature_c is None:
        return _works_again(condition, now, limits)
    cool_c = limits.connector_c - HYSTERESIS_K
    return frame.time_ms > condition.last_ms and frame.temperature_c <= cool_c


def _cabinet_cooled(condition: Condition, now: Now, limits: Limits) -> bool:
    if now.cabinet_c is None:
        return _is_sound(condition, now, _LONG_SETTLED_MS)
    if now.cabinet_ms < condition.last_ms:
        return False
    if any(frame.state == "fault" for frame in now.connectors.values()):
        return False
    return now.cabinet_c <= limits.cabinet_critical_c - CABINET_HYSTERESIS_K


def _heard_of(condition: Condition, now: Now, limits: Limits) -> bool:
    del condition, limits
    return f_0301(online=now.online, now_ms=now.now_ms).present is False


def _calm(condition: Condition, now: Now, limits: Limits) -> bool:
    del limits
    return f_0302(now.reconnects_ms, condition.last_ms, now.now_ms).present is False


def _fan_good(condition: Condition, now: Now, limits: Limits) -> bool:
    del condition, limits
    return now.fan_good is True


def _discharged(condition: Condition, now: Now, limits: Limits) -> bool:
    del limits
    frame = now.connectors.get(condition.connector_id)
    if frame is not None and frame.time_ms > condition.last_ms and frame.state == "discharging":
        return True
    return _is_sound(condition, now, _LONG_SETTLED_MS)


def _counts_anew(condition: Condition, now: Now, limits: Limits) -> bool:
    del limits
    return now.worn_ratio.get(condition.connector_id, 1.0) < WORN_FROM


def _charges(condition: Condition, now: Now, limits: Limits) -> bool:
    del limits
    frame = now.connectors.get(condition.connector_id)
    return (
        frame is not None
        and frame.time_ms > condition.last_ms
        and frame.state in {"charging", "discharging"}
    )


def _by_report(condition: Condition, now: Now, limits: Limits) -> bool:
    """Leave it to the detector: it looks again at every report."""
    del condition, now, limits
    return False


_RULES: Final[dict[str, Callable[[Condition, Now, Limits], bool]]] = {
    "F-0101": _opened,
    "F-0203": _cooled,
    "F-0204": _cabinet_cooled,
    "F-0301": _heard_of,
    "F-0302": _calm,
    "F-0512": _by_report,
    "F-0601": _fan_good,
    "F-0702": _discharged,
    CONTACTOR_WEAR: _counts_anew,
    STUCK_PREPARING: _charges,
}
