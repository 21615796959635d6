"""Sites, devices and events as operators list them: pages, filters, and nothing of others."""

import secrets
from typing import Any

import pytest

from tests.api.tenancy import Charger, Tenant, event, heartbeat, moment, new_tenant, sample
from tests.contract.client import ContractClient
from tests.server import RunningServer

LISTS = ["sites", "devices", "charging-records", "devices/{device_id}/events"]


@pytest.fixture(scope="module")
def depot(server: RunningServer, contract: ContractClient) -> Tenant:
    """A tenant with three sites and a few chargers on two of them, which tests only read."""
    tenant = new_tenant(server, contract)
    north = tenant.site("North", location={"lat": 52.5, "lng": 13.4}, address="Kai 1")
    tenant.site("South", status="inactive", timezone="Europe/Berlin", power_capacity=100)
    for site_id, model in ((north, "TP-AC22"), (north, "TP-DC60"), ("", "TP-AC22")):
        tenant.charger(model, site_id=site_id).send("telemetry", sample())
    tenant.charger("TP-DC360-V2G")
    return tenant


def names(tenant: Tenant, **query: Any) -> list[str]:
    """The names of the sites that a query lists."""
    items = tenant.api.get("/v1/operator/sites", params=query, expect=200).data["items"]
    return [item["name"] for item in items]


def models(tenant: Tenant, **query: Any) -> list[str]:
    """The models of the devices that a query lists."""
    items = tenant.api.get("/v1/operator/devices", params=query, expect=200).data["items"]
    return [item["model"] for item in items]


def test_list_sites__all__oldest_first_with_what_is_known(depot: Tenant) -> None:
    """A site says what was given for it and counts what stands on it; the rest is left out."""
    assert names(depot) == ["Harbour", "North", "South"]
    harbour, north, south = depot.api.get("/v1/operator/sites").data["items"]
    assert north["location"] == {"lat": 52.5, "lng": 13.4}
    assert (north["address"], north["total_connectors"]) == ("Kai 1", 3)
    assert north["power_capacity"] == 82.0
    assert (south["timezone"], south["status"], south["power_capacity"]) == (
        "Europe/Berlin",
        "inactive",
        100,
    )
    assert (south["total_connectors"], harbour["timezone"]) == (0, "UTC")
    assert not {"location", "address"} & harbour.keys()
    assert depot.api.get(f"/v1/operator/sites/{north['site_id']}").data == north


def test_list_sites__status__is_a_filter(depot: Tenant) -> None:
    """Sites in and out of use are listed apart."""
    assert names(depot, status="active") == ["Harbour", "North"]
    assert names(depot, status="inactive") == ["South"]
    depot.api.get("/v1/operator/sites?status=closed", expect=400, code=1001)


def test_list_devices__filters__narrow_together(depot: Tenant) -> None:
    """Site, model, firmware, status and serial number each narrow the list."""
    everything = depot.api.get("/v1/operator/devices").data["items"]
    north = everything[0]["site_id"]
    assert models(depot) == ["TP-AC22", "TP-DC60", "TP-AC22", "TP-DC360-V2G"]
    assert models(depot, site_id=north) == ["TP-AC22", "TP-DC60"]
    assert models(depot, model="TP-AC22") == ["TP-AC22"] * 2
    assert models(depot, model="TP-AC22", site_id=north) == ["TP-AC22"]
    assert models(depot, status="offline") == ["TP-DC360-V2G"]
    assert models(depot, status="online") == ["TP-AC22", "TP-DC60", "TP-AC22"]
    assert models(depot, firmware_version="3.1.0") == models(depot)
    assert models(depot, firmware_version="3.1") == []
    assert models(depot, sn=everything[1]["sn"]) == ["TP-DC60"]
    depot.api.get("/v1/operator/devices?status=busy", expect=400, code=1001)
    depot.api.get("/v1/operator/devices?site_id=site_absent", expect=404, code=3001)


