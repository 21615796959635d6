import pytest

from tellus.energy.model import Basis, Doubt, Facts, Folded, Reason
from tellus.energy.rules_fold import fold
from tests.unit.energy.builders import (
    at,
    facts,
    idle,
    in_kwh,
    plugged,
    point,
    record,
    started,
    steady,
    stopped,
)

EXACTLY = {"abs": 1e-6}
"""The precision that energy is promised to, in kWh."""


def _moved(folded: Folded, first: str = "00:00", last: str = "24:00") -> tuple[float, float]:
    return in_kwh(folded.sessions, first, last)


def _fold(*points: object, **more: object) -> Folded:
    return fold(facts(points, **more), None)  # type: ignore[arg-type]


def test_fold__samples_around_the_hour__are_split_in_time() -> None:
    """What lies between two samples is split at the boundary in proportion to time."""
    folded = _fold(point("09:59:50", 5.0, 7.2), point("10:00:10", 5.04, 7.2))
    assert _moved(folded, "09:00", "10:00") == pytest.approx((0.02, 0.0), **EXACTLY)
    assert _moved(folded, "10:00", "11:00") == pytest.approx((0.02, 0.0), **EXACTLY)


def test_fold__counter_restarts_after_idle_and_start__counts_from_zero() -> None:
    """After a start the counter counts from 0, and the fall to 0 costs nothing."""
    folded = _fold(
        point("09:00:00", 5.0, 7.0),
        idle("09:00:10"),
        point("09:01:00", 0.2, 7.0),
        boundaries=[started("09:00:30")],
    )
    assert _moved(folded) == pytest.approx((0.2, 0.0), **EXACTLY)


def test_fold__no_start_event__counts_from_the_idle_sample() -> None:
    """An idle sample is as good as a start: the counter is 0 at that instant."""
    folded = _fold(idle("09:00"), point("09:02", 0.2, 7.0), point("09:03", 0.3, 7.0))
    assert _moved(folded, "09:00", "09:02") == pytest.approx((0.2, 0.0), **EXACTLY)
    assert folded.sessions[0].start_ms == at("09:00")


def test_fold__neither_start_nor_idle_before__counts_from_the_first_sample() -> None:
    """Nobody knows when a counter first seen at 5 kWh got there."""
    folded = _fold(point("09:00", 5.0, 7.0), point("09:01", 5.1, 7.0))
    assert _moved(folded) == pytest.approx((0.1, 0.0), **EXACTLY)


def test_fold__dip_within_a_session__is_ignored() -> None:
    """A drop after which the counter is back says nothing; the growth across it counts."""
    folded = _fold(
        point("09:00:00", 5.0, 7.0), point("09:00:05", 0.0, 7.0), point("09:00:10", 5.1, 7.0)
    )
    assert _moved(folded) == pytest.approx((0.1, 0.0), **EXACTLY)


def test_fold__two_samples_below__is_a_reset() -> None:
    """Two lower samples in a row mean that the counter starts over from the first of them."""
    folded = _fold(
        point("09:00:00", 5.0, 7.0),
        point("09:01:00", 0.1, 7.0),
        point("09:02:00", 0.3, 7.0),
        point("09:03:00", 0.4, 7.0),
    )
    assert _moved(folded) == pytest.approx((0.3, 0.0), **EXACTLY)
    assert _moved(folded, "09:00", "09:01") == (0.0, 0.0)


def test_fold__drop_is_the_last_sample__waits() -> None:
    """As long as nothing follows, a drop neither costs energy nor starts the counter over."""
    folded = _fold(
        point("09:00:00", 5.0, 7.0), point("09:00:30", 5.1, 7.0), point("09:01:00", 0.2, 7.0)
    )
    assert _moved(folded) == pytest.approx((0.1, 0.0), **EXACTLY)


def test_fold__power_out_and_no_counter__is_discharge() -> None:
    """Half an hour at -3 kW is 1.5 kWh out, and the idle sample after it adds nothing."""
    folded = _fold(*steady("09:00", "09:30", -3.0, None), idle("09:30:10"))
    assert _moved(folded) == pytest.approx((0.0, 1.5), **EXACTLY)
    assert folded.sessions[0].basis is Basis.POWER
    assert folded.sessions[0].end_ms == at("09:30:10")


def test_fold__counter_goes_up_down_up__is_told_by_the_power() -> None:
    """A counter that counts down while the vehicle feeds back is energy out, not a reset."""
    folded = _fold(
        point("09:00", 3.0, 7.0),
        point("09:10", 5.0, 7.0),
        point("09:20", 3.0, -7.0),
        point("09:30", 5.5, 7.0),
        boundaries=[started("08:50")],
    )
    assert _moved(folded) == pytest.approx((3.0 + 2.0 + 2.5, 2.0), **EXACTLY)


