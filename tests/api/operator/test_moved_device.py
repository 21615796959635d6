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
