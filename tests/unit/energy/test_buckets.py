"""Buckets: every one that meets the range, in UTC and in zones whose clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellus.energy.model_series import Granularity
from tellus.energy.rules_buckets import Buckets, cut_buckets, find_first_ms, find_last_ms
from tellus.kernel.units import DAY_MS, HOUR_MS, MINUTE_MS

MOST = 20_000
ZONES = (
    "Europe/Oslo",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Atlantic/Azores",
)


def ms(text: str) -> int:
    """A moment in ms; without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def cut(granularity: str, start: str, end: str, zone: str | None = None) -> Buckets:
    """The buckets of a range."""
    place = None if zone is None else ZoneInfo(zone)
    found = cut_buckets(Granularity(granularity), ms(start), ms(end), place, MOST)
    assert found is not None
    return found


def hours(buckets: Buckets) -> dict[str, float]:
    """How long each bucket is (h), by its label."""
    lengths = [b - a for a, b in zip(buckets.edges, buckets.edges[1:], strict=False)]
    return {label: length / HOUR_MS for label, length in zip(buckets.labels, lengths, strict=True)}


@pytest.mark.parametrize(
    ("granularity", "start", "end", "labels"),
    [
        (
            "hour",
            "2025-03-15T09:30",
            "2025-03-15T10:30",
            ["2025-03-15T09:00:00Z", "2025-03-15T10:00:00Z"],
        ),
        ("hour", "2025-03-15T09:00", "2025-03-15T10:00", ["2025-03-15T09:00:00Z"]),
        ("hour", "2025-03-15T09:59:59.999", "2025-03-15T10:00", ["2025-03-15T09:00:00Z"]),
        ("day", "2025-02-28T23:59", "2025-03-01T00:01", ["2025-02-28", "2025-03-01"]),
        ("month", "2024-12-31T23:59", "2025-02-01T00:00", ["2024-12", "2025-01"]),
        ("month", "1969-12-31T23:59", "1970-01-01T00:01", ["1969-12", "1970-01"]),
    ],
)
def test_cut__utc__is_every_bucket_that_meets_the_range(
    granularity: str, start: str, end: str, labels: list[str]
) -> None:
    """Ranges are half-open; a bucket that only touches the end is not in the answer."""
    assert cut(granularity, start, end).labels == labels


def test_cut__oslo_in_autumn__the_day_lasts_25_hours_and_two_o_clock_comes_twice() -> None:
    """Both hours that the clock calls two stand apart, by their offsets."""
    days = cut("day", "2019-10-26T00:00+02:00", "2019-10-29T00:00+01:00", "Europe/Oslo")
    assert hours(days) == {"2019-10-26": 24, "2019-10-27": 25, "2019-10-28": 24}
    found = cut("hour", "2019-10-27T01:00+02:00", "2019-10-27T04:00+01:00", "Europe/Oslo")
    assert hours(found) == {
        "2019-10-27T01:00:00+02:00": 1,
        "2019-10-27T02:00:00+02:00": 1,
        "2019-10-27T02:00:00+01:00": 1,
        "2019-10-27T03:00:00+01:00": 1,
    }


def test_cut__oslo_in_spring__the_day_lasts_23_hours_and_two_o_clock_is_left_out() -> None:
    """The hour that the clocks skip has no bucket."""
    days = cut("day", "2025-03-29T00:00+01:00", "2025-04-01T00:00+02:00", "Europe/Oslo")
    assert hours(days) == {"2025-03-29": 24, "2025-03-30": 23, "2025-03-31": 24}
    found = cut("hour", "2025-03-30T01:00+01:00", "2025-03-30T04:00+02:00", "Europe/Oslo")
    assert found.labels == ["2025-03-30T01:00:00+01:00", "2025-03-30T03:00:00+02:00"]
    months = cut("month", "2025-03-15T00:00Z", "2025-10-15T00:00Z", "Europe/Oslo")
    assert hours(months)["2025-03"] == 31 * 24 - 1
    assert hours(months)["2025-10"] == 31 * 24 + 1


def test_cut__lord_howe__clocks_change_by_half_an_hour() -> None:
    """No hour spans the change: the hours beside it are cut there."""
    found = cut("hour", "2025-04-05T14:00Z", "2025-04-05T16:30Z", "Australia/Lord_Howe")
    assert hours(found) == {
        "2025-04-06T01:00:00+11:00": 1,
        "2025-04-06T01:30:00+10:30": 0.5,
        "2025-04-06T02:00:00+10:30": 1,
    }
    found = cut("hour", "2025-10-04T14:30Z", "2025-10-04T17:00Z", "Australia/Lord_Howe")
    assert hours(found) == {
        "2025-10-05T01:00:00+10:30": 1,
        "2025-10-05T02:30:00+11:00": 0.5,
        "2025-10-05T03:00:00+11:00": 1,
    }
    days = cut("day", "2025-04-05T14:00Z", "2025-04-05T15:00Z", "Australia/Lord_Howe")
    assert hours(days) == {"2025-04-06": 24.5}