def test_device__of_a_known_model__has_its_figures(depot: Tenant) -> None:
    """Rated power and the way back to the grid come from the model catalogue."""
    items = depot.api.get("/v1/operator/devices").data["items"]
    figures = [(one["model"], one["rated_power"], one["v2g"]) for one in items]
    assert figures == [
        ("TP-AC22", 22.0, False),
        ("TP-DC60", 60.0, False),
        ("TP-AC22", 22.0, False),
        ("TP-DC360-V2G", 360.0, True),
    ]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "page=1.5", "page=", "size=0",
    "size=101", "size=-1", "size=1e2", "page=1&page=2", "page=99999999999999999999",
    "page=1%00", "page=%FF", "size=true"])  # fmt: skip
def test_page__out_of_bounds__is_1001(depot: Tenant, path: str, query: str) -> None:
    """Pages count from 1 and hold 1 to 100 items; anything else is refused by its field."""
    target = f"/v1/operator/{path.format(device_id='dvc_absent')}?{query}"
    reply = depot.api.get(target, expect=400, code=1001)
    assert reply.details["field"] in {"page", "size", "query"}


@pytest.mark.parametrize("path", LISTS)
def test_page__past_the_end__is_empty_with_the_true_total(depot: Tenant, path: str) -> None:
    """A page that nobody has is no failure; the checker sees that all page fields are there."""
    device_id = depot.api.get("/v1/operator/devices").data["items"][0]["device_id"]
    target = f"/v1/operator/{path.format(device_id=device_id)}"
    total = depot.api.get(target, expect=200).data["total"]
    for page in (1000, 10_000_000):
        data = depot.api.get(f"{target}?page={page}&size=7", expect=200).data
        assert data == {"total": total, "page": page, "size": 7, "items": []}


