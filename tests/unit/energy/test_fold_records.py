import pytest
from msgspec.structs import replace

from tellus.energy.model import NKWH_PER_KWH, Basis, Folded
from tellus.energy.rules_clip import energy_between
from tellus.energy.rules_fold import Before, fold
from tellus.energy.rules_rescale import rescale
from tests.unit.energy.builders import (
    PRECISION_NKWH,
    at,
    facts,
    idle,
    in_kwh,
    point,
    record,
    started,
    steady,
)

EXACTLY = {"abs": 1e-6}


def _charged(folded: Folded, *hours: int) -> list[float]:
    return [in_kwh(folded.sessions, f"{hour:02}:00", f"{hour + 1:02}:00")[0] for hour in hours]


def _net_nkwh(folded: Folded, record_id: str = "r-1") -> int:
    return sum(
        charge - discharge
        for session in folded.sessions
        if session.record_id == record_id
        for charge, discharge in session.minutes.values()
    )


def test_record__alone__is_spread_over_its_time() -> None:
    """10.5 kWh from 09:20 to 11:05 are 4, 6 and 0.5 kWh by the hour."""
    folded = fold(facts(records=[record("09:20", "11:05", 10.5)]), None)
    assert _charged(folded, 9, 10, 11) == pytest.approx([4.0, 6.0, 0.5], **EXACTLY)
    session = folded.sessions[0]
    assert (session.start_ms, session.end_ms) == (at("09:20"), at("11:05"))
    assert (session.record_id, session.basis) == ("r-1", Basis.RECORD)


def test_record__telemetry_covers_all__scales_it() -> None:
    """Telemetry of 3.0 and 1.0 kWh under a record of 4.2 kWh becomes 3.15 and 1.05."""
    points = [point("09:00", 0.0, 3.0), point("10:00", 3.0, 3.0), point("11:00", 4.0, 1.0)]
    folded = fold(facts(points, records=[record("09:00", "11:00", 4.2)]), None)
    assert _charged(folded, 9, 10) == pytest.approx([3.15, 1.05], **EXACTLY)
    assert _net_nkwh(folded) == 4.2 * NKWH_PER_KWH


def test_record__telemetry_ends_early__fills_the_gap() -> None:
    """Telemetry of 2.0 until 09:30, a gap until 10:30, a record of 5.0: 3.5 and 1.5."""
    folded = fold(
        facts([*steady("09:00", "09:30", 4.0, every_s=5)], records=[record("09:00", "10:30", 5.0)]),
        None,
    )
    assert _charged(folded, 9, 10) == pytest.approx([3.5, 1.5], **EXACTLY)
    assert _net_nkwh(folded) == 5 * NKWH_PER_KWH


def test_record__says_less_than_telemetry_with_a_gap__scales_down() -> None:
    """A rest that is not of the session's sign cannot have been moved in the gap."""
    points = [point("09:00", 0.0, 4.0), point("10:00", 4.0, 4.0)]
    folded = fold(facts(points, records=[record("09:00", "11:00", 3.0)]), None)
    assert _charged(folded, 9, 10) == pytest.approx([3.0, 0.0], **EXACTLY)


def test_record__time_between_start_event_and_first_sample__is_covered() -> None:
    """The counter is known to be 0 at the start event, so that nothing is missing before."""
    points = [point("09:30", 1.0, 2.0), point("10:00", 2.0, 2.0), point("11:00", 4.0, 2.0)]
    records = [record("09:00", "11:00", 4.4)]
    known = fold(facts(points, [started("09:00")], records), None)
    unknown = fold(facts(points, [], records), None)
    assert _charged(known, 9, 10) == pytest.approx([2.2, 2.2], **EXACTLY)
    assert _charged(unknown, 9, 10) == pytest.approx([1.4 + 1.0, 2.0], **EXACTLY)


