"""Versions are ordered within their scheme, and never across."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellus.kernel.versions import (
    Order,
    Scheme,
    compare_versions,
    is_at_least,
    is_more_than_two_minors_behind,
    parse_version,
    sort_key,
)

SMALL = st.integers(0, 12)
PARTS = st.one_of(st.integers(0, 30).map(str), st.sampled_from(["alpha", "beta", "rc", "x-1"]))
PRE = st.lists(PARTS, min_size=1, max_size=3).map(lambda parts: "-" + ".".join(parts))
SEMANTIC = st.builds("{}.{}.{}{}".format, SMALL, SMALL, SMALL, st.one_of(st.just(""), PRE))
DATED = st.builds("{:06d}.{:04d}".format, st.integers(0, 999_999), st.integers(0, 9_999))
NEITHER = st.sampled_from(["", "imported", "3.1", "v3.1.0", "3.1.0.2", "26042.0107", "3.1.0-"])
SAME_SCHEME = st.one_of(st.tuples(*[SEMANTIC] * 3), st.tuples(*[DATED] * 3))
ANY = st.one_of(SEMANTIC, DATED, NEITHER)
OPPOSITE = {Order.OLDER: Order.NEWER, Order.NEWER: Order.OLDER}


@given(ANY, ANY)
def test_compare_versions__the_other_way_round__is_the_opposite(first: str, second: str) -> None:
    """What is older than another is what the other is newer than; same and incomparable stay."""
    order = compare_versions(first, second)
    assert compare_versions(second, first) is OPPOSITE.get(order, order)


@given(SAME_SCHEME)
def test_compare_versions__within_a_scheme__is_a_total_order(three: tuple[str, str, str]) -> None:
    """Any two can be compared, and what is not newer than the next is not newer than the last."""
    first, second, third = three
    orders = {compare_versions(one, other) for one in three for other in three}
    assert Order.INCOMPARABLE not in orders
    up = {Order.OLDER, Order.SAME}
    if compare_versions(first, second) in up and compare_versions(second, third) in up:
        assert compare_versions(first, third) in up


@given(SEMANTIC, DATED)
def test_compare_versions__across_the_schemes__cannot_be_told(one: str, other: str) -> None:
    """A semantic and a dated version have no order, and neither passes the other's gate."""
    assert compare_versions(one, other) is Order.INCOMPARABLE
    assert not is_at_least(one, other)
    assert not is_at_least(other, one)
    assert not is_more_than_two_minors_behind(one, other)


@given(NEITHER, ANY)
def test_compare_versions__of_no_scheme__is_comparable_with_itself_alone(
    one: str, other: str
) -> None:
    """What cannot be read is below every gate but its own text."""
    same = one == other
    assert compare_versions(one, other) is (Order.SAME if same else Order.INCOMPARABLE)
    assert is_at_least(one, other) is same
    assert parse_version(one) is None


@given(st.lists(st.one_of(SEMANTIC, DATED), max_size=12))
def test_sort_key__of_a_list__agrees_with_the_comparison(versions: list[str]) -> None:
    """Sorted by the key, no version stands before an older one of its scheme."""
    ordered = sorted(versions, key=sort_key)
    for place, version in enumerate(ordered):
        for later in ordered[place + 1 :]:
            assert compare_versions(version, later) is not Order.NEWER


def test_compare_versions__precedence_of_pre_releases__is_that_of_semver() -> None:
    """The chain of the standard's section 11 holds, and build metadata does not count."""
    chain = [
        "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
        "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.9.0", "1.10.0", "2.0.0",
    ]  # fmt: skip
    for place, version in enumerate(chain):
        assert all(compare_versions(version, later) is Order.OLDER for later in chain[place + 1 :])
    assert compare_versions("1.0.0+a", "1.0.0+b") is Order.SAME


@pytest.mark.parametrize(
    ("version", "scheme"),
    [
        ("3.1.0", Scheme.SEMANTIC),
        ("3.2.0-rc.1", Scheme.SEMANTIC),
        ("260420.0107", Scheme.DATED),
        ("260420.107", None),
        ("3.1", None),
        ("\u0663.1.0", None),
    ],
)
def test_parse_version__texts_of_both_schemes__are_told_apart(
    version: str, scheme: Scheme | None
) -> None:
    """A version is of one scheme by how it is written, or of none."""
    parsed = parse_version(version)
    assert (parsed.scheme if parsed else None) is scheme


@pytest.mark.parametrize(
    ("version", "latest", "behind"),
    [
        ("3.1.0", "3.4.0", True),
        ("3.2.0", "3.4.0", False),
        ("3.9.9", "4.0.0", True),
        ("4.0.0", "3.9.9", False),
        ("3.4.0", "3.4.0", False),
        ("3.4.0", "3.1.0", False),
        ("imported", "3.1.0", False),
        ("260101.0001", "260420.0107", False),
    ],
)
def test_more_than_two_minors_behind__by_major_or_minor__is_seen(
    version: str,
    latest: str,
    behind: bool,  # noqa: FBT001 - the expected answer
) -> None:
    """A lower major, or a minor three or more below, is far behind; what is unknown is not."""
    assert is_more_than_two_minors_behind(version, latest) is behind


@pytest.mark.parametrize(
    ("version", "passes"),
    [
        ("260420.0107", True), ("260420.0108", True), ("260419.9999", False),
        ("3.1.0", False), ("", False),
    ],
)  # fmt: skip
def test_is_at_least__gate_of_a_build__is_passed_by_what_is_known_to_reach_it(
    version: str,
    passes: bool,  # noqa: FBT001 - the expected answer
) -> None:
    """Unknown is below the gate."""
    assert is_at_least(version, "260420.0107") is passes
