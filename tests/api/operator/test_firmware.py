"""Firmware over the wire: releases, one device, rollouts, and what an operator may see of them."""

import secrets
import time
from typing import Any

import pytest

from tests.api.tenancy import Charger, Tenant, heartbeat
from tests.contract.client import ContractClient
from tests.server import RunningServer

ROLLOUTS = "/v1/operator/firmware/rollouts"


def add_release(tenant: Tenant, model: str, firmware_version: str, **more: Any) -> dict[str, Any]:
    """Add a release as an administrator; return it."""
    body = {
        "models": [model],
        "firmware_version": firmware_version,
        "url": f"https://firmware.example/{firmware_version}.bin",
        "sha256": "AB" * 32,
        "size": 2_000_000,
    } | more
    added: dict[str, Any] = tenant.admin.post("/v1/admin/firmware/releases", body, expect=200).data
    return added


@pytest.fixture
def model(tenant: Tenant) -> str:
    """A model of this test alone, with the releases 3.1.0 and 3.2.0."""
    name = f"M-{secrets.token_hex(6)}"
    for version in ("3.1.0", "3.2.0"):
        add_release(tenant, name, version)
    return name


@pytest.fixture
def unit(tenant: Tenant, model: str) -> Charger:
    """A charger of that model, with 3.1.0."""
    charger = tenant.charger(model)
    charger.send("heartbeat", heartbeat())
    return charger


def take(charger: Charger) -> dict[str, Any]:
    """Let a charger fetch the one command that waits for it."""
    [item] = charger.send("heartbeat", heartbeat()).data["commands"]
    taken: dict[str, Any] = item
    return taken


def say(charger: Charger, status: str, version: str = "3.2.0", **more: Any) -> None:
    """Report a firmware status."""
    charger.send("firmware/status", {"firmware_version": version, "status": status} | more)


def firmware_of(charger: Charger) -> dict[str, Any]:
    """The device's firmware as its operator sees it."""
    path = f"/v1/operator/devices/{charger.device_id}/firmware"
    seen: dict[str, Any] = charger.operator.get(path, expect=200).data
    return seen


def plan(*chargers: Charger, **more: Any) -> dict[str, Any]:
    """A rollout over some chargers in one wave."""
    return {
        "firmware_version": "3.2.0",
        "cohort": {"device_ids": [charger.device_id for charger in chargers]},
        "waves": [{"success_percent": 100, "max_failure_percent": 0}],
    } | more


def wait_for(api: ContractClient, rollout_id: str, **wanted: Any) -> dict[str, Any]:
    """Ask for a rollout until it is as wanted; it moves by itself once a second."""
    until_s = time.monotonic() + 20
    seen: dict[str, Any] = {}
    while time.monotonic() < until_s:
        seen = api.get(f"{ROLLOUTS}/{rollout_id}", expect=200).data
        found = seen | seen["counts"]
        if all(found.get(name) == value for name, value in wanted.items()):
            return seen
        time.sleep(0.1)
    raise AssertionError(f"never came to be {wanted}: {seen}")


def test_releases__as_operators_read_them__are_newest_first(tenant: Tenant, model: str) -> None:
    """A filter by model and channel; size and digest are those of the file."""
    beta = add_release(tenant, model, "3.10.0-rc.1", channel="beta", notes="Try it")
    path = "/v1/operator/firmware/releases"
    seen = tenant.api.get(path, params={"model": model}, expect=200).data
    versions = [item["firmware_version"] for item in seen["items"]]
    assert (seen["total"], versions) == (3, ["3.10.0-rc.1", "3.2.0", "3.1.0"])
    assert seen["items"][0] == beta
    assert beta["sha256"] == "ab" * 32
    only = tenant.api.get(path, params={"model": model, "channel": "beta"}, expect=200).data
    assert only["items"] == [beta]


def test_models__of_the_operators_devices__say_who_is_behind(
    tenant: Tenant, model: str, unit: Charger
) -> None:
    """Each model with its latest stable release, and how many devices run something older."""
    items = tenant.api.get("/v1/operator/firmware/models", expect=200).data["items"]
    [mine] = [item for item in items if item["model"] == model]
    assert mine.pop("release_id").startswith("rel_")
    assert mine == {
        "model": model, "devices": 1, "latest_version": "3.2.0",
        "current": 0, "behind": 1, "far_behind": 0, "unknown": 0,
    }  # fmt: skip


