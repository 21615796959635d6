"""Configuration profiles over the wire: kept, assigned, compared, applied again, audited."""

from typing import Any

import pytest

from tests.api.tenancy import Charger, Tenant, heartbeat, new_tenant
from tests.contract.client import ContractClient
from tests.server import RunningServer

PROFILES = "/v1/operator/config-profiles"
VALUES = {"heartbeat_s": 30, "limits": {"max_power_kw": 150.5}}


@pytest.fixture(scope="module")
def tenant(server: RunningServer, contract: ContractClient) -> Tenant:
    """An operator of this module's own."""
    return new_tenant(server, contract)


@pytest.fixture
def charger(tenant: Tenant) -> Charger:
    """A charger of the module's tenant, fresh for each test."""
    return tenant.charger()


def keep(tenant: Tenant, name: str, **body: Any) -> dict[str, Any]:
    """Keep a profile."""
    asked = {"name": name, "values": VALUES} | body
    made: dict[str, Any] = tenant.api.post(PROFILES, asked, expect=200).data
    return made


def place_of(charger: Charger) -> str:
    """Where a device's configuration is."""
    return f"/v1/operator/devices/{charger.device_id}/config-profile"


def test_profile__kept_and_changed__is_read_back_with_its_versions(tenant: Tenant) -> None:
    """What was sent comes back; other values are another version; the list leaves values out."""
    made = keep(tenant, "Depot", models=["TP-DC180"], note="for the depot")
    assert made["values"] == VALUES
    assert (made["version"], made["devices"], made["models"]) == (1, 0, ["TP-DC180"])
    path = f"{PROFILES}/{made['config_profile_id']}"
    changed = tenant.api.patch(path, {"values": {"heartbeat_s": 60}}, expect=200).data
    assert (changed["version"], changed["note"]) == (2, "for the depot")
    assert tenant.api.get(path, expect=200).data == changed
    versions = tenant.api.get(f"{path}/versions", expect=200).data["items"]
    assert [one["version"] for one in versions] == [2, 1]
    assert versions[1]["values"] == VALUES
    listed = tenant.api.get(PROFILES, params={"model": "TP-DC180"}, expect=200).data["items"]
    item = next(one for one in listed if one["config_profile_id"] == made["config_profile_id"])
    assert "values" not in item
    none = tenant.api.get(PROFILES, params={"model": "TP-AC22"}, expect=200).data["items"]
    assert made["config_profile_id"] not in [one["config_profile_id"] for one in none]
    tenant.api.delete(path, expect=200)
    assert tenant.api.get(path, expect=404).code == 3001


def test_profile__created_twice_under_one_key__is_one(tenant: Tenant) -> None:
    """A lost answer is healed by asking again; the name is then taken for any other request."""
    asked, headers = {"name": "Once", "values": {}}, {"Idempotency-Key": "once"}
    first = tenant.api.post(PROFILES, asked, headers=headers, expect=200).data
    again = tenant.api.post(PROFILES, asked, headers=headers, expect=200).data
    assert again == first
    assert tenant.api.post(PROFILES, asked, expect=409).code == 4001
    other = asked | {"name": "Twice"}
    assert tenant.api.post(PROFILES, other, headers=headers, expect=409).code == 4001


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x", "values": []}, "values"),
        ({"name": "", "values": {}}, "name"),
        ({"name": "x", "values": {}, "models": ["m"] * 51}, "models"),
        ({"name": "x", "values": {"blob": "y" * 20_000}}, "values"),
    ],
)
def test_profile__malformed__is_refused_by_field(
    tenant: Tenant, body: dict[str, Any], field: str
) -> None:
    """A wrong shape and a size over the bound are 1001, and say which field."""
    reply = tenant.api.post(PROFILES, body, expect=400)
    assert (reply.code, reply.json["details"]["field"]) == (1001, field)


