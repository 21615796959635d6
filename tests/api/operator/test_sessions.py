"""Sessions, live and past, as operators read them, whatever told of them."""

from typing import Any

import pytest

from tests.api.tenancy import Charger, Tenant, event, moment, new_tenant, record, sample
from tests.contract.client import ContractClient
from tests.server import RunningServer

PATH = "/v1/operator/sessions"


def sessions(charger: Charger, **query: Any) -> list[dict[str, Any]]:
    """The device's sessions, newest first."""
    asked = {"device_id": charger.device_id} | query
    items: list[dict[str, Any]] = charger.operator.get(PATH, params=asked, expect=200).data["items"]
    return items


def charge(charger: Charger, ago_s: float, samples: int, *, every_s: float = 5.0) -> None:
    """Charge at 36 kW from a start ``ago_s`` ago, a sample every few seconds."""
    charger.send("events", event(event_type="start", timestamp=moment(ago_s)))
    items = [
        sample(
            timestamp=moment(ago_s - number * every_s),
            power=36.0,
            energy_delivered=round(0.01 * every_s * number, 6),
            soc=40 + number // 20,
        )
        for number in range(samples)
    ]
    for first in range(0, len(items), 200):
        charger.send("telemetry/batch", {"items": items[first : first + 200]})


def test_session__running__is_active_with_its_energy_so_far(charger: Charger) -> None:
    """A session that runs is listed at once, with what was charged up to its newest sample."""
    charge(charger, ago_s=20, samples=4)
    (session,) = sessions(charger)
    assert session["status"] == "active"
    assert "end_time" not in session
    assert session["charge_energy"] == pytest.approx(0.15, abs=1e-9)
    assert session["max_power"] == pytest.approx(36.0, rel=0.5)
    assert session["basis"] == "counter"
    assert session["soc_start"] == 40
    assert session["samples"] == 4
    assert sessions(charger, status="active") == [session]
    assert sessions(charger, status="ended") == []
    one = charger.operator.get(f"{PATH}/{session['session_id']}", expect=200).data
    assert one == session


def test_session__runs_on__keeps_its_identifier(charger: Charger) -> None:
    """What a session is called does not change while it goes on, ends, and is settled."""
    charge(charger, ago_s=600, samples=60)
    (begun,) = sessions(charger)
    charge_on = [
        sample(timestamp=moment(600 - 5.0 * n), power=36.0, energy_delivered=0.05 * n)
        for n in range(60, 100)
    ]
    charger.send("telemetry/batch", {"items": charge_on})
    (going,) = sessions(charger)
    charger.send("events", event(event_type="stop", timestamp=moment(90)))
    (ended,) = sessions(charger)
    done = record(
        start_time=moment(600), end_time=moment(90), energy=5.1, meter_start=0.0, meter_end=5.1
    )
    charger.send("charging-records", done)
    (settled,) = sessions(charger)
    assert {one["session_id"] for one in (begun, going, ended, settled)} == {begun["session_id"]}
    assert (begun["status"], going["status"], ended["status"]) == ("active", "active", "ended")
    assert begun["charge_energy"] == pytest.approx(2.95)
    assert going["charge_energy"] == pytest.approx(4.95)
    assert settled["charge_energy"] == pytest.approx(5.1, abs=1e-9)
    assert settled["basis"] == "record"
    assert settled["record_id"] == done["record_id"]


def test_session__record_alone__is_listed(charger: Charger) -> None:
    """A charger that only sends records has sessions too."""
    done = record()
    charger.send("charging-records", done)
    (session,) = sessions(charger)
    assert session["start_time"] == "2025-06-02T09:00:00Z"
    assert session["end_time"] == "2025-06-02T10:00:00Z"
    assert session["charge_energy"] == 20.5
    assert session["avg_power"] == session["max_power"] == 20.5
    assert session["samples"] == 0


