"""Aggregated energy, end to end: what chargers upload is what operators read, bucket by bucket."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.api.operator.energy_depot import (
    PATH,
    ask,
    at,
    charge,
    every,
    near,
    reading,
    refuse,
    send,
    write,
)
from tests.api.tenancy import Charger, Tenant, event, new_tenant
from tests.contract.client import ContractClient
from tests.server import RunningServer


@pytest.fixture
def depot(server: RunningServer, contract: ContractClient) -> Tenant:
    """An operator whose only energy is what the test uploads."""
    return new_tenant(server, contract)


@pytest.fixture
def unit(depot: Tenant) -> Charger:
    """A charger of the depot."""
    return depot.charger(model="TP-DC180-V2G")


# ------------------------------------------------------------------------------- records


def test_energy__a_record__is_spread_evenly_over_its_hours(depot: Tenant, unit: Charger) -> None:
    """10.5 kWh from 09:20 to 11:05 are 4.0, 6.0 and 0.5 kWh, at 6 kW throughout."""
    unit.send("charging-records", charge(at("09:20"), at("11:05"), 10.5))
    found = ask(depot, at("09:00"), at("12:00"))
    assert list(found.points) == [at("09:00"), at("10:00"), at("11:00")]
    assert found.charge == near(4.0, 6.0, 0.5)
    assert found.column("avg_power") == near(4.0, 6.0, 0.5)
    assert found.column("max_power") == near(6.0, 6.0, 6.0)
    assert found.total == {"charge_energy": 10.5, "discharge_energy": 0.0, "max_power": 6.0}


def test_energy__a_clipped_range__counts_only_what_is_inside(depot: Tenant, unit: Charger) -> None:
    """From 09:30 to 10:30 the labels stay those of the full hours, and 3.0 kWh are in each."""
    unit.send("charging-records", charge(at("09:20"), at("11:05"), 10.5))
    found = ask(depot, at("09:30"), at("10:30"))
    assert list(found.points) == [at("09:00"), at("10:00")]
    assert found.charge == near(3.0, 3.0)
    assert found.column("avg_power") == near(6.0, 6.0)


def test_energy__a_range_that_cuts_a_minute__is_exact(depot: Tenant, unit: Charger) -> None:
    """A range may begin and end at any millisecond; what lies inside is not rounded to minutes."""
    unit.send("charging-records", charge(at("09:20:10"), at("09:21:10"), 1.2))
    for start, end, share in (
        ("09:20:20", "09:20:50", 30),
        ("09:20:00", "09:20:25.5", 15.5),
        ("09:20:50", "09:21:05", 15),
    ):
        found = ask(depot, at(start), at(end))
        assert found.charge == near(1.2 * share / 60)
    edges = ["09:00", "09:20:33.333", "09:20:34", "10:00"]
    parts = [
        ask(depot, at(start), at(end)).total["charge_energy"] for start, end in pairwise(edges)
    ]
    assert sum(parts) == pytest.approx(1.2, abs=1e-8)


def test_energy__the_meter__stands_over_the_record_s_own_sum(depot: Tenant, unit: Charger) -> None:
    """With both meter readings their difference counts, whatever `energy` says."""
    meter = {"meter_start": 100.0, "meter_end": 108.0}
    unit.send("charging-records", charge(at("09:00"), at("10:00"), 11.0, **meter))
    assert ask(depot, at("09:00"), at("10:00")).charge == near(8.0)


def test_energy__a_record_without_length__is_in_the_bucket_of_its_start(
    depot: Tenant, unit: Charger
) -> None:
    """Energy of no duration is not lost."""
    unit.send("charging-records", charge(at("09:59:59"), at("09:59:59"), 0.75))
    assert ask(depot, at("09:00"), at("11:00")).charge == near(0.75, 0.0)


def test_energy__a_negative_record__is_discharge(depot: Tenant, unit: Charger) -> None:
    """Without telemetry the sign of the record's energy is the direction."""
    unit.send("charging-records", charge(at("09:00"), at("10:00"), -4.0))
    found = ask(depot, at("09:00"), at("10:00"))
    assert (found.charge, found.column("discharge_energy")) == (near(0.0), near(4.0))
    assert found.column("avg_power") == near(-4.0)
    assert found.column("max_power") == near(4.0)


# ------------------------------------------------------------------------------- telemetry