def test_device__assigned_applied_and_overridden__shows_how_it_stands(
    tenant: Tenant, charger: Charger
) -> None:
    """From assignment to drift and back the operator sees what was asked and what is said."""
    place = place_of(charger)
    assert charger.operator.get(place, expect=200).data["state"] == "unknown"
    assert charger.operator.post(f"{place}/apply", expect=409).code == 4001
    made = keep(tenant, "Standard")
    asked = {"config_profile_id": made["config_profile_id"]}
    queued = charger.operator.put(place, asked, expect=200).data
    (command,) = charger.send("heartbeat", heartbeat()).data["commands"]
    assert command["command"] == "apply_config_profile"
    assert command["command_id"] == queued["command_id"]
    assert command["params"]["values"] == VALUES
    names = {"config_profile_id", "running_config_hash"}
    runs = {key: command["params"][key] for key in names}
    assert charger.operator.get(place, expect=200).data["state"] == "applying"
    said = {"command_id": queued["command_id"], "status": "completed"}
    charger.send("command-status", said | {"timestamp": heartbeat()["timestamp"]})
    charger.send("heartbeat", heartbeat(**runs))
    seen = charger.operator.get(place, expect=200).data
    assert (seen["state"], seen["device_id"]) == ("in_sync", charger.device_id)
    assert seen["reported"].items() >= runs.items()
    assert seen["assigned"].items() >= runs.items()
    again = charger.operator.post(f"{place}/apply", expect=200).data
    assert again["command_id"] != queued["command_id"]
    said = {"command_id": again["command_id"], "status": "failed"}
    charger.send("command-status", said | {"timestamp": heartbeat()["timestamp"]})
    charger.send("heartbeat", heartbeat(**runs | {"running_config_hash": "0" * 64}))
    seen = charger.operator.get(place, expect=200).data
    assert seen["state"] == "drifted"
    devices = f"{PROFILES}/{made['config_profile_id']}/devices"
    drifted = charger.operator.get(devices, params={"state": "drifted"}, expect=200).data
    assert [one["device_id"] for one in drifted["items"]] == [charger.device_id]
    in_sync = charger.operator.get(devices, params={"state": "in_sync"}, expect=200).data
    assert in_sync["total"] == 0
    charger.operator.delete(place, expect=200)
    assert "assigned" not in charger.operator.get(place, expect=200).data


def test_site__assigned__sends_to_the_models_it_is_for(tenant: Tenant) -> None:
    """Each device of the site is told of: queued where the profile fits, else why not."""
    site_id = tenant.site("Yard")
    fits, other = (tenant.charger(model, site_id) for model in ("TP-DC180", "TP-AC22"))
    made = keep(tenant, "Yard profile", models=["TP-DC180"])
    asked = {"config_profile_id": made["config_profile_id"]}
    answer = tenant.api.put(f"/v1/operator/sites/{site_id}/config-profile", asked, expect=200).data
    assert (answer["queued"], answer["refused"]) == (1, 1)
    outcomes = {one["device_id"]: one for one in answer["items"]}
    assert outcomes[fits.device_id]["outcome"] == "queued"
    assert outcomes[other.device_id]["code"] == 4001
    (command,) = fits.send("heartbeat", heartbeat()).data["commands"]
    assert command["command_id"] == outcomes[fits.device_id]["command_id"]


def test_changes__of_profiles_and_assignments__are_audited(
    tenant: Tenant, charger: Charger
) -> None:
    """Each change is in the audit log under its profile, with the hash and without the values."""
    made = keep(tenant, "Audited", values={"wifi_password": "hunter2"})
    profile_id = made["config_profile_id"]
    tenant.api.patch(f"{PROFILES}/{profile_id}", {"note": "x"}, expect=200)
    asked = {"config_profile_id": profile_id}
    tenant.api.put(place_of(charger), asked, expect=200)
    tenant.api.post(f"{place_of(charger)}/apply", expect=200)
    tenant.api.delete(place_of(charger), expect=200)
    tenant.api.delete(f"{PROFILES}/{profile_id}", expect=200)
    query = {"resource_type": "config", "resource_id": profile_id, "size": 100}
    logged = tenant.api.get("/v1/operator/audit-logs", params=query, expect=200)
    actions = [one["action"] for one in logged.data["items"]]
    assert actions == ["delete", "update", "update", "update", "update", "create"]
    assert b"hunter2" not in logged.body
    assert made["running_config_hash"] in logged.body.decode()
