"""The list of vehicles that may give energy back, over the wire."""

import pytest

from tests.api.tenancy import Tenant, new_tenant
from tests.contract.client import ContractClient
from tests.server import RunningServer

PATH = "/v1/operator/v2g-vehicles"
DROSS = {"make": "Stellantis", "model": "DrossOne", "min_firmware": "2.4.0"}


@pytest.fixture(scope="module")
def tenant(server: RunningServer, contract: ContractClient) -> Tenant:
    """An operator of this module's own."""
    return new_tenant(server, contract)


def test_list__kept__is_read_back_changed_and_audited(tenant: Tenant) -> None:
    """An entry comes back as sent, is replaced whole, and goes; each step is in the audit log."""
    headers = {"Idempotency-Key": "dross"}
    made = tenant.api.post(PATH, DROSS, headers=headers, expect=200).data
    assert made.items() >= DROSS.items()
    assert tenant.api.post(PATH, DROSS, headers=headers, expect=200).data == made
    shouted = DROSS | {"make": "STELLANTIS"}
    reply = tenant.api.post(PATH, shouted, expect=409)
    assert (reply.code, reply.json["details"]["vehicle_id"]) == (4001, made["vehicle_id"])
    tenant.api.post(PATH, {"make": "Nissan", "model": "Leaf"}, expect=200)
    listed = tenant.api.get(PATH, expect=200).data
    assert [one["make"] for one in listed["items"]] == ["Nissan", "Stellantis"]
    of_make = tenant.api.get(PATH, params={"make": "stellantis"}, expect=200).data
    assert of_make["total"] == 1
    path = f"{PATH}/{made['vehicle_id']}"
    changed = tenant.api.put(path, {"make": "Stellantis", "model": "DrossOne"}, expect=200).data
    assert "min_firmware" not in changed
    tenant.api.delete(path, expect=200)
    assert tenant.api.delete(path, expect=404).code == 3001
    query = {"resource_type": "config", "resource_id": made["vehicle_id"]}
    logged = tenant.api.get("/v1/operator/audit-logs", params=query, expect=200).data
    assert logged["total"] == 3


def test_list__no_version__is_refused(tenant: Tenant) -> None:
    """A gate that no firmware could be compared with is 1001."""
    reply = tenant.api.post(PATH, DROSS | {"min_firmware": "newest"}, expect=400)
    assert (reply.code, reply.json["details"]["field"]) == (1001, "min_firmware")