def test_energy__samples_around_a_full_hour__are_split_there(depot: Tenant, unit: Charger) -> None:
    """0.040 kWh between 09:59:50 and 10:00:10 are 0.020 in either hour."""
    send(unit, "telemetry", [reading(at("09:59:50"), 5.0), reading(at("10:00:10"), 5.04)])
    assert ask(depot, at("09:00"), at("11:00")).charge == near(0.02, 0.02)


def test_energy__a_counter_that_begins_anew__never_takes_energy_away(
    depot: Tenant, unit: Charger
) -> None:
    """After an idle 0 and a start the counter counts from 0: 0.2 kWh, never 5 less."""
    send(unit, "telemetry", [reading(at("09:00"), 5.0), reading(at("09:10"), 0.0, "idle")])
    send(unit, "events", [event(timestamp=at("09:20"), event_type="start")])
    send(unit, "telemetry", [reading(at("09:30"), 0.2)])
    found = ask(depot, at("09:00"), at("10:00"))
    assert (found.charge, found.column("discharge_energy")) == (near(0.2), near(0.0))


def test_energy__a_dip_of_the_counter__is_ignored(depot: Tenant, unit: Charger) -> None:
    """5.0, 0.0, 5.1 within a session is 0.1 kWh."""
    values = (("09:00", 5.0), ("09:10", 0.0), ("09:20", 5.1))
    send(unit, "telemetry", [reading(at(time), kwh) for time, kwh in values])
    assert ask(depot, at("09:00"), at("10:00")).charge == near(0.1)


def test_energy__a_record_over_full_telemetry__scales_it(depot: Tenant, unit: Charger) -> None:
    """3.0 and 1.0 kWh by the counter become 3.15 and 1.05 where the record says 4.2."""
    send(unit, "events", [event(timestamp=at("09:00"), event_type="start")])
    first = [reading(time, 0.5 * k) for k, time in enumerate(every(at("09:00"), at("10:00"), 600))]
    second = [
        reading(time, 3.0 + k / 6)
        for k, time in enumerate(every(at("10:00"), at("11:00"), 600))
        if k
    ]
    send(unit, "telemetry", first + second)
    assert ask(depot, at("09:00"), at("11:00")).charge == near(3.0, 1.0)
    unit.send("charging-records", charge(at("09:00"), at("11:00"), 4.2))
    assert ask(depot, at("09:00"), at("11:00")).charge == near(3.15, 1.05)


def test_energy__a_record_over_a_gap__puts_what_is_missing_there(
    depot: Tenant, unit: Charger
) -> None:
    """2.0 kWh were seen until 09:30; the other 3.0 of the record fill the hour without samples."""
    send(unit, "events", [event(timestamp=at("09:00"), event_type="start")])
    times = every(at("09:00"), at("09:30"), 60)
    send(unit, "telemetry", [reading(time, 2.0 * k / 30) for k, time in enumerate(times)])
    unit.send("charging-records", charge(at("09:00"), at("10:30"), 5.0))
    assert ask(depot, at("09:00"), at("11:00")).charge == near(3.5, 1.5)


def test_energy__discharging_without_a_counter__is_told_by_power(
    depot: Tenant, unit: Charger
) -> None:
    """-3 kW for half an hour is 1.5 kWh out, a mean of -1.5 kW and a largest power of 3 kW."""
    times = every(at("09:00"), at("09:30"), 10)
    send(unit, "telemetry", [reading(time, 0.0, "discharging", power=-3.0) for time in times])
    send(unit, "telemetry", [reading(at("09:30:05"), 0.0, "idle")])
    found = ask(depot, at("09:00"), at("10:00"))
    assert (found.charge, found.column("discharge_energy")) == (near(0.0), near(1.5))
    assert found.column("avg_power") == near(-1.5)
    assert found.column("max_power") == near(3.0)


def test_energy__a_counter_in_both_directions__is_told_apart(depot: Tenant, unit: Charger) -> None:
    """5 charging, 3 discharging, 5.5 charging is 2.5 kWh in and 2.0 out."""
    states = (("09:00", 5.0, "charging"), ("09:20", 3.0, "discharging"), ("09:40", 5.5, "charging"))
    send(unit, "telemetry", [reading(at(time), kwh, state) for time, kwh, state in states])
    found = ask(depot, at("09:00"), at("10:00"))
    assert (found.charge, found.column("discharge_energy")) == (near(2.5), near(2.0))


