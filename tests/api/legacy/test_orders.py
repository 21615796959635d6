"""Orders of a partner at our chargers: from its start to the completion that it is told of."""

from typing import Any

import pytest

from tests.api.legacy.partner import (
    Partner,
    begin,
    end,
    new_partner,
    present,
    take_command,
    wait_until,
)
from tests.api.tenancy import Charger, Tenant, event, heartbeat, moment, new_tenant, sample
from tests.contract.client import ContractClient
from tests.server import RunningServer


def started(partner: Partner, charger: Charger, order_id: str = "order-1") -> dict[str, Any]:
    """An order that charges; the command that began it."""
    assert partner.start(order_id, charger).json["Status"] == "STARTING"
    command = take_command(charger, "start_charging")
    begin(charger, command)
    return command


def of_order(partner: Partner, order_id: str) -> list[dict[str, Any]]:
    """What the partner is or was owed about an order, oldest first."""
    return [push for push in partner.pushes() if push["OrderId"] == order_id]


def test_order__from_start_to_plug_out__is_told_step_by_step(own: Tenant, partner: Partner) -> None:
    """The partner learns of each step; the last one has the energy of the charging record."""
    charger = present(own.charger("TP-DC60"))
    answer = partner.start("whole", charger, Note="Bay 4").json
    assert set(answer) == {"Status", "DeviceVendorOrderId"}
    command = take_command(charger, "start_charging")
    assert command["params"]["transaction_id"] == answer["DeviceVendorOrderId"]
    begin(charger, command)
    assert partner.stop(charger) == "Accept"
    take_command(charger, "stop_charging", "completed")
    end(charger, command, 12.345)
    told = of_order(partner, "whole")
    words = [push["Status"] for push in told]
    assert list(dict.fromkeys(words)) == [
        "CHARGING",
        "WAIT_CP_STOP_CHARGING",
        "WAIT_PULL_OUT_CONNECTOR",
        "COMPLETED",
    ]
    for push in told:
        assert push["DeviceVendorOrderId"] == answer["DeviceVendorOrderId"]
        assert (push["ChargePointId"], push["ConnectorId"]) == (charger.device_id, 1)
    last = told[-1]["Meter"]
    assert (last["Energy"], last["WorkValue"], last["Power"]) == (12.345, 12345.0, 0.0)


