"""Robust statistics against plain definitions of the same."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellus.agents.rules_robust import Crowd, median, poisson_tail, quantile, robust_z, spread

values = st.lists(
    st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 6)), min_size=1
)


@given(values)
def test_median__any_values__is_that_of_the_standard_library(given_values: list[float]) -> None:
    """The median is the median."""
    assert median(given_values) == pytest.approx(statistics.median(given_values), abs=1e-9)


@given(values, st.floats(0, 1))
def test_quantile__any_share__lies_between_neighbours(
    given_values: list[float], share: float
) -> None:
    """At least that share of the values, rounded, lies on each side of a quantile."""
    found = quantile(given_values, share)
    below = sum(value <= found + 1e-6 for value in given_values)
    above = sum(value >= found - 1e-6 for value in given_values)
    assert below >= math.floor(share * (len(given_values) - 1)) + 1 - 1e-9
    assert above >= len(given_values) - math.ceil(share * (len(given_values) - 1)) - 1e-9


@given(st.lists(st.floats(-100, 100), min_size=9, max_size=40), st.floats(1e5, 1e9))
def test_spread__a_few_wild_values__hardly_move_it(calm: list[float], wild: float) -> None:
    """A wild value among nine or more calm ones leaves the spread within that of the calm ones."""
    assert spread([*calm, wild], 1.0) <= max(1.4826 * 200, 1.0)


def test_robust_z__flat_past__is_bounded_by_the_least_spread() -> None:
    """Where the past is flat the least spread is what a deviation is measured by."""
    assert robust_z(12.0, [10.0] * 20, 0.5) == 4.0


@given(values, st.data())
def test_crowd__without_a_few__is_as_the_list_of_the_others(
    given_values: list[float], data: st.DataObject
) -> None:
    """Asked about the others, a crowd says what a list of them does, equal values or not."""
    kept = data.draw(st.lists(st.booleans(), min_size=len(given_values) - 1))
    few = [one for one, is_kept in zip(given_values[1:], kept, strict=False) if not is_kept]
    others = [given_values[0]]
    others += [one for one, is_kept in zip(given_values[1:], kept, strict=False) if is_kept]
    others += given_values[1 + len(kept) :]
    rest = Crowd(given_values).without(few)
    assert len(rest) == len(others)
    assert rest.median() == median(others)
    assert rest.robust_z(7.0, 0.5) == robust_z(7.0, others, 0.5)


@given(st.integers(0, 60), st.floats(0.001, 50))
def test_poisson_tail__any_count__is_the_sum_of_its_terms(count: int, mean: float) -> None:
    """The tail is the sum of the probabilities from the count on."""
    terms = [
        math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count, count + 400)
    ]
    assert poisson_tail(count, mean) == pytest.approx(math.fsum(terms), rel=1e-6, abs=1e-9)
