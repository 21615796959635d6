from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellus.simulator.clock import SimClock
from tellus.simulator.pacing import RateWindow, backoff_s
from tellus.simulator.scheduler import Scheduler

NOW_S = 1_741_860_000.0


def test_clock__scale_one__is_the_real_clock() -> None:
    """At scale 1 simulated time is real time."""
    clock = SimClock(NOW_S, 1.0)
    assert clock.sim_ms(NOW_S + 12.5) == int(1000 * (NOW_S + 12.5))
    assert clock.real_s(int(1000 * (NOW_S + 12.5))) == pytest.approx(NOW_S + 12.5)


def test_clock__known_duration__catches_up_as_the_run_ends() -> None:
    """Ten times faster for a minute: it begins nine minutes back and ends at the present."""
    clock = SimClock(NOW_S, 10.0, 60.0)
    assert clock.sim_ms(NOW_S) == int(1000 * (NOW_S - 540.0))
    assert clock.sim_ms(NOW_S + 6.0) == int(1000 * (NOW_S - 480.0))
    assert clock.sim_ms(NOW_S + 60.0) == int(1000 * (NOW_S + 60.0))
    assert clock.sim_ms(NOW_S + 70.0) == int(1000 * (NOW_S + 70.0))


def test_clock__slower_than_real__is_refused() -> None:
    """Simulated time cannot run slower than real time."""
    with pytest.raises(ValueError, match="at least 1"):
        SimClock(NOW_S, 0.5)


@given(
    st.floats(1.0, 100.0),
    st.one_of(st.none(), st.floats(1.0, 3600.0)),
    st.floats(0.0, 100_000.0),
    st.floats(0.0, 10_000.0),
)
def test_clock__any_scale__never_runs_into_the_future_nor_backwards(
    scale: float, duration_s: float | None, elapsed_s: float, more_s: float
) -> None:
    """Simulated time is never later than real time and never falls; its inverse agrees."""
    clock = SimClock(NOW_S, scale, duration_s)
    sim_ms = clock.sim_ms(NOW_S + elapsed_s)
    assert sim_ms <= 1000 * (NOW_S + elapsed_s)
    assert sim_ms <= clock.sim_ms(NOW_S + elapsed_s + more_s)
    assert clock.sim_ms(clock.real_s(sim_ms) + 0.002) >= sim_ms
    assert clock.real_s(sim_ms) <= NOW_S + elapsed_s + 0.002


def test_scheduler__wakeups_of_one_time__come_in_the_order_asked() -> None:
    """What is due is called once, by time and then by order; the rest waits."""
    scheduler, called = Scheduler(), []
    for name, due_s in (("late", 9.0), ("b", 2.0), ("a", 1.0), ("c", 2.0)):
        scheduler.at(due_s, lambda now_s, name=name: called.append((name, now_s)))
    assert scheduler.next_due_s() == 1.0
    assert scheduler.run_due(5.0) == 3
    assert called == [("a", 5.0), ("b", 5.0), ("c", 5.0)]
    assert scheduler.run_due(5.0) == 0
    assert len(scheduler) == 1


def test_scheduler__many_due__stops_at_its_bound() -> None:
    """One turn is bounded, so that an event loop stays responsive."""
    scheduler = Scheduler()
    for number in range(500):
        scheduler.at(float(number), lambda _: None)
    assert scheduler.run_due(1000.0, at_most=200) == 200
    assert len(scheduler) == 300


@pytest.mark.parametrize(("failures", "ceiling_s"), [(1, 2.0), (3, 8.0), (6, 60.0), (500, 60.0)])
def test_backoff__after_failures__is_full_jitter_below_the_ceiling(
    failures: int, ceiling_s: float
) -> None:
    """The wait is uniform between nothing and min(60, 2^n) seconds."""
    rng = Random(1)
    waits = [backoff_s(rng, failures) for _ in range(2000)]
    assert 0.0 <= min(waits) < 0.05 * ceiling_s
    assert 0.95 * ceiling_s < max(waits) <= ceiling_s
    assert sum(waits) / len(waits) == pytest.approx(ceiling_s / 2, rel=0.06)


@given(st.lists(st.floats(0.0, 2.0), min_size=1, max_size=200))
def test_rate_window__any_pattern_of_wishes__is_never_exceeded(pauses_s: list[float]) -> None:
    """No rolling period holds more than the limit, and waiting as told is enough."""
    window, now_s, sent = RateWindow(5, 1.0), 100.0, []
    for pause_s in pauses_s:
        now_s += pause_s
        now_s += window.wait_s(now_s)
        assert window.wait_s(now_s) < 1e-9
        window.note(now_s)
        sent.append(now_s)
    for index, first_s in enumerate(sent[:-5]):
        assert sent[index + 5] - first_s >= 1.0 - 1e-9