def test_order__started_by_a_partner__is_seen_by_the_chargers_operator(
    own: Tenant, partner: Partner, server: RunningServer, contract: ContractClient
) -> None:
    """The operator sees who started what at its chargers, how it stands, and why it failed."""
    charger = present(own.charger("TP-AC22"))
    command = started(partner, charger, "seen")
    partner.start("unseen", charger)

    def seen(**query: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = own.api.get(
            "/v1/operator/peer-orders", params=query, expect=200
        ).data["items"]
        return items

    [order] = seen(order_id="seen")
    assert (order["peer_id"], order["device_id"]) == (partner.peer_id, charger.device_id)
    assert (order["kind"], order["status"]) == ("charge", "flowing")
    assert order["command_id"] == command["command_id"]
    assert not {"ended_at", "energy", "reason"} & set(order)
    [failed] = seen(order_id="unseen", peer_id=partner.peer_id)
    assert (failed["status"], failed["reason"]) == ("start_failed", "conflicting_session")
    end(charger, command, 2.5)
    [order] = seen(order_id="seen")
    assert (order["status"], order["energy"]) == ("completed", 2.5)
    assert seen(peer_id="peer_of_nobody") == []
    other = new_tenant(server, contract)
    assert other.api.get("/v1/operator/peer-orders", expect=200).data["total"] == 0
    assert partner.api.get("/v1/operator/peer-orders").status == 403


def test_start__repeated__is_answered_alike_and_starts_nothing_twice(
    own: Tenant, partner: Partner
) -> None:
    """The same OrderId has the same answer, also once the order is over; another start is 409."""
    charger = present(own.charger("TP-DC60"))
    first = partner.start("again", charger)
    assert [partner.start("again", charger).body for _ in range(2)] == [first.body] * 2
    command = take_command(charger, "start_charging")
    begin(charger, command)
    end(charger, command, 1.0)
    assert partner.start("again", charger).body == first.body
    assert charger.send("heartbeat", heartbeat()).data["commands"] == []
    other = partner.start("again", charger, ConnectorId=2)
    assert (other.status, other.code) == (409, 4001)


def test_start__order_id_of_another_partner__is_another_order(
    own: Tenant, partner: Partner
) -> None:
    """Identifiers of orders are each partner's own."""
    other = new_partner(own)
    answers = [
        one.start("shared-id", present(own.charger("TP-AC22"))).json for one in (partner, other)
    ]
    assert [one["Status"] for one in answers] == ["STARTING"] * 2
    assert answers[0]["DeviceVendorOrderId"] != answers[1]["DeviceVendorOrderId"]


@pytest.mark.parametrize("trouble", ["fault", "offline", "charging"])
def test_start__connector_that_cannot__has_failed_at_once_and_for_good(
    own: Tenant, partner: Partner, trouble: str
) -> None:
    """START_FAILED is an answer like any other: durable, repeated, told."""
    charger = present(own.charger("TP-AC22"))
    if trouble == "offline":
        charger.send("heartbeat", heartbeat(status="offline"))
    else:
        charger.send("telemetry", sample(state=trouble))
    order_id = f"cannot-{trouble}"
    first = partner.start(order_id, charger)
    assert (first.status, first.json["Status"]) == (200, "START_FAILED")
    present(charger).send("telemetry", sample(state="idle", timestamp=moment(-0.2)))
    assert partner.start(order_id, charger).body == first.body
    assert [push["Status"] for push in of_order(partner, order_id)] == ["START_FAILED"]
    assert partner.start(f"{order_id}-2", charger).json["Status"] == "STARTING"


def test_start__vehicle_that_waits__is_no_obstacle(own: Tenant, partner: Partner) -> None:
    """A connector that prepares is Working for peers, and what it waits for is a start."""
    charger = present(own.charger("TP-AC22"))
    charger.send("telemetry", sample(state="preparing", power=0.0))
    assert partner.start("waiting", charger).json["Status"] == "STARTING"


def test_start__second_order_at_the_connector__fails_until_the_first_is_over(
    own: Tenant, partner: Partner
) -> None:
    """Two orders do not share a connector; one whose session is over makes room."""
    charger = present(own.charger("TP-AC22"))
    command = started(partner, charger, "first")
    charger.send("telemetry", sample(state="idle", power=0.0))
    assert partner.start("second", charger).json["Status"] == "START_FAILED"
    charger.send("events", event(event_type="stop"))
    said = {"command_id": command["command_id"], "status": "completed", "timestamp": moment()}
    charger.send("command-status", said)
    assert partner.start("third", charger).json["Status"] == "STARTING"
    assert [push["Status"] for push in of_order(partner, "first")][-1] == "COMPLETED"


def test_start__refused_by_the_charger__fails_and_is_told(own: Tenant, partner: Partner) -> None:
    """What the charger says of the command becomes of the order."""
    charger = present(own.charger("TP-AC22"))
    assert partner.start("refused", charger).json["Status"] == "STARTING"
    take_command(charger, "start_charging", "rejected")
    wait_until(lambda: bool(of_order(partner, "refused")), "the push")
    [push] = of_order(partner, "refused")
    assert push["Status"] == "START_FAILED"
    assert "Meter" not in push


def test_stop__before_delivery__fails_the_order(own: Tenant, partner: Partner) -> None:
    """A start that has not left is taken back; the charger is told to stop, and nothing else."""
    charger = present(own.charger("TP-AC22"))
    partner.start("taken-back", charger)
    assert partner.stop(charger) == "Accept"
    take_command(charger, "stop_charging", "completed")
    wait_until(lambda: bool(of_order(partner, "taken-back")), "the push")
    assert [push["Status"] for push in of_order(partner, "taken-back")] == ["START_FAILED"]


def test_stop__asked_twice__tells_the_charger_once(own: Tenant, partner: Partner) -> None:
    """A stop is as good as done once it is stored."""
    charger = present(own.charger("TP-AC22"))
    started(partner, charger, "stopped-twice")
    assert [partner.stop(charger) for _ in range(2)] == ["Accept"] * 2
    take_command(charger, "stop_charging")


@pytest.mark.parametrize("case", ["nothing", "another way", "another partner", "a user's own"])
def test_stop__of_what_the_partner_did_not_start__is_rejected(
    own: Tenant, partner: Partner, case: str
) -> None:
    """A partner stops its own orders of that kind and nothing else."""
    charger = present(own.charger("TP-AC22"))
    asking, way = partner, "charging"
    if case == "another way":
        started(partner, charger, "not-this-way")
        way = "discharging"
    elif case == "another partner":
        started(partner, charger, "not-yours")
        asking = new_partner(own)
    elif case == "a user's own":
        charger.send("telemetry", sample())
    assert asking.stop(charger, way) == "Reject"
    assert charger.send("heartbeat", heartbeat()).data["commands"] == []


def test_discharge__bidirectional_charger__takes_the_limits_along(
    own: Tenant, partner: Partner
) -> None:
    """Power is the connector's rating, the state of charge a limit; words are those of the way."""
    charger = present(own.charger("TP-DC180-V2G"))
    answer = partner.start("v2g", charger, "discharging", LimitMinSOC=30, LimitMaxEnergy=5)
    assert answer.json["Status"] == "STARTING"
    command = take_command(charger, "discharge")
    params = command["params"]
    assert (params["min_soc"], params["discharge_power"]) == (30, 180)
    begin(charger, command)
    flow = {"state": "discharging", "power": -40.0, "current": -100.0}
    charger.send("telemetry", sample(energy_delivered=5.1, **flow))
    wait_until(lambda: len(of_order(partner, "v2g")) > 1, "the stop at 5 kWh")
    take_command(charger, "stop_charging", "completed")
    end(charger, command, -5.125)
    told = of_order(partner, "v2g")
    assert [push["Status"] for push in told[:2]] == ["CHARGING", "WAIT_CP_STOP_CHARGING"]
    assert all(push["Meter"]["Power"] < 0 for push in told[:2])
    assert (told[-1]["Status"], told[-1]["Meter"]["Energy"]) == ("COMPLETED", -5.125)


def test_discharge__hardware_that_cannot__has_failed(own: Tenant, partner: Partner) -> None:
    """A charger without V2G says START_FAILED to a discharge."""
    charger = present(own.charger("TP-DC180"))
    assert partner.start("one-way", charger, "discharging").json["Status"] == "START_FAILED"


def test_dialect__partner_that_knows_discharging__is_told_so(own: Tenant) -> None:
    """The switch of a peer sends the words that the published pushes do not have."""
    partner = new_partner(own, sends_discharging=True)
    charger = present(own.charger("TP-DC180-V2G"))
    partner.start("frank", charger, "discharging")
    begin(charger, take_command(charger, "discharge"))
    assert partner.stop(charger, "discharging") == "Accept"
    words = [push["Status"] for push in of_order(partner, "frank")]
    assert words == ["DISCHARGING", "WAIT_CP_STOP_DISCHARGING"]


def test_order__record_that_names_it__counts_however_late(own: Tenant, partner: Partner) -> None:
    """A record of another session of the connector is not this order's; its own is."""
    charger = present(own.charger("TP-AC22"))
    command = started(partner, charger, "named")
    elsewhere = {"params": {"transaction_id": "another"}}
    end(charger, elsewhere, 99.0)
    told = of_order(partner, "named")
    assert "COMPLETED" not in [push["Status"] for push in told]
    end(charger, command, 3.25)
    last = of_order(partner, "named")[-1]
    assert (last["Status"], last["Meter"]["Energy"]) == ("COMPLETED", 3.25)


@pytest.mark.parametrize("way", ["charging", "discharging"])
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"OrderId": None}, 1002),
        ({"OrderId": "x" * 65}, 1001),
        ({"ConnectorId": 0}, 1001),
        ({"ConnectorId": 1.5}, 1001),
        ({"Note": "x" * 256}, 1001),
    ],
)
def test_start__not_sound__is_refused_before_anything_is_looked_up(
    partner: Partner, way: str, change: dict[str, Any], code: int
) -> None:
    """Shape goes first: a 400 tells nothing about what exists."""
    body = {"OrderId": "o", "ChargePointId": "nobody", "ConnectorId": 1} | change
    body = {name: value for name, value in body.items() if value is not None}
    refused = partner.api.post(f"/v1/cp/start_{way}", body)
    assert (refused.status, refused.code) == (400, code)