def test_energy__a_counter_of_magnitudes__discharges_upwards(depot: Tenant, unit: Charger) -> None:
    """A charger that counts up while it discharges has discharged 1.0 kWh."""
    times = every(at("09:00"), at("09:15"), 60)
    samples = [reading(time, k / 15, "discharging", power=-4.0) for k, time in enumerate(times)]
    send(unit, "telemetry", samples)
    found = ask(depot, at("09:00"), at("10:00"))
    assert (found.charge, found.column("discharge_energy")) == (near(0.0), near(1.0))


def test_energy__a_cut_between_samples__is_where_the_counter_was(
    depot: Tenant, unit: Charger
) -> None:
    """Cut within a minute, the counter is read off the line between the samples around the cut."""
    counter = {"09:00:00": 0.0, "09:00:07": 0.01, "09:00:41": 0.1, "09:01:12": 0.9, "09:03": 1.0}
    send(unit, "telemetry", [reading(at(time), kwh, power=90.0) for time, kwh in counter.items()])
    for end, energy_kwh in (
        ("09:00:07", 0.01),
        ("09:00:24", 0.055),
        ("09:00:56.5", 0.5),
        ("09:01:12", 0.9),
        ("09:02:06", 0.95),
    ):
        whole = (at("09:00"), at("10:00"))
        first, last = ask(depot, whole[0], at(end)), ask(depot, at(end), whole[1])
        assert first.charge == near(energy_kwh)
        assert last.charge == near(1.0 - energy_kwh)
        assert first.total["max_power"] >= first.points[at("09:00")]["avg_power"]
    unit.send("charging-records", charge(at("09:00"), at("09:03"), 2.0))
    assert ask(depot, at("09:00"), at("09:00:56.5")).charge == near(1.0)


def test_energy__of_this_minute__is_there_at_once(depot: Tenant, unit: Charger) -> None:
    """What was uploaded a moment ago is in the answer, before anything has summed it up."""
    now = datetime.now(UTC).replace(microsecond=0)
    times = [now - timedelta(seconds=20 - 5 * k) for k in range(4)]
    for k, time in enumerate(times):
        unit.send("telemetry", reading(write(time), 0.05 * k, power=36.0))
        found = ask(depot, write(now - timedelta(hours=1)), write(now + timedelta(hours=1)))
        assert found.total["charge_energy"] == pytest.approx(0.05 * k, abs=1e-9)
    until_now = ask(depot, write(now - timedelta(hours=1)), write(now))
    assert until_now.total["charge_energy"] == pytest.approx(0.15, abs=1e-9)


# ------------------------------------------------------------------------------- together


def test_energy__connectors_one_after_the_other__peak_is_the_larger(
    depot: Tenant, unit: Charger
) -> None:
    """7 kW for half an hour, then 11 kW on the other: 9 kWh, at most 11 kW, 9 kW on average."""
    first = charge(at("09:00"), at("09:30"), 3.5, connector_id=1)
    second = charge(at("09:30"), at("10:00"), 5.5, connector_id=2)
    send(unit, "charging-records", [first, second])
    found = ask(depot, at("09:00"), at("10:00"))
    assert found.charge == near(9.0)
    assert (found.column("max_power"), found.column("avg_power")) == (near(11.0), near(9.0))


def test_energy__both_directions_at_once__cancel_in_power_but_not_in_energy(
    depot: Tenant, unit: Charger
) -> None:
    """+5 and -5 kW in one hour: 5 kWh in, 5 kWh out, mean and largest power 0."""
    into = charge(at("09:00"), at("10:00"), 5.0, connector_id=1)
    out = charge(at("09:00"), at("10:00"), -5.0, connector_id=2)
    send(unit, "charging-records", [into, out])
    found = ask(depot, at("09:00"), at("10:00"))
    assert (found.charge, found.column("discharge_energy")) == (near(5.0), near(5.0))
    assert (found.column("avg_power"), found.column("max_power")) == (near(0.0), near(0.0))


