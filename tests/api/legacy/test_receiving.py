"""What a partner tells us: taken or not, and shown to the operator it deals with."""

from typing import Any

import pytest

from tests.api.legacy.partner import Partner
from tests.api.tenancy import Tenant, new_tenant
from tests.contract.client import ContractClient
from tests.server import RunningServer


def point(**changes: Any) -> dict[str, Any]:
    """A charge point as a partner tells it."""
    return {
        "ChargeBoxId": "CN-0001",
        "CreateTime": "2024-01-08 15:30:00",
        "Type": "DC",
        "Power": 120,
        "Longitude": 121.4737,
        "Latitude": 31.2304,
        "Connectors": [
            {"ConnectorId": 1, "Status": "Available"},
            {"ConnectorId": 2, "Status": "Working"},
        ],
    } | changes


def work(order_id: str, status: str, at: str, **changes: Any) -> dict[str, Any]:
    """How an order stands, as a partner tells it."""
    return {
        "OrderId": order_id,
        "DeviceVendorOrderId": f"vendor-{order_id}",
        "ChargePointId": "CN-0001",
        "ConnectorId": 1,
        "ChangeTime": f"2026-05-01 {at}",
        "Status": status,
    } | changes


def tell(partner: Partner, body: dict[str, Any]) -> str:
    """Push a word about an order; the acknowledgement."""
    word: str = partner.api.post("/v1/customer/notify_work_status", body, expect=200).json["Status"]
    return word


def orders(tenant: Tenant, **query: Any) -> list[dict[str, Any]]:
    """Foreign orders as the operator sees them."""
    items: list[dict[str, Any]] = tenant.api.get(
        "/v1/operator/foreign-orders", params=query, expect=200
    ).data["items"]
    return items


def test_station_status__told__is_shown_to_the_operator(own: Tenant, partner: Partner) -> None:
    """A peer's charge point is listed as it was told last, its times by its zone."""
    path = "/v1/customer/notification_stationStatus"
    assert partner.api.request("PUT", path, json=point(), expect=200).json == {"Status": "Accept"}
    later = point(Connectors=[{"ConnectorId": 1, "Status": "Fault"}])
    assert partner.api.request("PUT", path, json=later, expect=200).json == {"Status": "Accept"}
    page = own.api.get("/v1/operator/foreign-charge-points", expect=200).data
    [shown] = page["items"]
    assert shown == {
        "peer_id": partner.peer_id,
        "charge_point_id": "CN-0001",
        "type": "DC",
        "max_power": 120,
        "location": {"lat": 31.2304, "lng": 121.4737},
        "connectors": [{"connector_id": 1, "status": "Fault"}],
        "created_at": "2024-01-08T07:30:00Z",
        "received_at": shown["received_at"],
    }
    query = {"peer_id": "peer_of_nobody"}
    found = own.api.get("/v1/operator/foreign-charge-points", params=query, expect=200)
    assert found.data["items"] == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Connectors": []}, 1001),
        ({"Power": 0}, 1001),
        ({"Longitude": 180.5}, 1001),
        ({"Type": "dc"}, 1001),
        ({"CreateTime": "soon"}, 1001),
        ({"ChargeBoxId": None}, 1002),
    ],
)
def test_station_status__not_as_published__is_refused(
    partner: Partner, change: dict[str, Any], code: int
) -> None:
    """What a peer sends has to keep the contract too."""
    body = {name: value for name, value in point(**change).items() if value is not None}
    refused = partner.api.request("PUT", "/v1/customer/notification_stationStatus", json=body)
    assert (refused.status, refused.code) == (400, code)


def test_work_status__told_in_any_order__never_rewinds(own: Tenant, partner: Partner) -> None:
    """An older state that comes late is accepted and changes nothing; repeats change nothing."""
    meter = {"Power": 60.5, "Voltage": 400, "Current": 151, "WorkValue": 7250, "Energy": 7.25}
    done = work("f-1", "COMPLETED", "10:30:00", Meter=meter | {"Power": 0, "Soc": 80})
    going = work("f-1", "CHARGING", "10:00:00", Meter=meter)
    assert [tell(partner, body) for body in (going, done, going, done)] == ["Accept"] * 4
    late_word = work("f-1", "CHARGING", "10:45:00")
    assert tell(partner, late_word) == "Accept"
    [shown] = orders(own, order_id="f-1")
    assert (shown["status"], shown["changed_at"]) == ("COMPLETED", "2026-05-01T02:30:00Z")
    assert (shown["meter"]["energy"], shown["meter"]["soc"]) == (7.25, 80)
    assert shown["vendor_order_id"] == "vendor-f-1"
    # Of one moment the later state stands, in whichever order both come.
    for status, at in (
        ("CHARGING", "11:00:00"),
        ("WAIT_PULL_OUT_CONNECTOR", "11:00:00"),
        ("WAIT_CP_STOP_CHARGING", "11:00:00"),
        ("CHARGING", "10:59:00"),
    ):
        assert tell(partner, work("f-1b", status, at)) == "Accept"
    assert orders(own, order_id="f-1b")[0]["status"] == "WAIT_PULL_OUT_CONNECTOR"


def test_work_status__contradicting_itself__is_rejected(own: Tenant, partner: Partner) -> None:
    """An order keeps its vendor's identifier and its connector; another story is not taken."""
    assert tell(partner, work("f-2", "CHARGING", "10:00:00")) == "Accept"
    for change in ({"DeviceVendorOrderId": "other"}, {"ConnectorId": 2}, {"ChargePointId": "X"}):
        assert tell(partner, work("f-2", "COMPLETED", "11:00:00", **change)) == "Reject"
    [shown] = orders(own, order_id="f-2")
    assert shown["status"] == "CHARGING"


def test_work_status__words_of_discharging__are_understood(own: Tenant, partner: Partner) -> None:
    """A peer may say DISCHARGING, as ours do where it is agreed; other words are 400."""
    assert tell(partner, work("f-3", "DISCHARGING", "10:00:00")) == "Accept"
    assert orders(own, order_id="f-3")[0]["status"] == "DISCHARGING"
    for change in ({"Status": "PARKED"}, {"ChangeTime": "later"}, {"ConnectorId": 0}):
        body = work("f-3", "CHARGING", "10:00:00") | change
        assert partner.api.post("/v1/customer/notify_work_status", body).status == 400


def test_foreign__of_another_operator__do_not_exist(
    own: Tenant, partner: Partner, server: RunningServer, contract: ContractClient
) -> None:
    """What a peer told one operator is that operator's alone."""
    assert tell(partner, work("f-4", "CHARGING", "10:00:00")) == "Accept"
    other = new_tenant(server, contract)
    assert orders(other) == []
    assert other.api.get("/v1/operator/foreign-charge-points", expect=200).data["total"] == 0
    assert {order["peer_id"] for order in orders(own)} == {partner.peer_id}