def test_start__unknown_connector__is_not_found(own: Tenant, partner: Partner) -> None:
    """What a charger does not have cannot be started or stopped."""
    charger = present(own.charger("TP-AC22"))
    assert partner.start("nowhere", charger, ConnectorId=9).status == 404
    asked = {"ChargePointId": charger.device_id, "ConnectorId": 9}
    assert partner.api.post("/v1/cp/stop_charging", asked).status == 404


def test_order__started_and_stopped_by_a_partner__is_in_the_audit_log(
    own: Tenant, partner: Partner
) -> None:
    """The charger's operator sees who told it what, the same start twice as one."""
    charger = present(own.charger("TP-DC60"))
    command = started(partner, charger, "audited")
    partner.start("audited", charger)
    assert partner.stop(charger) == "Accept"
    query = {"action": "execute_command", "resource_id": charger.device_id}
    entries = own.api.get("/v1/operator/audit-logs", params=query, expect=200).data["items"]
    assert [one["details"]["command"] for one in entries] == ["stop_charging", "start_charging"]
    assert entries[1]["details"]["command_id"] == command["command_id"]
    assert {one["actor"] for one in entries} == {partner.peer_id}
    assert all(one["request_id"] for one in entries)


@pytest.mark.parametrize("has_begun", [False, True])
def test_order__at_a_deleted_charger__ends_and_is_told(
    own: Tenant, partner: Partner, *, has_begun: bool
) -> None:
    """Nothing more is heard of it: the partner does not wait for ever, and is told no energy."""
    charger = present(own.charger("TP-DC60"))
    order_id = f"deleted-{has_begun}"
    if has_begun:
        started(partner, charger, order_id)
    else:
        assert partner.start(order_id, charger).json["Status"] == "STARTING"
    own.admin.delete(f"/v1/admin/devices/{charger.device_id}", expect=200)
    word = "COMPLETED" if has_begun else "START_FAILED"

    def is_told() -> bool:
        return word in [push["Status"] for push in of_order(partner, order_id)]

    wait_until(is_told, f"the push of {word}")
    assert "Meter" not in of_order(partner, order_id)[-1]
