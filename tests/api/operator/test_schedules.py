"""Schedules over the wire: set, listed, removed, and carried to the charger."""

from typing import Any

from tests.api.tenancy import Charger, Tenant
from tests.contract.client import ContractClient
from tests.server import RunningServer

NIGHT = {
    "day_of_week": ["mon", "tue", "wed", "thu", "fri"],
    "start": "22:00",
    "end": "08:00",
    "power_limit": 7.0,
    "action": "charge",
}
PLAN = {
    "schedule_id": "sch_001",
    "enabled": True,
    "type": "weekly",
    "time_slots": [NIGHT],
    "target_soc": 90,
    "effective_from": "2125-03-16T00:00:00Z",
    "effective_until": "2125-03-31T23:59:59Z",
    "timezone": "Europe/London",
}


def path_of(charger: Charger, connector_id: int = 1) -> str:
    """Where the schedules of a connector are."""
    return f"/v1/operator/devices/{charger.device_id}/connectors/{connector_id}/schedule"


def poll(charger: Charger) -> dict[str, Any]:
    """The next command of the charger's first connector."""
    query = {"connector_id": 1, "wait": 5}
    command: dict[str, Any] = charger.api.get("/v1/device/commands", params=query, expect=200).data
    return command


def test_schedule__set__reaches_the_charger_whole(charger: Charger) -> None:
    """What the operator sent is what the charger gets, in the zone it was meant in."""
    issued = charger.operator.post(path_of(charger), PLAN, expect=200).data
    assert (issued["schedule_id"], issued["status"]) == ("sch_001", "queued")
    command = poll(charger)
    assert command["command_id"] == issued["command_id"]
    assert command["command"] == "set_schedule"
    assert command["params"] == {"connector_id": 1} | PLAN
    said = {"command_id": issued["command_id"], "status": "completed"}
    charger.send("command-status", said | {"timestamp": "2026-01-01T00:00:00Z"})
    shown = charger.operator.get(f"/v1/operator/commands/{issued['command_id']}", expect=200).data
    assert (shown["status"], shown["command"]) == ("completed", "set_schedule")


def test_schedules__listed__show_plan_and_next_slots_over_the_change_of_clocks(
    charger: Charger,
) -> None:
    """A slot under way at the begin is cut to it; London's short night is shown as it will be."""
    slot = {key: value for key, value in NIGHT.items() if key != "day_of_week"}
    plan = PLAN | {"type": "daily", "time_slots": [slot], "effective_from": "2125-03-20T00:00:00Z"}
    issued = charger.operator.post(path_of(charger), plan, expect=200).data
    (item,) = charger.operator.get(path_of(charger), expect=200).data["items"]
    assert plan.items() <= item.items()
    assert (item["command_id"], item["command_status"]) == (issued["command_id"], "queued")
    limits = {"action": "charge", "power_limit": 7.0}
    assert item["next_slots"][0] == limits | {
        "start_at": "2125-03-20T00:00:00Z",
        "end_at": "2125-03-20T08:00:00Z",
    }
    spans = [(slot["start_at"][8:16], slot["end_at"][8:16]) for slot in item["next_slots"]]
    assert spans[4:7] == [
        ("23T22:00", "24T08:00"),
        ("24T22:00", "25T07:00"),
        ("25T21:00", "26T07:00"),
    ]


def test_schedule__without_zone__is_in_that_of_the_site(tenant: Tenant) -> None:
    """A site in Tokyo charges by Tokyo's clock."""
    charger = tenant.charger(site_id=tenant.site("Ginza", timezone="Asia/Tokyo"))
    body = {key: value for key, value in PLAN.items() if key != "timezone"}
    charger.operator.post(path_of(charger), body, expect=200)
    assert poll(charger)["params"]["timezone"] == "Asia/Tokyo"
    (item,) = charger.operator.get(path_of(charger), expect=200).data["items"]
    assert item["next_slots"][0]["start_at"] == "2125-03-16T13:00:00Z"


def test_schedule__removed__is_disabled_on_the_charger(charger: Charger) -> None:
    """`?schedule_id=` names it, whatever it is called; without it nothing is removed."""
    name = "night & day/ä"
    charger.operator.post(path_of(charger), PLAN | {"schedule_id": name}, expect=200)
    assert poll(charger)["params"]["enabled"] is True
    missing = charger.operator.delete(path_of(charger), expect=400, code=1002)
    assert missing.details["field"] == "schedule_id"
    query = {"schedule_id": name}
    gone = charger.operator.delete(path_of(charger), params=query, expect=200).data
    assert (gone["schedule_id"], gone["status"]) == (name, "queued")
    command = poll(charger)
    assert command["command_id"] == gone["command_id"]
    assert (command["params"]["schedule_id"], command["params"]["enabled"]) == (name, False)
    assert charger.operator.get(path_of(charger), expect=200).data["items"] == []
    charger.operator.delete(path_of(charger), params=query, expect=404, code=3001)


def test_schedule__in_the_way_or_out_of_place__is_answered_by_the_table(charger: Charger) -> None:
    """4001 for an overlap, 3001 for what is not there; 1001 and 1002 for the body before both."""
    charger.operator.post(path_of(charger), PLAN, expect=200)
    other = PLAN | {"schedule_id": "other"}
    refused = charger.operator.post(path_of(charger), other, expect=409, code=4001)
    assert refused.details == {"schedule_id": "sch_001", "at": "2125-03-16T00:00:00Z"}
    charger.operator.post(path_of(charger, 7), other, expect=404, code=3001)
    slot = {key: value for key, value in NIGHT.items() if key != "day_of_week"}
    wrong = other | {"time_slots": [slot]}
    charger.operator.post(path_of(charger, 7), wrong, expect=400, code=1002)
    zone = other | {"timezone": "Moon/Tycho"}
    charger.operator.post(path_of(charger, 7), zone, expect=400, code=1001)
    discharging = other | {"time_slots": [NIGHT | {"action": "discharge"}]}
    charger.operator.post(path_of(charger, 2), discharging, expect=409, code=4001)


def test_schedules__with_a_scope_too_few__are_refused(
    tenant: Tenant, charger: Charger, server: RunningServer, contract: ContractClient
) -> None:
    """Reading takes `read`, setting and removing `write`; of a foreign device nothing is told."""
    reader = tenant.api_with(scopes=("read",))
    writer = tenant.api_with(scopes=("write",))
    reader.post(path_of(charger), PLAN, expect=403, code=2003)
    writer.get(path_of(charger), expect=403, code=2003)
    writer.post(path_of(charger), PLAN, expect=200)
    query = {"schedule_id": "sch_001"}
    reader.delete(path_of(charger), params=query, expect=403, code=2003)
    stranger = contract.operator(server.create_client(server.create_operator("Other")).token)
    stranger.get(path_of(charger), expect=404, code=3001)
    stranger.delete(path_of(charger), params=query, expect=404, code=3001)
    assert len(reader.get(path_of(charger), expect=200).data["items"]) == 1