def test_record__power_only_with_a_gap__fills_the_gap() -> None:
    """Where only power is known, time between samples over 15 s apart is not covered."""
    points = [*steady("09:00", "09:30", 4.0, None), *steady("10:00", "10:30", 4.0, None)]
    folded = fold(facts(points, records=[record("09:00", "10:30", 5.0)]), None)
    assert _charged(folded, 9, 10) == pytest.approx([3.0, 2.0], **EXACTLY)


def test_record__negative_without_telemetry__is_discharge() -> None:
    """A record with negative energy and nothing else is energy out."""
    folded = fold(facts(records=[record("09:00", "10:00", -2.0)]), None)
    assert in_kwh(folded.sessions, "09:00", "10:00") == pytest.approx((0.0, 2.0), **EXACTLY)


def test_record__both_directions__changes_each_by_its_share() -> None:
    """3 in and 1 out under a net record of 1: each changes by a quarter of its size, out grows."""
    points = [point("09:00", 0.0, 3.0), point("10:00", 3.0, 3.0), point("11:00", 2.0, -1.0)]
    folded = fold(facts(points, records=[record("09:00", "11:00", 1.0)]), None)
    assert in_kwh(folded.sessions, "09:00", "10:00") == pytest.approx((2.25, 0.0), **EXACTLY)
    assert in_kwh(folded.sessions, "10:00", "11:00") == pytest.approx((0.0, 1.25), **EXACTLY)


