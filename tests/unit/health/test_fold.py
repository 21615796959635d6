"""Samples folded to spans: by definition, in any order, any number of times."""

import random

from hypothesis import given
from hypothesis import strategies as st

from tellus.health.rules import Told, fold, merge, put_together, to_hours
from tellus.health.store import read_span, write_span
from tellus.kernel.units import HOUR_MS, MINUTE_MS
from tests.unit.health.builders import TOLD, expected, row


@given(TOLD)
def test_fold__any_samples__has_the_extremes_and_the_last_of_each(told: list[Told]) -> None:
    """Lowest, highest and last value of each metric and the last word of each status."""
    assert fold(told) == expected(told)


@given(TOLD, st.randoms(use_true_random=False), st.integers(1, 4))
def test_merge__parts_in_any_order_and_repeated__come_to_the_same(
    told: list[Told], chance: random.Random, parts: int
) -> None:
    """Several nodes, repeats and another order change nothing."""
    shuffled = told + chance.sample(told, len(told) // 2)
    chance.shuffle(shuffled)
    pieces = [shuffled[k::parts] for k in range(parts)]
    folded = [fold(piece) for piece in pieces if piece]
    whole = put_together(folded + folded[:1])
    assert whole == fold(told)
    assert merge(whole, whole) == whole


@given(TOLD, st.integers(0, 10))
def test_stored_form__any_span__is_read_back_as_it_was(told: list[Told], minute: int) -> None:
    """What is stored is read back to the last digit."""
    start_ms = minute * MINUTE_MS
    folded = fold([(start_ms + one[0], *one[1:]) for one in told])
    assert read_span(write_span(folded, start_ms), start_ms) == folded


def test_to_hours__minutes_of_two_hours__make_two() -> None:
    """Each minute goes into the hour that it lies in."""
    minutes = [row(k * 20 * MINUTE_MS, cooling_fan_rpm=float(k)) for k in range(6)]
    hours = to_hours(minutes)
    assert sorted(hours) == [(1, 1, 0), (1, 1, HOUR_MS)]
    assert hours[1, 1, 0].numbers["cooling_fan_rpm"][:3] == (0.0, 2.0, 2.0)