def test_energy__two_sites__add_up_and_their_peaks_coincide(depot: Tenant, unit: Charger) -> None:
    """7 kW at each of two sites is 14 kW together; by site it is 7 and 7, and the total stays."""
    other = depot.charger(site_id=depot.site("Second"))
    for one in (unit, other):
        one.send("charging-records", charge(at("09:00"), at("10:00"), 7.0))
    sites = sorted([depot.site_id, other.seen()["site_id"]])
    span = (at("09:00"), at("11:00"))
    whole = ask(depot, *span)
    assert (whole.charge, whole.column("max_power")) == (near(14.0, 0.0), near(14.0, 0.0))
    grouped = ask(depot, *span, group_by="site")
    hours = (at("09:00"), at("10:00"))
    assert list(grouped.points) == [(hour, site) for hour in hours for site in sites]
    assert grouped.charge == near(7.0, 7.0, 0.0, 0.0)
    assert grouped.column("max_power") == near(7.0, 7.0, 0.0, 0.0)
    assert grouped.total == whole.total
    total = {"charge_energy": 7.0, "discharge_energy": 0.0, "max_power": 7.0}
    assert grouped.groups == [{"site_id": site, "total": total} for site in sites]
    one = ask(depot, *span, site_ids=f" {sites[0]} ,")
    assert (one.charge, one.total["max_power"]) == (near(7.0, 0.0), 7.0)
    both = ask(depot, *span, site_ids=",".join(sites), group_by="operator")
    assert both.total == whole.total
    assert [key[1] for key in both.points] == [depot.operator_id] * 2
    assert both.groups == [{"operator_id": depot.operator_id, "total": whole.total}]


def test_energy__some_of_many_sites__peaks_are_of_their_minutes(depot: Tenant) -> None:
    """The largest power of any choice of sites is that of their common minutes."""
    chargers = [depot.charger(site_id=depot.site(f"Site {k}")) for k in range(3)]
    for k, one in enumerate(chargers):
        start, end = every(at("09:00"), at("10:00"), 1_200)[k : k + 2]
        one.send("charging-records", charge(start, end, 2.0 + k))
    sites = [one.seen()["site_id"] for one in chargers]
    found = ask(depot, at("09:00"), at("10:00"), site_ids=f"{sites[0]},{sites[2]}")
    assert (found.charge, found.column("max_power")) == (near(6.0), near(12.0))
    found = ask(depot, at("09:00"), at("09:41"), "day", site_ids=f"{sites[1]},{sites[2]}")
    assert (found.charge, found.column("max_power")) == (near(3.2), near(12.0))


def test_energy__a_charger_that_moved__left_its_energy_behind(depot: Tenant, unit: Charger) -> None:
    """What was charged before the move belongs to the old site, what comes after to the new one."""
    unit.send("charging-records", charge(at("09:00"), at("10:00"), 7.0))
    new_site = depot.site("New")
    body = {"site_id": new_site}
    depot.admin.request("PATCH", f"/v1/admin/devices/{unit.device_id}", json=body, expect=200)
    now = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    unit.send("charging-records", charge(write(now), write(now + timedelta(seconds=30)), 0.5))
    end = write(now + timedelta(hours=1))
    found = ask(depot, at("09:00"), end, "month", group_by="site")
    totals = {group["site_id"]: group["total"]["charge_energy"] for group in found.groups}
    assert totals == {depot.site_id: pytest.approx(7.0), new_site: pytest.approx(0.5)}


def test_energy__any_order_and_repetition__gives_the_same_answer(depot: Tenant) -> None:
    """Uploads shuffled, repeated and in other batches are answered byte for byte alike."""
    times = every(at("09:00"), at("11:00"), 45)
    facts: list[tuple[str, dict[str, Any]]] = [
        ("telemetry", reading(time, round(k * 0.117, 3), power=9.4)) for k, time in enumerate(times)
    ]
    facts.append(("events", event(timestamp=at("08:59"), event_type="start")))
    facts.append(("charging-records", charge(at("08:59"), at("11:30"), 21.7, record_id="r-1")))
    answers = []
    for seed in range(3):
        one = depot.charger(site_id=depot.site(f"Order {seed}"))
        rng = random.Random(seed)
        shuffled = rng.sample(facts, len(facts)) + rng.sample(facts, 30)
        while shuffled:
            kind = shuffled[0][0]
            batch = [body for other, body in shuffled[:70] if other == kind]
            shuffled = [fact for fact in shuffled[:70] if fact[0] != kind] + shuffled[70:]
            send(one, kind, batch)
        site_id = one.seen()["site_id"]
        span = {"start_time": at("08:17:13"), "end_time": at("12:00")}
        asked = {"granularity": "hour", "site_ids": site_id} | span
        answers.append(depot.api.get(PATH, params=asked, expect=200).data)
    assert answers[0]["total"]["charge_energy"] == pytest.approx(21.7, abs=1e-9)
    assert answers[1:] == answers[:1] * 2