def test_upgrade__from_order_to_success__is_seen_at_every_step(unit: Charger) -> None:
    """The charger gets what it needs, reports, and is shown with the new version."""
    path = f"/v1/operator/devices/{unit.device_id}/firmware"
    queued = unit.operator.post(path, {"firmware_version": "3.2.0"}, expect=200).data
    assert (queued["status"], queued["device_online"]) == ("queued", True)
    taken = take(unit)
    assert taken["command"] == "firmware_upgrade"
    assert taken["params"] == {
        "connector_id": 0,
        "firmware_version": "3.2.0",
        "url": "https://firmware.example/3.2.0.bin",
        "sha256": "ab" * 32,
        "size": 2_000_000,
    }
    say(unit, "downloading", progress=40)
    seen = firmware_of(unit)
    assert (seen["firmware_version"], seen["upgrade"]["status"]) == ("3.1.0", "downloading")
    assert seen["upgrade"]["progress"] == 40
    say(unit, "success", progress=100)
    seen = firmware_of(unit)
    assert seen["firmware_version"] == "3.2.0"
    assert "upgrade" not in seen
    [past] = seen["history"]
    assert (past["command_id"], past["status"]) == (queued["command_id"], "completed")
    assert (past["from_version"], past["to_version"]) == ("3.1.0", "3.2.0")
    refused = unit.operator.post(path, {"firmware_version": "3.2.0"}, expect=409)
    assert refused.details["reason"] == "already_current"


def test_upgrade__under_one_key__is_one_upgrade(unit: Charger) -> None:
    """The same call again gets the first answer; another one under the key is refused."""
    path = f"/v1/operator/devices/{unit.device_id}/firmware"
    headers = {"idempotency-key": secrets.token_hex(8)}
    body = {"firmware_version": "3.2.0"}
    first = unit.operator.post(path, body, headers=headers, expect=200).data
    assert unit.operator.post(path, body, headers=headers, expect=200).data == first
    body = {"firmware_version": "3.1.0"}
    assert unit.operator.post(path, body, headers=headers, expect=409).code == 4001


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, 1002, "firmware_version"),
        ({"firmware_version": ""}, 1001, "firmware_version"),
        ({"firmware_version": "3.2.0", "allow_downgrade": "yes"}, 1001, "allow_downgrade"),
    ],
)
def test_upgrade__of_another_shape__is_refused(
    unit: Charger, body: dict[str, Any], code: int, field: str
) -> None:
    """What is absent and what is wrong are told apart, by name."""
    path = f"/v1/operator/devices/{unit.device_id}/firmware"
    refused = unit.operator.post(path, body, expect=400)
    assert (refused.code, refused.details["field"]) == (code, field)


def test_rollout__over_two_chargers__passes_its_waves_and_rolls_back(
    tenant: Tenant, model: str
) -> None:
    """One first, then the other; afterwards both go back to what they ran."""
    units = [tenant.charger(model) for _ in range(2)]
    for unit in units:
        unit.send("heartbeat", heartbeat())
    waves = [
        {"count": 1, "success_percent": 100, "max_failure_percent": 0},
        {"success_percent": 100, "max_failure_percent": 0},
    ]
    made = tenant.api.post(ROLLOUTS, plan(*units, waves=waves, name="Spring"), expect=200).data
    rollout_id = made["rollout_id"]
    assert (made["status"], made["wave"], made["counts"]["waiting"]) == ("running", 1, 2)
    wait_for(tenant.api, rollout_id, in_flight=1)
    page = tenant.api.get(f"{ROLLOUTS}/{rollout_id}/devices?wave=1", expect=200).data
    [first] = page["items"]
    by_id = {unit.device_id: unit for unit in units}
    in_order = (first["device_id"], *(by_id.keys() - {first["device_id"]}))
    for upgraded, device_id in enumerate(in_order):
        wait_for(tenant.api, rollout_id, in_flight=1, upgraded=upgraded)
        assert take(by_id[device_id])["params"]["firmware_version"] == "3.2.0"
        say(by_id[device_id], "success")
    done = wait_for(tenant.api, rollout_id, status="completed")
    assert [wave["status"] for wave in done["waves"]] == ["passed", "passed"]
    assert "wave" not in done
    tenant.api.post(f"{ROLLOUTS}/{rollout_id}/rollback", expect=200)
    wait_for(tenant.api, rollout_id, in_flight=2)
    for unit in units:
        assert take(unit)["params"]["firmware_version"] == "3.1.0"
        say(unit, "success", "3.1.0")
    done = wait_for(tenant.api, rollout_id, status="rolled_back", rolled_back=2)
    assert "ended_at" in done
    listed = tenant.api.get(f"{ROLLOUTS}?status=rolled_back", expect=200).data
    assert rollout_id in [item["rollout_id"] for item in listed["items"]]


def test_rollout__that_fails__says_why_it_halted_and_waits_for_a_person(
    tenant: Tenant, unit: Charger
) -> None:
    """The failure is listed with the charger's words; resuming excuses it."""
    made = tenant.api.post(ROLLOUTS, plan(unit), expect=200).data
    path = f"{ROLLOUTS}/{made['rollout_id']}"
    wait_for(tenant.api, made["rollout_id"], in_flight=1)
    take(unit)
    say(unit, "failed", message="bad image")
    halted = wait_for(tenant.api, made["rollout_id"], status="halted")
    assert halted["halted"] == {
        "reason": "max_failure_exceeded", "wave": 1, "failed": 1, "devices": 1,
    }  # fmt: skip
    [failed] = tenant.api.get(f"{path}/devices?status=failed", expect=200).data["items"]
    assert (failed["reason"], failed["message"]) == ("failed", "bad image")
    assert tenant.api.post(f"{path}/pause", expect=409).details == {"status": "halted"}
    tenant.api.post(f"{path}/resume", expect=200)
    done = wait_for(tenant.api, made["rollout_id"], status="completed", excused=1)
    assert "halted" not in done