@pytest.mark.parametrize("path", ["sites", "devices"])
def test_page__walked__holds_every_item_once(depot: Tenant, path: str) -> None:
    """Pages of any size cover the list in its order."""
    whole = depot.api.get(f"/v1/operator/{path}?size=100").data["items"]
    for size in (1, 2, 3):
        walked = []
        for page in range(1, len(whole) // size + 2):
            target = f"/v1/operator/{path}?size={size}&page={page}"
            walked += depot.api.get(target, expect=200).data["items"]
        assert walked == whole


def test_unknown_parameters__in_a_query__are_ignored(depot: Tenant) -> None:
    """A client that sends more than we know is served."""
    depot.api.get("/v1/operator/sites?sort=name&x=1&y=", expect=200)


def test_device__include_events__shows_the_ten_newest(tenant: Tenant, charger: Charger) -> None:
    """`include=events` adds events to the device, newest first; without it there are none."""
    for ago_s in range(12):
        charger.send("events", event(timestamp=moment(100 - ago_s), data={"n": ago_s}))
    path = f"/v1/operator/devices/{charger.device_id}"
    assert "events" not in tenant.api.get(path).data
    shown = tenant.api.get(f"{path}?include=events", expect=200).data["events"]
    assert [one["data"]["n"] for one in shown] == list(range(11, 1, -1))
    reply = tenant.api.get(f"{path}?include=events,secrets", expect=400, code=1001)
    assert reply.details == {"field": "include", "value": "secrets"}


def test_events__filters__are_type_fault_and_half_open_time(charger: Charger) -> None:
    """Events are found by type, by any form of their fault code, and in [from, to)."""
    times = ["2025-06-02T09:00:00Z", "2025-06-02T10:00:00Z", "2025-06-02T11:00:00Z"]
    for number, at in enumerate(times):
        data = {"fault_code": ("F-0411", 411, "F-0421")[number], "n": number}
        charger.send("events", event(event_type="fault", timestamp=at, data=data))
    charger.send("events", event(event_type="alarm", timestamp=times[1], data={"n": 3}))

    def found(**query: str) -> list[int]:
        return sorted(one["data"]["n"] for one in charger.events(**query))

    assert found() == [0, 1, 2, 3]
    assert found(event_type="fault") == [0, 1, 2]
    for code in ("411", "F-0411", "F0411", "0411"):
        assert found(fault_code=code) == [0, 1]
    assert found(start_time=times[1]) == [1, 2, 3]
    assert found(end_time=times[1]) == [0]
    assert found(start_time=times[0], end_time=times[2]) == [0, 1, 3]
    assert found(start_time=times[1], end_time=times[1]) == []
    assert found(start_time="2025-06-02T12:00:00+02:00", event_type="fault") == [1, 2]
    path = f"/v1/operator/devices/{charger.device_id}/events"
    query = {"start_time": times[1], "end_time": times[0]}
    reply = charger.operator.get(path, params=query, expect=400, code=1001)
    assert reply.details["field"] == "end_time"


def test_time__plus_forgotten_to_be_escaped__is_read_as_meant(charger: Charger) -> None:
    """A query in which the plus of a zone became a blank means that zone."""
    charger.send("events", event(timestamp="2025-06-02T09:00:00Z"))
    path = f"/v1/operator/devices/{charger.device_id}/events"
    for zone in ("+02:00", "%2B02:00", "%2002:00"):
        query = f"start_time=2025-06-02T11:00:00{zone}&end_time=2025-06-02T11:00:01{zone}"
        assert charger.operator.get(f"{path}?{query}", expect=200).data["total"] == 1


def test_telemetry__range_and_cursor__give_every_sample_once_in_order(charger: Charger) -> None:
    """Samples come oldest first in [from, to), in pages that follow one another."""
    items = [sample(timestamp=moment(600 - k), power=float(k)) for k in range(25)]
    charger.send("telemetry/batch", {"items": items})
    path = f"/v1/operator/devices/{charger.device_id}/telemetry"
    walked: list[float] = []
    query: dict[str, Any] = {"size": 10, "start_time": items[3]["timestamp"]}
    query["end_time"] = items[23]["timestamp"]
    for _ in range(9):
        data = charger.operator.get(path, params=query, expect=200).data
        walked += [one["power"] for one in data["items"]]
        if "next_cursor" not in data:
            break
        query["cursor"] = data["next_cursor"]
    assert walked == [float(k) for k in range(3, 23)]
    for wrong in ({"size": 1001}, {"cursor": "x"}, {"connector_id": 0}, {"cursor": "WzFd"}):
        charger.operator.get(path, params=wrong, expect=400, code=1001)
    charger.operator.get(path, params={"connector_id": 9}, expect=404, code=3001)
    backwards = {"start_time": items[5]["timestamp"], "end_time": items[4]["timestamp"]}
    charger.operator.get(path, params=backwards, expect=400, code=1001)


def test_device__moved_to_another_operator__is_seen_there_alone(tenant: Tenant) -> None:
    """A charger that changes hands is gone for its old operator, and keeps its credentials."""
    other = new_tenant(tenant.server, tenant.contract)
    charger = tenant.charger()
    path = f"/v1/operator/devices/{charger.device_id}"
    tenant.admin.patch(
        f"/v1/admin/devices/{charger.device_id}", {"site_id": other.site_id}, expect=200
    )
    tenant.api.get(path, expect=404, code=3001)
    assert other.api.get(path, expect=200).data["site_id"] == other.site_id
    charger.send("heartbeat", heartbeat())
    serials = {one["sn"] for one in tenant.api.get("/v1/operator/devices?size=100").data["items"]}
    assert charger.sn not in serials


def test_lists__of_a_fresh_operator__are_empty(
    server: RunningServer, contract: ContractClient
) -> None:
    """Who owns nothing sees nothing, however much there is."""
    client = server.create_client(server.create_operator(secrets.token_hex(4)))
    for path in ("sites", "devices", "charging-records"):
        data = contract.operator(client.token).get(f"/v1/operator/{path}", expect=200).data
        assert (data["total"], data["items"]) == (0, [])
