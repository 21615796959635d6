"""A device that changes hands: its past stays with whom it belonged to."""

from tests.api.tenancy import event, sample
from tests.contract.client import ContractClient
from tests.server import RunningServer


def test_device__moved_to_another_operator__starts_a_history_of_its_own(
    server: RunningServer, contract: ContractClient
) -> None:
    """The new operator sees what came since: of before neither samples, events nor state."""
    device = server.register()
    charger = contract.device(device.token)
    charger.post("/v1/device/telemetry", json=sample(soc=33))
    charger.post("/v1/device/events", json=event())
    heir = server.create_client(server.create_operator("Heir"))
    site_id = server.create_site(heir.operator_id)
    server.admin("PATCH", f"/v1/admin/devices/{device.device_id}", {"site_id": site_id})
    client = contract.operator(heir.token)
    path = f"/v1/operator/devices/{device.device_id}"
    shown = client.get(f"{path}?include=events").data
    assert shown["events"] == []
    assert all("soc" not in connector for connector in shown["connectors"])
    assert client.get(f"{path}/events").data["total"] == 0
    assert client.get(f"{path}/telemetry").data["items"] == []
    charger.post("/v1/device/telemetry", json=sample(soc=44))
    assert [item["soc"] for item in client.get(f"{path}/telemetry").data["items"]] == [44]


def test_device__moved_with_a_schedule__is_told_to_leave_it_in_the_same_breath(
    server: RunningServer, contract: ContractClient
) -> None:
    """The charger disables the stranger's plan, which no operator sees; a queued start is off."""
    device = server.register()
    charger = contract.device(device.token)
    owner = server.create_client(server.built_in_operator_id)
    path = f"/v1/operator/devices/{device.device_id}/connectors/1"
    plan = {
        "schedule_id": "night",
        "enabled": True,
        "type": "daily",
        "time_slots": [{"start": "22:00", "end": "08:00", "action": "charge"}],
    }
    before = contract.operator(owner.token)
    set_id = before.post(f"{path}/schedule", json=plan, expect=200).data["command_id"]
    query = {"connector_id": 1, "wait": 5}
    assert charger.get("/v1/device/commands", params=query).data["command_id"] == set_id
    start_id = before.post(f"{path}/start", json={}, expect=200).data["command_id"]
    heir = server.create_client(server.create_operator("Heir"))
    site_id = server.create_site(heir.operator_id)
    server.admin("PATCH", f"/v1/admin/devices/{device.device_id}", {"site_id": site_id})
    shown = before.get(f"/v1/operator/commands/{start_id}", expect=200).data
    assert (shown["status"], shown["result"]) == ("failed", {"reason": "cancelled"})
    order = charger.get("/v1/device/commands", params=query).data
    assert (order["command"], order["params"]["schedule_id"]) == ("set_schedule", "night")
    assert order["params"]["enabled"] is False
    client = contract.operator(heir.token)
    assert client.get(f"{path}/schedule", expect=200).data["items"] == []
    assert client.get("/v1/operator/commands", expect=200).data["total"] == 0
