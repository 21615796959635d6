"""The Repeat-Fault Hunter: what comes back is found, what all have is not one device's matter."""

import random

from hypothesis import given
from hypothesis import strategies as st

from tellus.agents.model import FaultFact, Unit
from tellus.agents.rules_repeats import EPISODE_MS, find_recurrences, part_episodes
from tellus.kernel.units import DAY_MS, HOUR_MS

START_MS = 1_760_000_000_000


def units(size: int, *, firmware: str = "3.1.0") -> list[Unit]:
    """Devices at five sites on one version."""
    return [
        Unit(no, f"dvc_{no:03}", "op_1", f"site_{no % 5}", "TP-DC180", firmware)
        for no in range(1, size + 1)
    ]


def fault(device_no: int, day: float, code: str = "F-0411", connector_id: int = 1) -> FaultFact:
    """A fault so many days after the start."""
    return FaultFact(device_no, connector_id, code, START_MS + round(day * DAY_MS))


@given(st.lists(st.integers(0, 10 * DAY_MS), max_size=60))
def test_part_episodes__any_times__part_where_an_hour_was_quiet(times_ms: list[int]) -> None:
    """An episode begins wherever nothing came in the hour before, and nowhere else."""
    expected = [
        time_ms
        for time_ms in sorted(set(times_ms))
        if not any(0 < time_ms - other <= EPISODE_MS for other in times_ms)
    ]
    assert part_episodes(times_ms) == expected


def test_find_recurrences__one_connector_of_one_device__is_a_component() -> None:
    """A fault that comes back at one connector names device and connector."""
    faults = [fault(3, day, "F-0805", 2) for day in (1, 9, 20, 27)]
    (found,) = find_recurrences(units(40), faults)
    assert (found.scope, found.unit.device_id, found.connector_id) == ("component", "dvc_003", 2)
    assert len(found.episodes) == 4


def test_find_recurrences__both_connectors__are_the_device() -> None:
    """A fault at both connectors is the device's."""
    faults = [fault(3, day, "F-0805", 1 + day % 2) for day in (1, 8, 17, 24)]
    (found,) = find_recurrences(units(40), faults)
    assert (found.scope, found.connector_id) == ("device", 0)


def test_find_recurrences__burst_within_an_hour__is_one_episode() -> None:
    """Twenty events within minutes are one episode, and one episode does not come back."""
    faults = [fault(3, 5 + n / 1440, "F-0805") for n in range(20)]
    assert find_recurrences(units(40), faults) == []


def test_find_recurrences__what_all_have__is_nobodys() -> None:
    """Where every device has a fault as often, none of them is the matter."""
    faults = [fault(no, day + no / 100, "F-0805") for no in range(1, 41) for day in (1, 8, 17, 24)]
    assert find_recurrences(units(40), faults) == []


def test_find_recurrences__module_timeout_twice_a_day__is_too_often_anywhere() -> None:
    """F-0411 more than once a day calls for a visit, however common it is."""
    common = [fault(no, no / 2) for no in range(1, 41)]
    found = find_recurrences(units(40), [*common, fault(3, 10.0), fault(3, 10.4)])
    assert [one.unit.device_id for one in found] == ["dvc_003"]


def test_find_recurrences__three_in_a_week__are_too_often_for_f_0421() -> None:
    """Three failed closings within seven days come back; over three weeks they do not."""
    close = [fault(3, day, "F-0421") for day in (1, 3, 7)]
    wide = [fault(4, day, "F-0421") for day in (1, 12, 24)]
    others = [fault(no, no, "F-0421") for no in range(5, 25) for _ in range(2)]
    found = find_recurrences(units(25), [*close, *wide, *others])
    assert [one.unit.device_id for one in found] == ["dvc_003"]


def test_find_recurrences__one_firmware__is_named_before_its_devices() -> None:
    """Several devices at several sites on one version are one finding about the version."""
    fleet = [
        one._replace(firmware_version="3.0.1") if one.device_no <= 6 else one for one in units(60)
    ]
    faults = [fault(no, day + no / 50, "F-0421") for no in range(1, 7) for day in (1, 5, 9, 14, 20)]
    (found,) = find_recurrences(fleet, faults)
    assert found.scope == "firmware"
    assert found.unit.firmware_version == "3.0.1"
    assert len(found.devices) == 6


def test_find_recurrences__one_bad_device_on_a_version__is_not_the_firmware() -> None:
    """One device with many faults on an old version is a device."""
    fleet = [
        one._replace(firmware_version="3.0.1") if one.device_no <= 6 else one for one in units(60)
    ]
    faults = [fault(2, day, "F-0421") for day in range(1, 29, 2)]
    (found,) = find_recurrences(fleet, faults)
    assert found.scope == "component"


def test_find_recurrences__after_it_was_resolved__says_when_it_came_back() -> None:
    """A fault that comes again after a person resolved it tells when."""
    faults = [fault(3, day, "F-0805") for day in (1, 4, 9, 20)]
    resolved = {(3, "F-0805"): START_MS + 10 * DAY_MS}
    (found,) = find_recurrences(units(40), faults, resolved)
    assert found.returned_ms == START_MS + 20 * DAY_MS


def test_find_recurrences__rare_faults_at_random__are_bad_luck() -> None:
    """Faults strewn over a fleet at random, one in two devices a month, are hardly ever found."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    found = 0
    for _ in range(50):
        faults = [
            fault(chance.randint(1, 100), chance.uniform(0, 30), "F-0805", chance.randint(1, 2))
            for _ in range(50)
        ]
        found += len(find_recurrences(units(100), faults))
    assert found <= 25


def test_find_recurrences__order_of_faults__changes_nothing() -> None:
    """The same faults in another order give the same findings."""
    faults = [fault(3, day, "F-0805") for day in (1, 4, 9, 20)]
    faults += [fault(8, day, "F-0411", 2) for day in (2, 2.3, 11)]
    assert find_recurrences(units(40), faults) == find_recurrences(units(40), faults[::-1])


def test_find_recurrences__unknown_device__is_left_out() -> None:
    """Faults of devices that are not the operator's count for nothing."""
    faults = [fault(999, day, "F-0805") for day in (1, 4, 9, 20)]
    assert find_recurrences(units(40), faults) == []
    assert EPISODE_MS == HOUR_MS