def test_fold__counter_5_3_55__is_25_in_and_2_out() -> None:
    """Counter 5 (charging), 3 (discharging), 5.5 (charging): 2.5 in and 2.0 out."""
    folded = _fold(point("09:00", 5, 7.0), point("09:10", 3, -7.0), point("09:20", 5.5, 7.0))
    assert _moved(folded) == pytest.approx((2.5, 2.0), **EXACTLY)


def test_fold__magnitudes_while_discharging__are_discharge() -> None:
    """A charger that counts upwards while the vehicle feeds back reports magnitudes."""
    folded = _fold(point("09:00", 0.0, -4.0), point("09:15", 1.0, -4.0))
    assert _moved(folded) == pytest.approx((0.0, 1.0), **EXACTLY)


@pytest.mark.parametrize(
    ("counters", "at_idle", "out_kwh"),
    [
        ((0.0, -0.5, -1.0), 0.0, 1.0),
        ((0.0, -0.5, -1.0), -1.5, 1.5),
        ((9.0, 8.5, 8.0), 7.5, 1.5),
        ((9.0, 8.5, 8.0), 0.0, 1.0),
        ((0.0, 0.5, 1.0), 1.5, 1.5),
        ((0.0, 0.5, 1.0), 0.0, 1.0),
    ],
)
def test_fold__idle_after_discharging__counts_on_but_for_a_counter_back_at_zero(
    counters: tuple[float, ...], at_idle: float, out_kwh: float
) -> None:
    """Whichever way a counter counts, its return to 0 with the idle sample is no energy."""
    samples = [point(f"09:{10 * k:02}", counter, -3.0) for k, counter in enumerate(counters)]
    folded = _fold(*samples, idle("09:30", at_idle))
    assert _moved(folded) == pytest.approx((0.0, out_kwh), **EXACTLY)


def test_fold__idle_counter_back_at_zero_after_a_net_below_it__is_no_energy() -> None:
    """A session that gave more than it took ends below 0; to clear its counter moves nothing."""
    folded = _fold(point("09:00", -2.0, -6.0), point("09:10", -1.0, 6.0), idle("09:20"))
    assert _moved(folded) == pytest.approx((1.0, 0.0), **EXACTLY)


def test_fold__sample_without_direction__takes_the_last_one() -> None:
    """With no power and no telling state, a session goes on the way it went."""
    folded = _fold(point("09:00", 1.0, -4.0), point("09:15", 0.5, 0.0), point("09:30", 0.25, 0.0))
    assert _moved(folded) == pytest.approx((0.0, 0.75), **EXACTLY)


def test_fold__no_direction_yet__moves_only_where_counting_begins() -> None:
    """What a counter does before any direction is known is nobody's energy."""
    folded = _fold(point("09:00", 1.0), point("09:05", 1.5), point("09:10", 1.6, 7.0))
    assert _moved(folded) == pytest.approx((0.1, 0.0), **EXACTLY)


def test_fold__counter_and_power__goes_by_the_counter() -> None:
    """Power counts only as long as the counter has not moved in the whole session."""
    folded = _fold(
        *steady("09:00", "09:10", 7.0, None), point("09:20", 1.0, 7.0), point("09:30", 2.0, 7.0)
    )
    assert _moved(folded) == pytest.approx((2.0, 0.0), **EXACTLY)
    assert folded.sessions[0].basis is Basis.COUNTER


def test_fold__power_with_a_gap__counts_up_to_15_s() -> None:
    """Between samples further apart than 15 s nobody knows the power."""
    near = _fold(point("09:00:00", 0, 6.0), point("09:00:15", 0, 6.0))
    far = _fold(point("09:00:00", 0, 6.0), point("09:00:15.001", 0, 6.0))
    assert _moved(near) == pytest.approx((0.025, 0.0), **EXACTLY)
    assert _moved(far) == (0.0, 0.0)


def test_fold__counters_with_a_long_gap__are_split_linearly() -> None:
    """Two counters of one session say what came between, however far they are apart."""
    folded = _fold(point("09:00", 1.0, 7.0), point("15:00", 7.0, 7.0))
    assert _moved(folded, "10:00", "11:00") == pytest.approx((1.0, 0.0), **EXACTLY)