# ------------------------------------------------------------------------------- what is refused


def test_energy__wrong_questions__name_the_field(depot: Tenant) -> None:
    """What is missing is 1002, what is wrong 1001, and the field is named."""
    for name in ("granularity", "start_time", "end_time"):
        refuse(depot, 1002, name, **{name: None})
    refuse(depot, 1001, "granularity", granularity="week")
    refuse(depot, 1001, "start_time", start_time="yesterday")
    refuse(depot, 1001, "end_time", end_time="0000-00-00")
    refuse(depot, 1001, "start_time", start_time=at("12:00"))
    refuse(depot, 1001, "start_time", start_time=at("13:00"))
    refuse(depot, 1001, "start_time", start_time="0001-01-01T00:00:00Z")
    refuse(depot, 1001, "end_time", end_time="9999-12-31T23:59:59Z")
    refuse(depot, 1001, "group_by", group_by="device")
    for zone in ("Mars/Olympus", "../etc/passwd", "Europe", " "):
        refuse(depot, 1001, "timezone", timezone=zone)
    refuse(depot, 1001, "site_ids", site_ids=" , ")


def test_energy__times_without_a_zone__are_utc(depot: Tenant, unit: Charger) -> None:
    """A time without a zone counts as UTC, one with an offset is converted."""
    unit.send("charging-records", charge(at("09:00"), at("10:00"), 7.0))
    for start, end in (
        ("2025-03-15T09:00:00", "2025-03-15T10:00:00"),
        ("2025-03-15T10:00:00+01:00", "2025-03-15T11:00:00+01:00"),
    ):
        asked = {"granularity": "hour", "start_time": start, "end_time": end}
        data = depot.api.get(PATH, params=asked, expect=200).data
        assert (data["start_time"], data["end_time"]) == (at("09:00"), at("10:00"))
        assert [point["time"] for point in data["series"]] == [at("09:00")]
        assert data["total"]["charge_energy"] == 7.0


def test_energy__too_many_points__is_refused(depot: Tenant) -> None:
    """20,000 points are answered, buckets times sites; one more is 1001."""
    days = {"granularity": "hour", "start_time": "2023-01-01T00:00:00Z"}
    most = ask(depot, days["start_time"], "2025-04-13T08:00:00Z")
    assert len(most.points) == 20_000
    refuse(depot, 1001, "end_time", **days, end_time="2025-04-13T08:00:01Z")
    refuse(depot, 1001, "end_time", start_time="1970-01-01T00:00:00Z", granularity="day",
           end_time="2100-01-01T00:00:00Z")  # fmt: skip
    depot.site("Second")
    half = "2024-02-21T16:00:00Z"
    assert len(ask(depot, days["start_time"], half, group_by="site").points) == 20_000
    refuse(depot, 1001, "end_time", **days, end_time="2024-02-21T16:00:01Z", group_by="site")


def test_energy__sites_of_others__are_not_found(depot: Tenant, tenant: Tenant) -> None:
    """A site of another operator is answered like one that does not exist."""
    replies = [
        refuse(depot, 3001, "site_ids", site_ids=site_ids)
        for site_ids in (tenant.site_id, "site_absent", f"{depot.site_id},{tenant.site_id}", "%00a")
    ]
    assert len({reply.body for reply in replies}) == 1


def test_energy__of_an_operator_without_anything__is_zeros(
    server: RunningServer, contract: ContractClient
) -> None:
    """Every bucket is there without any energy; by site there is nothing where there is no site."""
    operator_id = server.create_operator("Empty")
    api = contract.operator(server.create_client(operator_id).token)
    asked = {"granularity": "day", "start_time": at("00:00"), "end_time": at("00:00", "2025-03-17")}
    data = api.get(PATH, params=asked, expect=200).data
    zeros = {"charge_energy": 0.0, "discharge_energy": 0.0, "max_power": 0.0}
    assert data["series"] == [
        {"time": day, "avg_power": 0.0} | zeros for day in ("2025-03-15", "2025-03-16")
    ]
    assert data["total"] == zeros
    data = api.get(PATH, params=asked | {"group_by": "site"}, expect=200).data
    assert (data["series"], data["groups"], data["total"]) == ([], [], zeros)
