"""The Maintenance Dispatcher ranks, says what to do, and leaves out what needs nobody."""

import random

from tellus.agents.model import Concern, Unit
from tellus.agents.rules_dispatch import plan_work, weigh


def unit(device_no: int, site: str = "site_a") -> Unit:
    """A device at a site."""
    return Unit(device_no, f"dvc_{device_no}", "op_1", site, "TP-DC180", "3.1.0")


def alert(code: str, severity: str, **more: bool) -> Concern:
    """A reason from an alert."""
    return Concern("alert", code, f"about {code}", f"alr_{code}", severity, **more)


def test_plan_work__sites__come_by_weight() -> None:
    """The site with the weightiest device comes first, and within it that device."""
    units = [unit(1), unit(2), unit(3, "site_b")]
    work = plan_work(
        units,
        {
            1: [alert("F-0601", "medium")],
            2: [alert("F-0421", "high")],
            3: [alert("F-0101", "critical")],
        },
    )
    assert [one.site_id for one in work] == ["site_b", "site_a"]
    assert [task.device_no for task in work[1].tasks] == [2, 1]


def test_plan_work__several_reasons__weigh_more_than_the_first() -> None:
    """A visit that settles two things goes before one that settles one of the same weight."""
    units = [unit(1), unit(2)]
    concerns = {
        1: [alert("F-0421", "high")],
        2: [alert("F-0421", "high"), Concern("wear", "contactor", "worn", "dvc_2", days_left=20.0)],
    }
    (site,) = plan_work(units, concerns)
    assert [task.device_no for task in site.tasks] == [2, 1]
    assert site.tasks[0].score == 60 + 0.25 * 40
    assert site.tasks[0].parts == ["contactor", "auxiliary contact"]


def test_plan_work__contactor_that_is_told_of_twice__counts_once() -> None:
    """An alert of a worn contactor is a reason of its own only where there is no forecast near."""
    told = alert("contactor_wear", "low")
    forecast = Concern("wear", "contactor", "worn", "dvc_1", days_left=20.0)
    (site,) = plan_work([unit(1), unit(2)], {1: [told, forecast], 2: [told]})
    assert {task.device_no: task.score for task in site.tasks} == {1: 40, 2: 10}
    assert {tuple(task.parts) for task in site.tasks} == {("contactor",)}


def test_plan_work__vehicle_refused__sends_nobody() -> None:
    """F-0702 is no matter of the charger."""
    assert plan_work([unit(1)], {1: [alert("F-0702", "medium")]}) == []


def test_plan_work__firmware_to_blame__asks_for_no_parts() -> None:
    """Where a version is to blame the device is upgraded, and its contactor left alone."""
    blamed = alert("F-0421", "high", firmware_to_blame=True)
    (site,) = plan_work([unit(1)], {1: [blamed]})
    assert (site.tasks[0].action, site.tasks[0].parts) == ("firmware", [])


def test_plan_work__network_and_configuration__are_done_from_afar() -> None:
    """What can be settled from afar takes no visit, unless something else does."""
    remote = [alert("F-0301", "high"), alert("F-0512", "medium")]
    (site,) = plan_work([unit(1)], {1: remote})
    assert site.tasks[0].action == "remote"
    (site,) = plan_work([unit(1)], {1: [*remote, alert("F-0601", "medium")]})
    assert site.tasks[0].action == "visit"


def test_weigh__cleared_or_acknowledged__weighs_less() -> None:
    """What is over, or looked after, weighs less than what nobody has seen."""
    fresh = weigh(alert("F-0421", "high"))
    assert weigh(alert("F-0421", "high", cleared=True)) < fresh
    assert weigh(alert("F-0421", "high", acknowledged=True)) < fresh


def test_weigh__wear__counts_from_ninety_days_on() -> None:
    """Wear weighs once its end is within a quarter, more within a month."""

    def wear(days: float) -> float:
        return weigh(Concern("wear", "contactor", "worn", "dvc_1", days_left=days))

    assert [wear(days) for days in (91, 90, 31, 30, 0)] == [0, 15, 15, 40, 40]


def test_plan_work__shuffled_facts__give_the_same_list() -> None:
    """The same facts in any order give the same list."""
    chance = random.Random(4)
    units = [unit(no, f"site_{no % 3}") for no in range(1, 20)]
    kinds = [alert("F-0421", "high"), alert("F-0601", "medium"), alert("F-0512", "medium")]
    concerns = {one.device_no: chance.sample(kinds, k=chance.randint(0, 3)) for one in units}
    first = plan_work(units, concerns)
    chance.shuffle(units)
    turned = {no: list(reversed(some)) for no, some in concerns.items()}
    assert plan_work(units, turned) == first