@pytest.mark.parametrize("boundary", [stopped("09:00:30"), plugged("09:00:30")])
def test_fold__boundary_between_samples__separates(boundary: object) -> None:
    """Nothing counts across a stop or a plug event."""
    points = [point("09:00", 1.0, 7.0), point("09:01", 1.2, 7.0), point("09:02", 1.3, 7.0)]
    folded = fold(facts(points, boundaries=[boundary]), None)  # type: ignore[list-item]
    assert _moved(folded) == pytest.approx((0.1, 0.0), **EXACTLY)


def test_fold__counter_grows_up_to_the_idle_sample__counts() -> None:
    """The last of the energy may first be seen in the idle sample."""
    folded = _fold(point("09:00", 1.0, 7.0), point("09:01", 1.1, 7.0), idle("09:02", 1.15))
    assert _moved(folded) == pytest.approx((0.15, 0.0), **EXACTLY)
    assert folded.sessions[0].end_ms == folded.sessions[0].last_ms == at("09:02")


def test_fold__stop_and_last_sample_at_one_instant__belong_together() -> None:
    """The sample sent with the stop is the last of the session, not the first of another."""
    folded = _fold(
        point("09:00", 1.0, 7.0), point("09:01", 1.1, 7.0), boundaries=[stopped("09:01")]
    )
    assert [session.end_ms for session in folded.sessions] == [at("09:01")]
    assert _moved(folded) == pytest.approx((0.1, 0.0), **EXACTLY)


def test_fold__stale_counter_at_the_instant_of_the_start__does_not_count() -> None:
    """At the start the counter is 0, whatever a sample of that very instant still shows."""
    folded = _fold(
        point("09:00", 5.0, 7.0), point("09:01", 0.1, 7.0), boundaries=[started("09:00")]
    )
    assert _moved(folded) == pytest.approx((0.1, 0.0), **EXACTLY)


def test_fold__idle_only__is_no_session() -> None:
    """A connector that idles has no sessions, but the next one counts from where it idled."""
    folded = _fold(idle("09:00"), idle("09:01"))
    assert folded.sessions == []
    assert folded.carry is not None


def test_fold__start_without_samples__is_a_session() -> None:
    """A session that was begun exists, also if nothing was heard of it."""
    folded = _fold(boundaries=[started("09:00"), stopped("09:05")])
    assert [(held.start_ms, held.end_ms) for held in folded.sessions] == [
        (at("09:00"), at("09:05"))
    ]


def test_fold__nothing__has_nothing() -> None:
    """Without facts there is neither a session nor anything to go on from."""
    assert fold(Facts([], [], []), None) == Folded([], [], None)


@pytest.mark.parametrize(
    ("suspect", "reason"),
    [
        (point("09:00:10", 1.02, 9.0, digest=7), Reason.POWER),
        (point("09:00:10", 1.1, 7.0, digest=7), Reason.ENERGY),
        (point("09:00:10", 1.02, 7.0, soc_pct=71, digest=7), Reason.SOC),
    ],
)
def test_fold__sample_that_cannot_be_believed__is_left_out(suspect: object, reason: Reason) -> None:
    """A spike of power, counter or state of charge is reported, and the rest counts as without."""
    others = [
        point("09:00:00", 1.0, 7.0, soc_pct=50),
        point("09:00:20", 1.04, 7.0, soc_pct=50),
    ]
    folded = fold(facts([*others, suspect]), 8_400_000)  # type: ignore[list-item]
    assert folded.doubts == [Doubt(at("09:00:10"), 7, reason)]
    assert folded.sessions == fold(facts(others), 8_400_000).sessions


def test_fold__rating_unknown__believes_any_power() -> None:
    """Without a rating there is no limit that power or counter could exceed."""
    folded = _fold(point("09:00", 0.0, 900.0), point("09:01", 15.0, 900.0))
    assert folded.doubts == []
    assert _moved(folded) == pytest.approx((15.0, 0.0), **EXACTLY)


def test_fold__session_with_state_of_charge__tells_first_and_last() -> None:
    """A session knows the state of charge it began and ended with, the record's if that says so."""
    points = [point("09:00", 0, 7.0, soc_pct=30), point("09:30", 3.5, 7.0, soc_pct=45)]
    free = fold(facts(points), None).sessions[0]
    settled = fold(facts(points, records=[record("09:00", "09:30", 3.5, soc_end_pct=46)]), None)
    assert (free.soc_start_pct, free.soc_end_pct) == (30, 45)
    assert (settled.sessions[0].soc_start_pct, settled.sessions[0].soc_end_pct) == (30, 46)