def test_record__of_no_length__is_in_the_minute_of_its_start() -> None:
    """A record that starts and ends at one instant counts in that minute."""
    folded = fold(facts(records=[record("09:20:30", "09:20:30", 1.5)]), None)
    assert folded.sessions[0].minutes == {at("09:20") // 60_000: (1_500_000_000, 0)}


def test_record__sample_at_its_end__belongs_to_it() -> None:
    """The last sample often has the very time of the record's end."""
    points = [point("09:00", 0.0, 4.0), point("10:00", 4.0, 4.0), point("10:01", 4.1, 4.0)]
    folded = fold(facts(points, records=[record("09:00", "10:00", 4.0)]), None)
    assert [session.record_id for session in folded.sessions] == ["r-1"]
    assert folded.sessions[0].samples == 2


def test_records__that_overlap__each_keep_their_energy() -> None:
    """Samples go to the earlier record; the other one fills the time that is left to it."""
    points = steady("09:00", "11:00", 4.0)
    records = [record("09:00", "10:30", 6.0), record("10:00", "11:00", 5.0, "r-2")]
    folded = fold(facts(points, records=records), None)
    assert _net_nkwh(folded, "r-1") == 6 * NKWH_PER_KWH
    assert _net_nkwh(folded, "r-2") == 5 * NKWH_PER_KWH


def test_record__pause_seen_as_idle__is_one_session() -> None:
    """A record holds everything in its span together, also across an idle sample."""
    points = [point("09:00", 0.0, 4.0), point("09:30", 2.0, 4.0), idle("09:31", 0.0)]
    more = [point("09:41", 0.5, 4.0), point("10:00", 1.5, 4.0)]
    folded = fold(facts([*points, *more], records=[record("09:00", "10:00", 3.5)]), None)
    assert [session.record_id for session in folded.sessions] == ["r-1"]
    assert _net_nkwh(folded) == 3.5 * NKWH_PER_KWH
    assert in_kwh(folded.sessions, "09:00", "09:30")[0] == pytest.approx(2.0, **EXACTLY)


def test_record__not_yet_over__is_open_and_goes_on() -> None:
    """Folded while it runs, a record's session has no end; later samples still shape it."""
    records = [record("09:00", "10:00", 4.0)]
    points = [point("09:00", 0.0, 4.0), point("09:20", 2.0, 4.0), point("10:00", 4.0, 4.0)]
    early = fold(facts(points[:2], records=records), None, None, at("09:30"))
    assert [session.end_ms for session in early.sessions] == [None]
    late = fold(facts(points[2:]), None, Before(early.sessions, early.carry), at("10:30"))
    assert late.sessions == fold(facts(points, records=records), None).sessions
    assert late.carry is None


def test_clip__inside_a_minute__follows_the_samples() -> None:
    """Between two instants counts what the samples say, not a share of the minute."""
    points = [point("09:00:00", 0.0, 7.0), point("09:00:30", 0.3, 7.0), point("09:01:00", 0.3, 7.0)]
    assert energy_between(facts(points), None, at("09:00:15"), at("09:00:45")) == (150_000_000, 0)


def test_clip__record_from_0920__is_clipped_at_any_instant() -> None:
    """Half past nine to half past ten of a record at 6 kW is 6 kWh, in seconds as in hours."""
    given = facts(records=[record("09:20", "11:05", 10.5)])
    first, _ = energy_between(given, None, at("09:30:07"), at("10:30:07"))
    assert abs(first - 6 * NKWH_PER_KWH) < PRECISION_NKWH


def test_rescale__record_after_the_samples_are_gone__scales_the_shape() -> None:
    """The minutes of a session keep their shape and sum to the late record exactly."""
    points = [point("09:00", 0.0, 3.0), point("10:00", 3.0, 3.0), point("11:00", 4.0, 1.0)]
    stored = fold(facts(points), None).sessions
    late = record("09:00", "11:00", 4.2)
    (session,) = rescale(stored, late)
    assert in_kwh([session], "09:00", "10:00")[0] == pytest.approx(3.15, **EXACTLY)
    assert sum(charge for charge, _ in session.minutes.values()) == late.energy_nkwh
    assert (session.record_id, session.start_ms, session.end_ms) == (
        "r-1",
        late.start_ms,
        late.end_ms,
    )


def test_rescale__record_longer_than_the_session__fills_the_rest() -> None:
    """Time of the record in which no session was known takes what is missing."""
    stored = fold(facts(steady("09:00", "09:30", 4.0)), None).sessions
    (session,) = rescale(stored, record("09:00", "10:30", 5.0))
    assert in_kwh([session], "10:00", "11:00")[0] == pytest.approx(1.5, **EXACTLY)


def test_rescale__record_shorter_than_the_session__leaves_the_rest_alone() -> None:
    """What a session moved outside the record stays a session of its own."""
    stored = fold(facts(steady("09:00", "11:00", 4.0)), None).sessions
    before, session, after = rescale(stored, record("09:30", "10:30:30", 5.0))
    assert in_kwh([before], "00:00", "24:00")[0] == pytest.approx(2.0, **EXACTLY)
    assert in_kwh([session], "00:00", "24:00")[0] == pytest.approx(5.0, **EXACTLY)
    assert in_kwh([after], "00:00", "24:00")[0] == pytest.approx(4 * 29.5 / 60, **EXACTLY)
    assert (before.end_ms, after.start_ms) == (at("09:30"), at("10:30:30"))


def test_rescale__quarter_hours__keep_their_bins() -> None:
    """Beyond the minutes the same is done with quarter-hours."""
    quarter_ms = 900_000
    (stored,) = fold(facts(steady("09:00", "10:00", 4.0)), None).sessions
    first = at("09:00") // quarter_ms
    shape = {first + number: (NKWH_PER_KWH, 0) for number in range(4)}
    (session,) = rescale(
        [replace(stored, minutes=shape)], record("09:00", "10:30", 5.0), quarter_ms
    )
    assert session.minutes == {
        **shape,
        first + 4: (NKWH_PER_KWH // 2, 0),
        first + 5: (NKWH_PER_KWH // 2, 0),
    }


def test_rescale__session_of_another_record__stays_as_it_is() -> None:
    """What one record settled another cannot take away."""
    settled = fold(facts(records=[record("09:00", "10:00", 3.0)]), None).sessions
    both = rescale(settled, record("09:30", "10:30", 2.0, "r-2"))
    assert both[0] == settled[0]
    assert in_kwh(both[1:], "00:00", "24:00")[0] == pytest.approx(2.0, **EXACTLY)
