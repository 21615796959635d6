"""Charge points as a partner sees them: what is shared, in pages, since when, and how they are."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.api.legacy.partner import Partner, new_partner, present, wait_until
from tests.api.tenancy import Tenant, event, heartbeat, new_tenant, sample
from tests.contract.client import ContractClient
from tests.server import RunningServer


def wall(zone: str, ahead_s: float = 0.0) -> str:
    """The clock of a zone, as a partner writes it."""
    moment = datetime.now(UTC) + timedelta(seconds=ahead_s)
    return moment.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S")


def ids(page: dict[str, Any]) -> list[str]:
    """The charge points of a page."""
    return [point["ChargeBoxId"] for point in page["ChargePoints"]]


@pytest.fixture
def fresh(server: RunningServer, contract: ContractClient) -> Partner:
    """A partner of a tenant of this test alone."""
    return new_partner(new_tenant(server, contract), timezone="Asia/Shanghai")


def test_station_info__pages__hold_each_charge_point_once_in_order(fresh: Partner) -> None:
    """Three chargers in pages of two: all of them, in order of change and id, and the counts."""
    made = {fresh.tenant.charger().device_id for _ in range(3)}
    first, second = (fresh.info(PageNo=number, PageSize=2) for number in (1, 2))
    assert [len(ids(first)), len(ids(second))] == [2, 1]
    assert {*ids(first), *ids(second)} == made
    for page, number in ((first, 1), (second, 2)):
        assert (page["PageNo"], page["PageCount"], page["ItemSize"]) == (number, 2, 3)
    assert ids(fresh.info(LastQueryTime="")) == ids(first) + ids(second)
    past_the_end = fresh.info(PageNo=9)
    assert (ids(past_the_end), past_the_end["ItemSize"]) == ([], 3)


def test_station_info__charge_point__is_told_as_published(own: Tenant, partner: Partner) -> None:
    """Identifier, power, place and connectors, each under the contract's name."""
    charger = present(own.charger("TP-AC22"))
    [point] = [one for one in partner.info()["ChargePoints"] if one["Type"] == "AC"]
    assert point == {
        "ChargeBoxId": charger.device_id,
        "CreateTime": point["CreateTime"],
        "Type": "AC",
        "Power": 22,
        "Longitude": 10.1377,
        "Latitude": 54.3165,
        "Connectors": [{"ConnectorId": 1, "Status": "Available"}],
    }
    assert datetime.fromisoformat(point["CreateTime"]).tzinfo is not None


def test_station_info__since_a_time__holds_what_changed_at_or_after_it(fresh: Partner) -> None:
    """Only static data count as a change, in the partner's own zone; nothing is missed."""
    older = fresh.tenant.charger()
    fresh.info()
    assert ids(fresh.info(LastQueryTime=wall("Asia/Shanghai", 60))) == []
    assert ids(fresh.info(LastQueryTime=wall("Asia/Shanghai", -60))) == [older.device_id]
    # Berlin's clock shows hours that were long ago in Shanghai.
    assert ids(fresh.info(LastQueryTime=wall("Europe/Berlin"))) == [older.device_id]
    newer = fresh.tenant.charger()
    assert ids(fresh.info()) == [older.device_id, newer.device_id]
    older.send("telemetry", sample(connector_id=1))
    assert ids(fresh.info()) == [older.device_id, newer.device_id]
    older.send("events", event(connector_id=3))
    assert ids(fresh.info()) == [newer.device_id, older.device_id]


@pytest.mark.parametrize(
    "body",
    [
        {"LastQueryTime": "yesterday"},
        {"PageNo": 0},
        {"PageSize": 0},
        {"PageSize": 101},
        {"PageNo": "1"},
        [],
    ],
)
def test_station_info__not_sound__is_refused_in_the_envelope(partner: Partner, body: Any) -> None:
    """Failures of the legacy paths are those of all others."""
    refused = partner.api.request("PUT", "/v1/customer/query_station_info", json=body)
    assert (refused.status, refused.code) == (400, 1001)


def test_station_status__states_of_the_charger__are_the_three_words(
    own: Tenant, partner: Partner
) -> None:
    """Working while it charges, Fault at a fault and once it has said goodbye."""
    charger = own.charger("TP-DC60")

    def shown() -> list[str]:
        [point] = partner.statuses(charger.device_id)
        return [one["Status"] for one in point["Connectors"]]

    present(charger)
    assert shown() == ["Available", "Available"]
    charger.send("telemetry", sample(connector_id=2))
    assert shown() == ["Available", "Working"]
    charger.send("telemetry", sample(connector_id=2, state="fault"))
    charger.send("telemetry", sample(connector_id=1, state="preparing"))
    assert shown() == ["Working", "Fault"]
    charger.send("heartbeat", heartbeat(status="offline"))
    assert shown() == ["Fault", "Fault"]