@pytest.mark.parametrize(
    ("zone", "label", "start"),
    [
        ("Asia/Kolkata", "2025-03-15T10:00:00+05:30", "2025-03-15T04:30Z"),
        ("Asia/Kathmandu", "2025-03-15T10:00:00+05:45", "2025-03-15T04:15Z"),
        ("America/St_Johns", "2025-03-15T10:00:00-02:30", "2025-03-15T12:30Z"),
        ("Europe/London", "2025-01-15T10:00:00+00:00", "2025-01-15T10:00Z"),
    ],
)
def test_cut__offset_of_part_of_an_hour__hours_are_those_of_the_wall(
    zone: str, label: str, start: str
) -> None:
    """Hours begin where the local clock shows a full hour."""
    found = cut("hour", start, "2025-03-16T00:00Z", zone)
    assert found.labels[0] == label
    assert found.edges[0] == ms(start)


def test_cut__no_midnight__the_day_begins_after_the_gap() -> None:
    """Where clocks are set on at midnight, a day begins at one; a skipped date has no bucket."""
    days = cut("day", "2018-11-03T12:00Z", "2018-11-05T12:00Z", "America/Sao_Paulo")
    assert hours(days) == {"2018-11-03": 24, "2018-11-04": 23, "2018-11-05": 24}
    days = cut("day", "2011-12-29T12:00Z", "2011-12-31T12:00Z", "Pacific/Apia")
    assert hours(days) == {"2011-12-29": 24, "2011-12-31": 24, "2012-01-01": 24}


def test_cut__midnight_twice__the_day_begins_with_the_first() -> None:
    """Where clocks are set back across midnight, nothing of the day before is in two buckets."""
    days = cut("day", "2010-11-07T03:00Z", "2010-11-07T04:00Z", "America/St_Johns")
    assert hours(days) == {"2010-11-07": 25}


def test_cut__too_many__is_none() -> None:
    """The limit holds exactly, and a range of thousands of years does not take long to refuse."""
    start = ms("2025-01-01T00:00")
    for zone in (None, ZoneInfo("Europe/Oslo")):
        end = start + 100 * HOUR_MS
        assert cut_buckets(Granularity.HOUR, start, end, zone, 100) is not None
        assert cut_buckets(Granularity.HOUR, start, end + 1, zone, 100) is None
        assert cut_buckets(Granularity.HOUR, start, end, zone, 99) is None
        assert cut_buckets(Granularity.DAY, start, start + 30 * DAY_MS, zone, 29) is None
    for granularity in Granularity:
        for place in (None, ZoneInfo("Asia/Kathmandu")):
            assert cut_buckets(granularity, find_first_ms(), find_last_ms(), place, 100) is None


@pytest.mark.parametrize("zone", [None, *ZONES])
def test_cut__ends_of_time__have_labels(zone: str | None) -> None:
    """The first and the last moment that may be asked for have buckets in every zone."""
    place = None if zone is None else ZoneInfo(zone)
    for granularity in Granularity:
        for start_ms in (find_first_ms(), find_last_ms() - HOUR_MS):
            found = cut_buckets(granularity, start_ms, start_ms + HOUR_MS, place, MOST)
            assert found is not None
            assert found.edges[0] <= start_ms < found.edges[1]


@given(
    st.sampled_from(list(Granularity)),
    st.sampled_from(ZONES),
    st.integers(ms("2008-01-01T00:00") // MINUTE_MS, ms("2030-01-01T00:00") // MINUTE_MS),
    st.integers(1, 4 * 24 * 60),
)
def test_cut__any_range__buckets_follow_one_another_and_hold_their_own(
    granularity: Granularity, zone: str, start: int, minutes: int
) -> None:
    """Edges ascend, all meet the range, and each moment lies in the bucket of its local name."""
    from_ms, to_ms = start * MINUTE_MS, (start + minutes) * MINUTE_MS
    found = cut_buckets(granularity, from_ms, to_ms, ZoneInfo(zone), MOST)
    assert found is not None
    edges, labels = found
    assert len(edges) == len(labels) + 1
    assert edges == sorted(set(edges))
    assert edges[0] <= from_ms < edges[1]
    assert edges[-2] < to_ms <= edges[-1]
    assert labels == sorted(set(labels), key=labels.index)
    for begin_ms, end_ms, label in zip(edges, edges[1:], labels, strict=False):
        for moment_ms in (begin_ms, end_ms - 1):
            local = datetime.fromtimestamp(moment_ms // 1_000, ZoneInfo(zone))
            if granularity is Granularity.HOUR:
                assert local.isoformat()[:13] == label[:13]
                assert local.isoformat()[-6:] == label[-6:]
            elif not (zone == "America/St_Johns" and local.hour == 23):  # set back over midnight
                assert local.isoformat().startswith(label)
        if granularity is Granularity.HOUR:
            assert ms(label) == begin_ms