def test_rollout__paused_and_cancelled__sends_nothing_more(tenant: Tenant, unit: Charger) -> None:
    """A person stops it, and the charger is left alone."""
    made = tenant.api.post(ROLLOUTS, plan(unit), expect=200).data
    path = f"{ROLLOUTS}/{made['rollout_id']}"
    tenant.api.post(f"{path}/pause", expect=200)
    wait_for(tenant.api, made["rollout_id"], status="paused", waiting=1)
    assert unit.send("heartbeat", heartbeat()).data["commands"] == []
    tenant.api.post(f"{path}/cancel", expect=200)
    done = wait_for(tenant.api, made["rollout_id"], status="cancelled", left=1)
    assert "ended_at" in done or wait_for(tenant.api, made["rollout_id"], left=1)["ended_at"]


def test_rollout__same_request_again__is_the_same_rollout(tenant: Tenant, unit: Charger) -> None:
    """Under one key a plan is made once, and a person's word counts once."""
    headers = {"idempotency-key": secrets.token_hex(8)}
    made = tenant.api.post(ROLLOUTS, plan(unit), headers=headers, expect=200).data
    again = tenant.api.post(ROLLOUTS, plan(unit), headers=headers, expect=200).data
    assert again["rollout_id"] == made["rollout_id"]
    path = f"{ROLLOUTS}/{made['rollout_id']}/cancel"
    for _ in range(2):
        assert tenant.api.post(path, headers=headers | {"idempotency-key": "c1"}, expect=200)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"waves": []}, 1001),
        ({"waves": [{"success_percent": 100}]}, 1002),
        ({"waves": [{"success_percent": 0, "max_failure_percent": 0}]}, 1001),
        ({"waves": [{"percent": 0, "success_percent": 9, "max_failure_percent": 0}]}, 1001),
        ({"max_in_flight": 0}, 1001),
        ({"cohort": None}, 1001),
        ({"firmware_version": None}, 1001),
    ],
)
def test_rollout__of_another_shape__is_refused(
    tenant: Tenant, unit: Charger, change: dict[str, Any], code: int
) -> None:
    """A plan that cannot be followed is not stored."""
    assert tenant.api.post(ROLLOUTS, plan(unit, **change), expect=400).code == code


def test_rollout__of_a_version_that_nobody_knows__is_refused(tenant: Tenant, unit: Charger) -> None:
    """Without any release there is nothing to roll out."""
    refused = tenant.api.post(ROLLOUTS, plan(unit, firmware_version="9.9.8"), expect=409)
    assert refused.details["reason"] == "no_release"


def test_rollout__with_anothers_device_or_site__does_not_exist(
    server: RunningServer, tenant: Tenant, unit: Charger
) -> None:
    """One foreign id refuses the whole, and nothing is stored."""
    other = server.create_site(server.create_operator("Other"))
    foreign = server.register().device_id
    before = tenant.api.get(ROLLOUTS, expect=200).data["total"]
    for cohort in ({"site_ids": [other]}, {"device_ids": [unit.device_id, foreign]}):
        assert tenant.api.post(ROLLOUTS, plan(cohort=cohort), expect=404).code == 3001
    assert tenant.api.get(ROLLOUTS, expect=200).data["total"] == before


def test_rollout__for_readers__can_be_seen_and_not_touched(tenant: Tenant, unit: Charger) -> None:
    """Planning and steering need the scope write."""
    made = tenant.api.post(ROLLOUTS, plan(unit), expect=200).data
    reader = tenant.api_with(scopes=("read",))
    reader.get(f"{ROLLOUTS}/{made['rollout_id']}", expect=200)
    assert reader.post(ROLLOUTS, plan(unit), expect=403).code == 2003
    for action in ("pause", "resume", "rollback", "cancel"):
        reader.post(f"{ROLLOUTS}/{made['rollout_id']}/{action}", expect=403)
    tenant.api.post(f"{ROLLOUTS}/{made['rollout_id']}/cancel", expect=200)


def test_rollout__by_those_who_act_on_it__is_in_the_audit_log(
    tenant: Tenant, unit: Charger
) -> None:
    """Who planned and who cancelled is kept, with the request."""
    made = tenant.api.post(ROLLOUTS, plan(unit), expect=200).data
    tenant.api.post(f"{ROLLOUTS}/{made['rollout_id']}/cancel", expect=200)
    query = {"resource_type": "firmware_rollout", "resource_id": made["rollout_id"]}
    log = tenant.admin.get("/v1/admin/audit-log", params=query, expect=200).data["items"]
    by_client = [item["action"] for item in log if item["actor"] == tenant.client.client_id]
    assert by_client == ["firmware_rollout.cancelled", "firmware_rollout.created"]
    assert all(item["request_id"] for item in log if item["actor"] != "platform")