def test_station_status__unknown_and_repeated__are_left_out(own: Tenant, partner: Partner) -> None:
    """What does not exist is not told of, in whatever form it is asked for."""
    charger = own.charger()
    found = partner.statuses(charger.device_id, "Test001", charger.device_id, "")
    assert [point["ChargeBoxId"] for point in found] == [charger.device_id]
    assert partner.statuses() == []


def test_station_status__more_than_fifty__is_refused(partner: Partner) -> None:
    """Fifty are answered, one more is 400."""
    assert partner.statuses(*[f"Test{number}" for number in range(50)]) == []
    asked = [f"Test{number}" for number in range(51)]
    refused = partner.api.request("PUT", "/v1/cp/query_station_status", json=asked)
    assert (refused.status, refused.code) == (400, 1001)


def test_sharing__one_device__shows_that_and_nothing_else(
    own: Tenant, partner: Partner, server: RunningServer, contract: ContractClient
) -> None:
    """A peer sees what was shared: not the rest of the operator, not another's."""
    other = new_partner(own)
    own.admin.delete(f"/v1/admin/peers/{other.peer_id}/shares/{own.site_id}", expect=200)
    one, hidden = own.charger(), own.charger()
    foreign = new_tenant(server, contract).charger()
    assert ids(other.info()) == []
    assert other.share(device_id=one.device_id).status == 200
    assert ids(other.info()) == [one.device_id]
    asked = (one.device_id, hidden.device_id, foreign.device_id)
    assert [point["ChargeBoxId"] for point in other.statuses(*asked)] == [one.device_id]
    assert hidden.device_id in ids(partner.info(PageSize=100))
    for device in (hidden, foreign):
        assert other.start("o-hidden", device).status == 404
        assert other.share(device_id=foreign.device_id).status == 404
    nobody = other.api.post(
        "/v1/cp/stop_charging", {"ChargePointId": hidden.device_id, "ConnectorId": 1}
    )
    assert (nobody.status, nobody.code) == (404, 3001)


def test_sharing__device_that_changes_hands__is_seen_no_longer(
    own: Tenant, partner: Partner, server: RunningServer, contract: ContractClient
) -> None:
    """What was shared was its operator's to share; the next operator has shared nothing."""
    charger = own.charger()
    assert partner.share(device_id=charger.device_id).status == 200
    assert len(partner.statuses(charger.device_id)) == 1
    other = new_tenant(server, contract)
    path = f"/v1/admin/devices/{charger.device_id}"
    own.admin.request("PATCH", path, json={"site_id": other.site_id}, expect=200)
    assert partner.statuses(charger.device_id) == []
    assert charger.device_id not in ids(partner.info(PageSize=100))
    assert partner.start("moved", charger).status == 404


def test_sharing__without_a_location__is_refused_and_says_why(
    own: Tenant, partner: Partner
) -> None:
    """What the contract requires of a charge point must be known before it is shared."""
    nowhere = own.site("Nowhere")
    refused = partner.share(site_id=nowhere)
    assert (refused.status, refused.details["missing"]) == (409, "a location")
    moved = own.charger(site_id=nowhere)
    assert partner.share(device_id=moved.device_id).status == 409
    assert partner.share().status == 400


def test_pushes__status_of_a_shared_connector__goes_out_once_per_change(fresh: Partner) -> None:
    """The partner is told how a charge point is, then of each change of its status, and no more."""
    charger = present(fresh.tenant.charger("TP-AC22"))

    def told() -> list[str]:
        pushes = fresh.pushes("notification_stationStatus")
        assert {push["ChargeBoxId"] for push in pushes} <= {charger.device_id}
        return [push["Connectors"][0]["Status"] for push in pushes]

    wait_until(lambda: told() == ["Available"], "the first word")
    charger.send("telemetry", sample())
    wait_until(lambda: told() == ["Available", "Working"], "the push of the change")
    charger.send("telemetry", sample(power=39.0))
    charger.send("telemetry", sample(state="idle", power=0.0, current=0.0))
    wait_until(lambda: told() == ["Available", "Working", "Available"], "the push of the end")