def test_session__started_by_a_command__names_it(charger: Charger) -> None:
    """A session is linked to the command that started it."""
    path = f"/v1/operator/devices/{charger.device_id}/connectors/1/start"
    charger.send("telemetry", sample(state="idle", power=0.0, energy_delivered=0.0))
    body = {"transaction_id": "tx-of-ours"}
    command_id = charger.operator.post(path, body, expect=200).data["command_id"]
    polled = charger.api.get(
        "/v1/device/commands", params={"connector_id": 1, "wait": 5}, expect=200
    ).data
    assert polled["command_id"] == command_id
    for status in ("accepted", "completed"):
        body = {"command_id": command_id, "status": status, "timestamp": moment()}
        charger.send("command-status", body)
    charger.send("events", event(event_type="start"))
    charger.send("telemetry", sample(energy_delivered=0.02))
    (session,) = sessions(charger)
    assert session["command_id"] == command_id
    assert session["transaction_id"] == "tx-of-ours"


def test_sessions__many__pages_and_cursor_cover_each_once(
    server: RunningServer, contract: ContractClient
) -> None:
    """Pages and cursors show every session once, newest first."""
    tenant = new_tenant(server, contract)
    charger = tenant.charger()
    for hour in range(9):
        times = {"start_time": f"2025-06-02T{hour:02}:00:00Z"}
        times |= {"end_time": f"2025-06-02T{hour:02}:40:00Z"}
        charger.send("charging-records", record(**times))
    first = tenant.api.get(PATH, params={"size": 4}, expect=200).data
    assert first["total"] == 9
    seen = [one["session_id"] for one in first["items"]]
    cursor = first["next_cursor"]
    while cursor:
        page = tenant.api.get(PATH, params={"size": 4, "cursor": cursor}, expect=200).data
        seen += [one["session_id"] for one in page["items"]]
        cursor = page.get("next_cursor")
    second = tenant.api.get(PATH, params={"size": 4, "page": 2}, expect=200).data
    assert len(seen) == len(set(seen)) == 9
    assert [one["session_id"] for one in second["items"]] == seen[4:8]
    assert first["items"][0]["start_time"] == "2025-06-02T08:00:00Z"


def test_sessions__of_another_operator__are_not_found(
    tenant: Tenant, charger: Charger, server: RunningServer, contract: ContractClient
) -> None:
    """Neither a list, nor a filter, nor an identifier shows what is another's."""
    charger.send("charging-records", record())
    (session,) = sessions(charger)
    other = new_tenant(server, contract)
    assert other.api.get(PATH, expect=200).data["items"] == []
    other.api.get(f"{PATH}/{session['session_id']}", expect=404)
    other.api.get(PATH, params={"device_id": charger.device_id}, expect=404)
    other.api.get(PATH, params={"site_id": tenant.site_id}, expect=404)


# --------------------------------------------------------------------------- data quality


def quality(charger: Charger, **query: Any) -> dict[str, Any]:
    """What cannot be believed of the device."""
    asked = {"device_id": charger.device_id} | query
    data: dict[str, Any] = charger.operator.get(
        "/v1/operator/data-quality", params=asked, expect=200
    ).data
    return data


def test_data_quality__spike_among_samples__is_listed_and_left_out(charger: Charger) -> None:
    """A power that the unit cannot have is listed with its reason, and moves no energy."""
    charge(charger, ago_s=400, samples=10)
    spike = sample(timestamp=moment(352), power=5_000.0, energy_delivered=900.0)
    charger.send("telemetry", spike)
    charger.send("telemetry", sample(timestamp=moment(348), power=36.0, energy_delivered=0.52))
    (session,) = sessions(charger)
    assert session["charge_energy"] == pytest.approx(0.52)
    found = quality(charger)
    assert [one["reasons"] for one in found["items"]] == [["power_over_rating"]]
    assert found["items"][0]["kind"] == "sample"
    assert found["devices"][0]["samples"] == {"power_over_rating": 1}


def test_data_quality__flagged_record__is_listed_with_its_flags(charger: Charger) -> None:
    """A record that ends before it starts is listed, and adds no energy."""
    backwards = record(start_time="2025-06-02T10:00:00Z", end_time="2025-06-02T09:00:00Z")
    charger.send("charging-records", backwards)
    assert sessions(charger) == []
    found = quality(charger)
    assert found["total"] == 1
    assert found["items"][0]["record_id"] == backwards["record_id"]
    assert found["items"][0]["reasons"] == ["negative_duration"]
    assert quality(charger, start_time="2025-06-03T00:00:00Z")["total"] == 0
