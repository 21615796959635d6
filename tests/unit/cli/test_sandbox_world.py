"""The sandbox's world is what its welcome says, and goes on without contradicting itself."""

from pathlib import Path

from tellus.cli.sandbox_fleet import live_spec
from tellus.cli.sandbox_world import SITES, Plan, build_chargers, tell_stories
from tellus.simulator.history import DeviceHistory
from tellus.simulator.metering import Registers


def test_build_chargers__any_seed__24_with_41_connectors() -> None:
    """7 AC units with one connector, 17 DC units with two, on three sites."""
    for seed in (0, 42, 123_456):
        chargers = build_chargers(seed)
        assert len({one.sn for one in chargers}) == 24
        assert sum(one.past.connector_count for one in chargers) == 41
        assert sum(one.past.charger_model.kind == "ac" for one in chargers) == 7
        assert [one.site for one in chargers if one.site not in SITES] == []
        assert any(one.past.charger_model.v2g for one in chargers)


def test_build_chargers__first_one__is_always_free() -> None:
    """The charger of the printed steps has no visitors of its own; all others do."""
    first, *others = build_chargers(42)
    assert first.scenario == "quiet"
    assert {one.scenario for one in others} == {None}
    assert first.part is None


def test_tell_stories__any_seed__seven_with_truth_and_decoy_of_their_own() -> None:
    """Every story has chargers that are told the truth of and a decoy, and none plays two parts."""
    told = tell_stories(42)
    assert len(told) == 7
    cast = [sn for _, roles in told for one in roles.values() for sn in one]
    assert len(cast) == len(set(cast))
    assert all(roles["truth"] and roles["decoy"] for _, roles in told)
    sites = {one.sn: one.site.name for one in build_chargers(42)}
    cluster = {story.slug: roles for story, roles in told}["firmware-cluster"]
    assert len({sites[sn] for sn in cluster["truth"]}) == 3


def test_enacted__past_and_present__know_only_their_own() -> None:
    """What begins after a start is not in the past; what began days ago is in both."""
    fan = next(one for one in build_chargers(42) if one.part and one.part.role == "truth"
               and one.part.plants and one.part.plants[0].value == "F-0601")  # fmt: skip
    now_ms = 1_800_000_000_000
    (past,) = fan.enacted(now_ms, is_past=True).plants
    assert past.at_ms == now_ms - 9 * 86_400_000
    assert fan.enacted(now_ms).plants == (past,)
    storm = next(one for one in build_chargers(42) if one.part and one.part.plants
                 and one.part.plants[0].value == "F-0302")  # fmt: skip
    assert storm.enacted(now_ms, is_past=True).plants == ()
    assert storm.enacted(now_ms).plants[0].after_start_s > 0


def test_live_spec__platform_read_more_than_history__carries_on_from_there() -> None:
    """No meter starts below its newest reading, whoever holds it."""
    charger = build_chargers(1)[10]
    past = {1: Registers(500.0, 20.0), 2: Registers(700.0, 0.0)}
    history = DeviceHistory(charger.past, [], past, {1: 7, 2: 8})
    spec = live_spec(charger, history, {1: 490.5, 2: 650.0})
    assert spec.registers == {1: Registers(490.5, 0.0), 2: Registers(700.0, 0.0)}
    assert spec.contactor_cycles == {1: 7, 2: 8}
    assert live_spec(charger, None, {2: 3.0}).registers == {2: Registers(3.0, 0.0)}


def test_plan__saved_and_loaded__is_the_same(tmp_path: Path) -> None:
    """A kept sandbox goes on with its own seed and period, and the file marks its folder."""
    assert not Plan.marks(tmp_path)
    plan = Plan.fresh(7)
    plan.save(tmp_path)
    assert Plan.marks(tmp_path)
    assert Plan.load(tmp_path) == plan


def test_plan__head_start__never_reaches_into_an_earlier_life() -> None:
    """Fresh chargers have lived a little already; revived ones only since they stopped."""
    plan = Plan(1, 0, 1_000_000, lived_until_ms=1_000_000)
    assert plan.head_start_s(1_300.0) == 75.0
    assert plan.head_start_s(1_010.0) == 10.0
    plan.lived_until_ms = None
    assert plan.head_start_s(1_300.0) == 0.0
