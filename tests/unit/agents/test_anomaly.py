"""The Anomaly Hunter finds planted anomalies, and nothing among healthy devices."""

import random

import pytest

from tellus.agents.model import Place, Readings
from tellus.agents.rules_anomaly import WATCHED, Anomaly, find_anomalies

# What healthy parts show, and how much they scatter, from day to day and from device to device.
HEALTHY = {
    "cooling_fan_rpm": (1790.0, 12.0),
    "temp_power_module_c": (58.0, 2.5),
    "temperature_c": (41.0, 4.0),
    "isolation_test_kohms": (4.0, 0.05),
    "inverter_health_pct": (97.0, 0.7),
    "harmonic_distortion_pct": (2.6, 0.3),
}


def reading(
    device_no: int, metric: str, now: float, days: list[float], *, model: str = "TP-DC180"
) -> Readings:
    """What a metric of a device shows, judged over 20 hours."""
    place = Place(device_no, 0, "op_1", f"site_{device_no % 4}", model)
    return Readings(place, metric, now, 20, days)


def fleet(chance: random.Random, size: int, *, heat: float = 0.0) -> list[Readings]:
    """Healthy devices; ``heat`` is added to all temperatures of the day that is judged."""
    found = []
    for device_no in range(1, size + 1):
        for metric, (level, scatter) in HEALTHY.items():
            own = level + chance.gauss(0, scatter)
            days = [own + chance.gauss(0, scatter) for _ in range(28)]
            extra = heat if metric.startswith("temp") else 0.0
            found.append(reading(device_no, metric, own + chance.gauss(0, scatter) + extra, days))
    return found


def replaced(found: list[Readings], device_no: int, metric: str, change: float) -> list[Readings]:
    """The same readings, one of them changed by as much."""
    return [
        one._replace(value=one.value + change)
        if (one.place.device_no, one.metric) == (device_no, metric)
        else one
        for one in found
    ]


@pytest.fixture(name="chance")
def _chance() -> random.Random:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    return random.Random(seed)


@pytest.mark.parametrize(
    ("metric", "change"),
    [
        ("cooling_fan_rpm", -350.0),
        ("temp_power_module_c", 30.0),
        ("temperature_c", 45.0),
        ("isolation_test_kohms", -1.0),
        ("inverter_health_pct", -25.0),
        ("harmonic_distortion_pct", 8.0),
    ],
)
def test_find_anomalies__one_part_gone_bad__is_the_only_finding(
    chance: random.Random, metric: str, change: float
) -> None:
    """A part that goes bad in one of forty devices is found, first and alone."""
    found = find_anomalies(replaced(fleet(chance, 40), 7, metric, change))
    assert [(one.readings.place.device_no, one.readings.metric) for one in found] == [(7, metric)]


def test_find_anomalies__healthy_fleets__are_left_alone(chance: random.Random) -> None:
    """Among 50 fleets of 40 healthy devices, six metrics each, hardly anything is found."""
    found = sum(len(find_anomalies(fleet(chance, 40))) for _ in range(50))
    assert found <= 3


def test_find_anomalies__hot_days__are_nobodys_anomaly(chance: random.Random) -> None:
    """What moves all devices at once is the weather, whatever each one's past says.

    Of 2,400 parts that are all far hotter than ever hardly any is unlike its peers too.
    """
    found = sum(len(find_anomalies(fleet(chance, 40, heat=25.0))) for _ in range(20))
    assert found <= 20


def test_find_anomalies__device_always_unlike_others__is_known_to_be(
    chance: random.Random,
) -> None:
    """A device that has always been warmer than its peers has not changed."""
    warm = [
        one._replace(value=one.value + 20, days_before=[day + 20 for day in one.days_before])
        if one.place.device_no == 3 and one.metric == "temp_power_module_c"
        else one
        for one in fleet(chance, 40)
    ]
    assert find_anomalies(warm) == []


def test_find_anomalies__improvement__is_no_anomaly(chance: random.Random) -> None:
    """A part that became cooler, or a fan that became faster, is not proposed."""
    found = replaced(fleet(chance, 40), 7, "temp_power_module_c", -30.0)
    assert find_anomalies(replaced(found, 8, "cooling_fan_rpm", 350.0)) == []


def test_find_anomalies__no_past__takes_a_clearer_difference_from_peers() -> None:
    """A new device is judged by its peers alone, and more leniently."""
    peers = [reading(no, "cooling_fan_rpm", 1790.0 + no, []) for no in range(1, 11)]
    new = reading(99, "cooling_fan_rpm", 1680.0, [])
    worse = reading(99, "cooling_fan_rpm", 1500.0, [])
    assert find_anomalies([*peers, new]) == []
    assert [one.readings for one in find_anomalies([*peers, worse])] == [worse]


def test_find_anomalies__alone_of_its_model__is_judged_by_its_past() -> None:
    """The only device of a model is judged by its past alone, and more leniently."""
    days = [1790.0, 1795.0, 1788.0, 1792.0, 1790.0, 1791.0]
    assert find_anomalies([reading(1, "cooling_fan_rpm", 1620.0, days)]) == []
    (found,) = find_anomalies([reading(1, "cooling_fan_rpm", 1500.0, days)])
    assert found.peers == 0
    assert found.z_peers is None


def test_find_anomalies__neither_past_nor_peers__says_nothing() -> None:
    """With nothing to compare by there is no anomaly, whatever the value."""
    assert find_anomalies([reading(1, "cooling_fan_rpm", 3.0, [])]) == []


def test_find_anomalies__few_hours__say_nothing() -> None:
    """A window with readings of a few hours only is not judged."""
    days = [1790.0] * 10
    short = reading(1, "cooling_fan_rpm", 600.0, days)._replace(hours=5)
    assert find_anomalies([short]) == []


def test_find_anomalies__other_model__is_no_peer() -> None:
    """Devices of another model say nothing about this one."""
    others = [reading(no, "cooling_fan_rpm", 900.0, [], model="TP-DC60") for no in range(2, 20)]
    (found,) = find_anomalies([reading(1, "cooling_fan_rpm", 1000.0, [1790.0] * 9), *others])
    assert isinstance(found, Anomaly)
    assert found.peers == 0


def test_watched__each_metric__has_a_side_and_a_spread() -> None:
    """Every watched metric knows which way is bad, and a spread above zero."""
    assert all(abs(one.bad) == 1 and one.least_spread > 0 for one in WATCHED.values())


def test_find_anomalies__two_thousand_devices__takes_no_comparison_of_each_with_each(
    chance: random.Random,
) -> None:
    """A large fleet of one model is judged with about as many looks at values as it has values."""
    looks = 0

    class Value(float):
        def __lt__(self, other: float) -> bool:
            nonlocal looks
            looks += 1
            return float.__lt__(self, other)

        def __sub__(self, other: float) -> float:
            nonlocal looks
            looks += 1
            return float.__sub__(self, other)

    readings = [
        reading(number, "temp_power_module_c", Value(chance.gauss(58, 2.5)), [])
        for number in range(2_000)
    ]
    find_anomalies(readings)
    assert looks < 200 * len(readings)
