"""F-0203, connector over-temperature: a sample above the threshold of the model."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from tellus.diagnostics.model import UNTOLD, Limits, Verdict

HYSTERESIS_K: Final = 5.0
"""How far below the threshold a connector is cool again."""


class Heat(NamedTuple):
    """How hot the connectors of a device are: temperature (°C) and time (ms) by connector."""

    connector_id: int
    temperature_c: float
    at_ms: int
    others_c: Mapping[int, float]
    power_kw: float = 0.0


def f_0203(observation: Heat, limits: Limits) -> Verdict:
    """Judge a connector's temperature: above the threshold, 5 K below it, or between the two.

    Says whether the other connectors of the unit are warm too: then it is the air or the cabinet.
    """
    temperature_c = observation.temperature_c
    if temperature_c <= limits.connector_c - HYSTERESIS_K:
        return Verdict(False, observation.at_ms)
    if temperature_c <= limits.connector_c:
        return UNTOLD
    warm_c = limits.connector_c - 2 * HYSTERESIS_K
    warm = sorted(no for no, other_c in observation.others_c.items() if other_c > warm_c)
    alone = bool(observation.others_c) and not warm
    evidence = {
        "temperature_c": temperature_c,
        "threshold_c": limits.connector_c,
        "power_kw": observation.power_kw,
        "other_connectors_c": {str(no): other for no, other in observation.others_c.items()},
        "only_this_connector": alone if observation.others_c else None,
    }
    note = f"{temperature_c:.1f} °C, over the threshold of {limits.connector_c:.0f} °C."
    if alone:
        note += " Only this connector is affected: look at its pins and cable."
    elif warm:
        note += " Other connectors of the unit are warm too: look at the air and the cabinet."
    return Verdict(True, observation.at_ms, note, evidence)
