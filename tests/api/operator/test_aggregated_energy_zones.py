"""Aggregated energy in time zones: local hours, days and months, and the nights clocks change."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest

from tests.api.operator.energy_depot import ask, charge, moment, send
from tests.api.tenancy import Tenant, new_tenant
from tests.contract.client import ContractClient
from tests.server import RunningServer

ZONES = ("UTC", "Europe/Oslo", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns",
         "Australia/Lord_Howe")  # fmt: skip

SESSIONS = (
    ("2019-10-26T20:27:00+02:00", "2019-10-27T08:48:00+01:00", 41.3),  # Oslo: clocks go back
    ("2019-03-31T00:10:00+01:00", "2019-03-31T05:50:00+02:00", 33.1),  # Oslo: clocks go forward
    ("2019-04-06T13:17:00+00:00", "2019-04-06T17:01:00+00:00", 12.7),  # Lord Howe: back by 0:30
    ("2019-10-05T13:45:00+00:00", "2019-10-05T17:20:00+00:00", -9.9),  # Lord Howe: on by 0:30
    ("2019-11-03T02:11:00+00:00", "2019-11-03T07:07:00+00:00", 17.7),  # St. John's: back
    ("2019-03-10T03:11:00+00:00", "2019-03-10T08:13:30+00:00", 14.2),  # St. John's: forward
    ("2019-06-30T12:00:00+00:00", "2019-07-01T12:00:00+00:00", 240.0),  # the turn of a month
)


class Uniform(NamedTuple):
    """A session of even power."""

    start: datetime
    end: datetime
    energy_kwh: float

    def within(self, start: datetime, end: datetime) -> float:
        """Its energy in a span."""
        shared = min(self.end, end) - max(self.start, start)
        return max(0.0, shared / (self.end - self.start)) * self.energy_kwh


@pytest.fixture(scope="module")
def depot(server: RunningServer, contract: ContractClient) -> Tenant:
    """A charger that was busy whenever clocks changed in 2019."""
    made = new_tenant(server, contract)
    send(made.charger(), "charging-records", [charge(*session) for session in SESSIONS])
    return made


def starts_of(label: str, granularity: str, zone: str) -> datetime:
    """When a bucket with this label begins."""
    if granularity == "hour":
        return moment(label)
    local = datetime.fromisoformat(label if granularity == "day" else f"{label}-01")
    return local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("granularity", ["hour", "day", "month"])
def test_energy__in_a_zone__is_in_the_bucket_of_the_local_clock(
    depot: Tenant, zone: str, granularity: str
) -> None:
    """Every local bucket holds what was moved between its start and the next one's."""
    sessions = [Uniform(moment(start), moment(end), kwh) for start, end, kwh in SESSIONS]
    for session in sessions:
        around = timedelta(hours=7, minutes=11)
        first, last = session.start - around, session.end + around
        found = ask(depot, first.isoformat(), last.isoformat(), granularity, timezone=zone)
        starts = [starts_of(label, granularity, zone) for label in found.points]
        assert starts == sorted(set(starts))
        assert starts[0] <= first
        for number, point in enumerate(found.points.values()):
            begin = max(first, starts[number])
            end = starts[number + 1] if number + 1 < len(starts) else last
            net = sum(one.within(begin, end) for one in sessions)
            hours = (end - begin) / timedelta(hours=1)
            energy = point["charge_energy"] - point["discharge_energy"]
            assert energy == pytest.approx(net, abs=1e-6)
            assert point["avg_power"] == pytest.approx(net / hours, abs=1e-6)
        net = found.total["charge_energy"] - found.total["discharge_energy"]
        assert net == pytest.approx(session.energy_kwh, abs=1e-6)


def test_energy__the_night_clocks_go_back_in_oslo__the_day_is_90_000_s_long(depot: Tenant) -> None:
    """The mean power of 2019-10-27 is over 25 hours, and its hours are 25 buckets."""
    span = ("2019-10-26T00:00:00+02:00", "2019-10-28T00:00:00+01:00")
    days = ask(depot, *span, "day", timezone="Europe/Oslo")
    assert list(days.points) == ["2019-10-26", "2019-10-27"]
    day = days.points["2019-10-27"]
    assert day["charge_energy"] / day["avg_power"] == pytest.approx(25.0)
    hours = ask(depot, *span, "hour", timezone="Europe/Oslo")
    of_the_day = [label for label in hours.points if label.startswith("2019-10-27")]
    assert len(of_the_day) == 25
    assert of_the_day[2:4] == ["2019-10-27T02:00:00+02:00", "2019-10-27T02:00:00+01:00"]
    sums = sum(hours.points[label]["charge_energy"] for label in of_the_day)
    assert sums == pytest.approx(day["charge_energy"], abs=1e-9)


def test_energy__lord_howe__the_half_hours_of_the_change_stand_apart(depot: Tenant) -> None:
    """Where clocks change by half an hour, the hour that is cut has half the energy."""
    found = ask(
        depot, "2019-04-06T14:00:00Z", "2019-04-06T16:30:00Z", timezone="Australia/Lord_Howe"
    )
    power_kw = 12.7 / (224 / 60)
    assert {label: point["charge_energy"] for label, point in found.points.items()} == {
        "2019-04-07T01:00:00+11:00": pytest.approx(power_kw),
        "2019-04-07T01:30:00+10:30": pytest.approx(power_kw / 2),
        "2019-04-07T02:00:00+10:30": pytest.approx(power_kw),
    }


def test_energy__offsets_of_quarter_hours__need_no_rounding(depot: Tenant) -> None:
    """In Kathmandu (+05:45) days and hours of a steady 10 kW are full ones."""
    span = ("2019-06-30T18:15:00Z", "2019-07-01T06:15:00Z")
    for name, offset in (("Asia/Kathmandu", "+05:45"), ("Asia/Kolkata", "+05:30")):
        found = ask(depot, *span, timezone=name)
        assert {label[-6:] for label in found.points} == {offset}
        assert found.total["charge_energy"] == pytest.approx(120.0, abs=1e-6)
        full = list(found.points.values())[1:5]
        assert [point["charge_energy"] for point in full] == pytest.approx([10.0] * 4, abs=1e-6)
        assert [point["max_power"] for point in full] == pytest.approx([10.0] * 4, abs=1e-6)
