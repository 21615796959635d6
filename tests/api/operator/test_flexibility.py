"""Flexibility over the wire: the published call, what follows it, and who may see it."""

import time
from typing import Any

import pytest

from tests.api.tenancy import Charger, Tenant, heartbeat, moment, new_tenant
from tests.contract.client import ContractClient
from tests.server import RunningServer

URL = "/v1/operator/control/flexibility"


def limit_of(tenant: Tenant, percent: float = 50, duration: float = 600) -> dict[str, Any]:
    """A limit for the tenant's site."""
    return {
        "target_type": "site",
        "target_ids": [tenant.site_id],
        "command": "set_power_limit",
        "params": {"power_limit_percent": percent, "duration": duration, "reason": "grid_overload"},
    }


def fetch(charger: Charger, connectors: int = 2) -> dict[int, list[dict[str, Any]]]:
    """What a charger is told to hold, obeyed; waits until each connector has been told."""
    told: dict[int, list[dict[str, Any]]] = {}
    until_s = time.monotonic() + 10
    while len(told) < connectors and time.monotonic() < until_s:
        for command in charger.send("heartbeat", heartbeat()).data["commands"]:
            assert command["command"] == "set_power_limit"
            told[command["params"]["connector_id"]] = command["params"]["limits"]
            said = {"command_id": command["command_id"], "status": "completed"}
            charger.send("command-status", said | {"timestamp": moment()})
        time.sleep(0.02)
    return told


@pytest.fixture
def own(server: RunningServer, contract: ContractClient) -> Tenant:
    """A tenant of this test alone, whose whole fleet may be limited."""
    return new_tenant(server, contract)


def test_flexibility__published_call__reaches_every_connector_and_comes_back(own: Tenant) -> None:
    """From the operator's call to the charger's report, read as a command and as a control."""
    charger = own.charger()
    answer = own.api.post(URL, limit_of(own), expect=200)
    assert set(answer.data) == {"control_id", "status"}
    assert answer.data["status"] == "executing"
    control_id = answer.data["control_id"]
    told = fetch(charger)
    assert {number: [one["power_limit_kw"] for one in held] for number, held in told.items()} == {
        1: [45.0],
        2: [45.0],
    }
    shown = own.api.get(f"/v1/operator/commands/{control_id}", expect=200).data
    assert (shown["command_id"], shown["status"]) == (control_id, "accepted")
    (target,) = shown["result"]["targets"]
    assert (target["device_id"], target["status"]) == (charger.device_id, "completed")
    assert [one["connector_id"] for one in target["connectors"]] == [1, 2]
    control = own.api.get(f"{URL}/{control_id}", expect=200).data
    assert control["targets"] == [target]
    assert control["status"] == "executing"
    assert control["params"]["reason"] == "grid_overload"
    sent = own.api.get("/v1/operator/commands", params={"command": "set_power_limit"}, expect=200)
    assert {one["command_id"] for one in sent.data["items"]} == {
        one["command_id"] for one in target["connectors"]
    }


def test_flexibility__cancelled__restores_at_once_and_repeats_harmlessly(own: Tenant) -> None:
    """The charger is told that nothing holds any more; cancelling twice is cancelling once."""
    charger = own.charger()
    control_id = own.api.post(URL, limit_of(own), expect=200).data["control_id"]
    fetch(charger)
    first = own.api.delete(f"{URL}/{control_id}", expect=200).data
    assert first["status"] == "cancelled"
    assert fetch(charger) == {1: [], 2: []}
    assert own.api.delete(f"{URL}/{control_id}", expect=200).data == first
    assert own.api.delete(f"/v1/operator/commands/{control_id}", expect=200).data["status"] == (
        "completed"
    )


