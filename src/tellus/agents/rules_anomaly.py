"""The Anomaly Hunter: parts unlike their own past and unlike their peers.

A value of today counts against the values of single days before it, and against what devices of the
same model show today, both in robust standard deviations. It takes both to propose something: heat
moves all, age moves slowly, a new firmware moves all of a model. Where one of the two is not known
yet the other has to be clearer.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from tellus.agents.model import Readings
from tellus.agents.rules_robust import Crowd, Rest, median, robust_z

FEWEST_HOURS: Final = 6
"""Hours with readings that a window needs to be judged."""

FEWEST_DAYS: Final = 5
"""Days before the window that make a past."""

FEWEST_PEERS: Final = 5
"""Other devices of the same model that make a comparison."""

Z_OWN, Z_PEERS = 5.0, 3.5
Z_OWN_ALONE, Z_PEERS_ALONE = 8.0, 6.0


class Watched(NamedTuple):
    """How a metric is judged: which way is bad, and the least spread (its unit) that is believed.

    ``share`` is the quantile of a window's hours that stands for it. A ``logarithmic`` metric is
    judged by its decimal logarithm.
    """

    bad: int
    least_spread: float
    unit: str
    share: float = 0.5
    logarithmic: bool = False


WATCHED: Final[Mapping[str, Watched]] = MappingProxyType(
    {
        "temp_power_module_c": Watched(+1, 1.5, "°C", 0.9),
        "temp_control_board_c": Watched(+1, 1.5, "°C", 0.9),
        "temp_ac_inlet_c": Watched(+1, 1.5, "°C", 0.9),
        "temp_dc_outlet_c": Watched(+1, 2.0, "°C", 0.9),
        "temperature_c": Watched(+1, 2.0, "°C", 0.9),
        "cooling_fan_rpm": Watched(-1, 25.0, "rpm"),
        "isolation_test_kohms": Watched(-1, 0.08, "kΩ", 0.5, logarithmic=True),
        "inverter_health_pct": Watched(-1, 2.0, "%"),
        "harmonic_distortion_pct": Watched(+1, 0.8, "%", 0.9),
    }
)
"""The metrics of component health that the agent looks at."""


class Anomaly(NamedTuple):
    """A metric that stands out; None where there was no past, or there were no peers."""

    readings: Readings
    z_own: float | None
    own_median: float | None
    z_peers: float | None
    peers_median: float | None
    peers: int

    @property
    def score(self) -> float:
        """Return how far it stands out, by the less clear of the two comparisons."""
        known = [abs(z) for z in (self.z_own, self.z_peers) if z is not None]
        return min(known)


def find_anomalies(readings: Iterable[Readings]) -> list[Anomaly]:
    """Return what stands out among readings of one operator, clearest first."""
    groups: dict[tuple[str, str], list[Readings]] = defaultdict(list)
    for one in readings:
        if one.metric in WATCHED and one.hours >= FEWEST_HOURS:
            groups[one.place.model, one.metric].append(one)
    found = [
        anomaly
        for (_, metric), group in groups.items()
        for anomaly in _judge_group(group, WATCHED[metric])
    ]
    return sorted(found, key=lambda one: (-one.score, one.readings.place, one.readings.metric))


def _judge_group(group: Sequence[Readings], watched: Watched) -> Iterator[Anomaly]:
    """Yield what stands out among the readings of one metric of one model."""
    by_device: dict[int, list[float]] = defaultdict(list)
    for one in group:
        by_device[one.place.device_no].append(one.value)
    crowd = Crowd(one.value for one in group)
    has_peers = len(by_device) > FEWEST_PEERS
    for one in group:
        peers = crowd.without(by_device[one.place.device_no]) if has_peers else None
        anomaly = _judge(one, peers, watched)
        if anomaly is not None:
            yield anomaly


def _judge(one: Readings, peers: Rest | None, watched: Watched) -> Anomaly | None:
    """Return the anomaly of a reading among those of its model, or None."""
    has_past = len(one.days_before) >= FEWEST_DAYS
    z_own = robust_z(one.value, one.days_before, watched.least_spread) if has_past else None
    z_peers = None if peers is None else peers.robust_z(one.value, watched.least_spread)
    if not _stands_out(z_own, z_peers, watched.bad):
        return None
    return Anomaly(
        one,
        z_own,
        median(one.days_before) if has_past else None,
        z_peers,
        None if peers is None else peers.median(),
        0 if peers is None else len(peers),
    )


def _stands_out(z_own: float | None, z_peers: float | None, bad: int) -> bool:
    """Tell whether both comparisons, or the one that there is, are clear enough."""
    if z_own is None and z_peers is None:
        return False
    if z_own is None:
        return z_peers is not None and bad * z_peers >= Z_PEERS_ALONE
    if z_peers is None:
        return bad * z_own >= Z_OWN_ALONE
    return bad * z_own >= Z_OWN and bad * z_peers >= Z_PEERS