def test_flexibility__over__cannot_be_cancelled(own: Tenant) -> None:
    """A control ends by itself, and then there is nothing to take back."""
    body = {"target_type": "all", "command": "pause_charging", "params": {"duration": 1}}
    control_id = own.api.post(URL, body, expect=200).data["control_id"]
    listed = own.api.get(URL, params={"active": "true"}, expect=200).data["items"]
    assert [one["control_id"] for one in listed] == [control_id]
    time.sleep(1.1)
    own.api.delete(f"{URL}/{control_id}", expect=409, code=4001)
    assert own.api.get(URL, params={"active": True}, expect=200).data["items"] == []
    (over,) = own.api.get(URL, params={"active": "false"}, expect=200).data["items"]
    assert (over["status"], over["params"]) == ("ended", {"duration": 1})
    own.api.get(URL, params={"active": "perhaps"}, expect=400, code=1001)


def test_flexibility__another_operators__looks_like_none(own: Tenant, tenant: Tenant) -> None:
    """Sites, operators and controls of others are not found, by any verb."""
    control_id = own.api.post(URL, limit_of(own), expect=200).data["control_id"]
    api = tenant.api
    api.post(URL, limit_of(own), expect=404, code=3001)
    both = limit_of(tenant) | {"target_ids": [tenant.site_id, own.site_id]}
    api.post(URL, both, expect=404, code=3001)
    theirs = limit_of(own) | {"target_type": "operator", "target_ids": [own.operator_id]}
    api.post(URL, theirs, expect=404, code=3001)
    api.get(f"{URL}/{control_id}", expect=404, code=3001)
    api.delete(f"{URL}/{control_id}", expect=404, code=3001)
    api.get(f"/v1/operator/commands/{control_id}", expect=404, code=3001)
    assert api.get(URL, expect=200).data["items"] == []
    mine = theirs | {"target_ids": [own.operator_id]}
    own.api.post(URL, mine, expect=200)


def test_flexibility__what_is_wrong__is_named(own: Tenant) -> None:
    """Missing targets are 1002, bad parameters 1001 with their place in the body."""
    body = limit_of(own)
    missing = {name: value for name, value in body.items() if name != "target_ids"}
    refused = own.api.post(URL, missing, expect=400, code=1002)
    assert refused.json["details"] == {"field": "target_ids"}
    own.api.post(URL, body | {"params": {"duration": 600}}, expect=400, code=1002)
    worse = body | {"params": {"power_limit_percent": 120, "duration": 600}}
    refused = own.api.post(URL, worse, expect=400, code=1001)
    assert refused.json["details"] == {"field": "params.power_limit_percent", "value": 120}
    for duration in (0, -5, 1.5, "600", 604_801):
        wrong = body | {"params": {"power_limit_percent": 50, "duration": duration}}
        refused = own.api.post(URL, wrong, expect=400, code=1001)
        assert refused.json["details"]["field"] == "params.duration"
    assert own.api.get(URL, expect=200).data["total"] == 0


def test_flexibility__key_and_scope__are_those_of_controls(own: Tenant) -> None:
    """A repeat under its key gets the first control; who may only read may not limit."""
    headers = {"idempotency-key": "evening-peak"}
    first = own.api.post(URL, limit_of(own), headers=headers, expect=200).data
    again = own.api.post(URL, limit_of(own, 50.0, 600.0), headers=headers, expect=200).data
    assert again == first
    own.api.post(URL, limit_of(own, 40), headers=headers, expect=409, code=4001)
    assert own.api.get(URL, expect=200).data["total"] == 1
    reader = own.api_with(scopes=["read"])
    reader.post(URL, limit_of(own), expect=403, code=2003)
    reader.get(f"{URL}/{first['control_id']}", expect=200)
    reader.delete(f"{URL}/{first['control_id']}", expect=403, code=2003)


def test_flexibility__large_body__is_read_up_to_its_bound(own: Tenant) -> None:
    """More than 64 KiB of targets are read, more than 256 KiB are not."""
    many = [f"site_{number:020d}" for number in range(5_000)]
    own.api.post(URL, limit_of(own) | {"target_ids": many}, expect=404, code=3001)
    own.api.post(URL, limit_of(own) | {"target_ids": many * 3}, expect=413, code=1001)
