"""Consent is switched off while a charger talks: nothing more is stored, delivered or shown."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.api.consent.agreements import SERVICES, charger_of, grant, revoke
from tests.api.consent.conftest import REQUIRED
from tests.api.tenancy import Charger, Tenant, event, heartbeat, new_tenant, record, sample
from tests.contract.client import ContractClient
from tests.contract.stream import open_stream
from tests.databases import query
from tests.reliability.node_group import until
from tests.reliability.tenant_peers import NOWHERE, add_peer, share_site, token_of
from tests.server import Device, RunningServer, start_server

TABLES = ("samples", "events", "charging_records", "command_reports", "firmware_upgrades")


def rows_of(server: RunningServer, charger: Charger) -> dict[str, int]:
    """How many rows each table of facts holds of a device."""
    number = f"(SELECT device_no FROM devices WHERE device_id = '{charger.device_id}')"
    found = {}
    for table in TABLES:
        where = f"device_no = {number}"
        if table == "command_reports":
            where = f"command_id IN (SELECT command_id FROM commands WHERE {where})"
        found[table] = query(server.data_dir, f"SELECT count(*) FROM {table} WHERE {where}")[0][0]
    return found


def commands_of(server: RunningServer, charger: Charger) -> list[tuple[str, str, int]]:
    """Name, phase and number of deliveries of a device's commands."""
    wanted = f"device_id = '{charger.device_id}'"
    sql = f"SELECT command, phase, deliveries FROM commands WHERE {wanted} ORDER BY command_no"
    return [(row[0], row[1], row[2]) for row in query(server.data_dir, sql)]


@contextmanager
def talking(base_url: str, token: str) -> Iterator[list[int]]:
    """A charger that goes on uploading; the block is given the statuses of its answers."""
    statuses: list[int] = []
    over = threading.Event()

    def talk() -> None:
        with ContractClient(base_url) as contract:
            api = contract.device(token)
            while not over.is_set():
                for path, body in (
                    ("telemetry", sample()),
                    ("telemetry/batch", {"items": [sample(connector_id=2)]}),
                    ("events", event()),
                    ("charging-records", record()),
                ):
                    statuses.append(api.post(f"/v1/device/{path}", body).status)

    threads = [threading.Thread(target=talk) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        over.set()
        for thread in threads:
            thread.join(10)


def queue_commands(tenant: Tenant, charger: Charger) -> None:
    """Queue a command of each service but firmware."""
    device = f"/v1/operator/devices/{charger.device_id}"
    for path, body in (
        ("connectors/1/start", {"charge_power": 11.0}),
        ("connectors/2/discharge", {"discharge_power": 5.0}),
        ("commands", {"command": "reboot"}),
    ):
        tenant.api.post(f"{device}/{path}", body, expect=200)


def switch_off(tenant: Tenant) -> None:
    """Revoke the consent for a charger that talks, and find that nothing more comes of it."""
    server = tenant.server
    charger = charger_of(tenant, model="TP-DC180-V2G")
    consent = grant(tenant, device_id=charger.device_id)
    charger.send("telemetry", sample(connector_id=2))
    queue_commands(tenant, charger)
    with talking(server.base_url, charger.token) as statuses:
        while statuses.count(200) < 40:
            time.sleep(0.01)
        revoke(tenant, consent)
        names = ("start_charging", "discharge", "reboot")
        cancelled = [(name, "lapsed", 0) for name in names]
        assert commands_of(server, charger) == cancelled
        before = rows_of(server, charger)
        fresh = server.device_token(
            Device(charger.device_id, charger.device_secret, "", charger.sn)
        )
        with talking(server.base_url, fresh) as refused:
            time.sleep(0.5)
    assert set(refused) == {403}
    assert statuses[-1] == 401
    assert rows_of(server, charger) == before
    assert before["samples"] > 0
    api = tenant.contract.device(fresh)
    assert api.post("/v1/device/heartbeat", heartbeat(), expect=200).data == {"commands": []}
    asked = {"connector_id": 1, "wait": 1}
    assert api.get("/v1/device/commands", params=asked, expect=200).data is None
    assert commands_of(server, charger) == cancelled
    grant(tenant, device_id=charger.device_id)
    assert len(charger.samples(connector_id=2, size=100)) > 0


def test_switching_off__while_the_charger_talks__leaves_no_row_and_no_command(
    tenant: Tenant,
) -> None:
    """Once the revocation is answered: 0 rows, 0 commands, tokens void; history is kept."""
    switch_off(tenant)


PLANTED = {
    "permits that are never judged again": """
from tellus.kernel.permits import Permit
Permit.void = lambda self: None
""",
    "commands that are not cancelled": """
from tellus import building
building.cancel_commands = lambda tx, withdrawn: None
""",
    "tokens that live on": """
from tellus.identity import store
store.raise_device_generations = lambda tx, device_nos: None
""",
}


@pytest.mark.parametrize("source", PLANTED.values(), ids=PLANTED)
def test_switching_off__platform_with_a_fault__is_caught(tmp_path: Path, source: str) -> None:
    """The test above tells a platform that does not do what it says."""
    planted = tmp_path / "planted"
    planted.mkdir()
    (planted / "sitecustomize.py").write_text(source)
    environment = REQUIRED | {"PYTHONPATH": str(planted)}
    server = start_server(tmp_path / "data", environment=environment)
    try:
        with ContractClient(server.base_url) as contract, pytest.raises(AssertionError):
            switch_off(new_tenant(server, contract))
    finally:
        server.stop()


def test_switching_off__one_of_two_services__ends_that_one_alone(
    tenant: Tenant, strict_server: RunningServer
) -> None:
    """The token lives on, the other service works, and its commands are delivered."""
    charger = charger_of(tenant, model="TP-DC180-V2G")
    steering = grant(tenant, "flexibility", "v2g_dispatch", device_id=charger.device_id)
    grant(tenant, "diagnostics", device_id=charger.device_id)
    queue_commands(tenant, charger)
    revoke(tenant, steering)
    charger.send("telemetry", sample())
    (item,) = charger.send("heartbeat", heartbeat()).data["commands"]
    assert item["command"] == "reboot"
    phases = [phase for _, phase, _ in commands_of(strict_server, charger)]
    assert phases == ["lapsed", "lapsed", "queued"]
    listed = tenant.api.get("/v1/operator/commands", expect=200).data["items"]
    reasons = [one.get("result", {}).get("no_consent") for one in reversed(listed)]
    assert reasons == ["flexibility", "v2g_dispatch", None]


def test_switching_off__device_of_an_open_stream__sends_no_frame_more(tenant: Tenant) -> None:
    """The other device goes on; when none is left the stream is closed, and refused anew."""
    first, second = charger_of(tenant), charger_of(tenant)
    consents = [grant(tenant, device_id=one.device_id) for one in (first, second)]
    ids = [first.device_id, second.device_id]
    with open_stream(tenant.server.base_url, ids, tenant.client.token) as stream:
        assert {stream.read()["device_id"] for _ in ids} == set(ids)
        revoke(tenant, consents[0])
        second.send("telemetry", sample())
        assert stream.read()["device_id"] == second.device_id
        revoke(tenant, consents[1])
        assert stream.closing() == (4403, "2003")


def test_detail__of_a_device__tells_what_is_agreed_to_and_what_it_needs(tenant: Tenant) -> None:
    """Without diagnostics no connector and no event is shown; old firmware says what it takes."""
    charger = charger_of(tenant)
    seen = charger.seen()
    assert (seen["consent"], seen["connectors"]) == ({"state": "none", "services": []}, [])
    assert "needs_firmware" not in seen
    grant(tenant, device_id=charger.device_id)
    charger.send("events", event())
    path = f"/v1/operator/devices/{charger.device_id}?include=events"
    full: dict[str, Any] = tenant.api.get(path, expect=200).data
    assert full["consent"] == {"state": "full", "services": list(SERVICES)}
    assert len(full["connectors"]) == 2
    assert len(full["events"]) == 1
    old = charger_of(tenant, "3.1.0")
    grant(tenant, site_id=tenant.site_id)
    seen = old.seen()
    assert seen["needs_firmware"] == "260420.0107"
    assert seen["consent"] == {"state": "partial", "services": ["firmware"]}


def test_gate__semantic_version_of_a_known_build__is_past_it(tenant: Tenant) -> None:
    """The release catalogue says which dated build a version is; the permit follows at once."""
    old = charger_of(tenant, "3.7.0", model="TP-AC22")
    assert grant(tenant, device_id=old.device_id, expect=409).details["needs_firmware"]
    release = {
        "models": ["TP-AC22"],
        "firmware_version": "3.7.0",
        "platform_build": "260420.0107",
        "url": "https://firmware.example/3.7.0.bin",
        "sha256": "ab" * 32,
        "size": 1_000,
    }
    tenant.admin.post("/v1/admin/firmware/releases", release, expect=200)
    assert "needs_firmware" not in old.seen()
    grant(tenant, "diagnostics", device_id=old.device_id)
    old.send("telemetry", sample())


def test_gate__old_device_agreed_to_for_firmware__takes_part_in_a_rollout(tenant: Tenant) -> None:
    """It gets the upgrade that it needs; a device that is not agreed to is skipped."""
    model = "TP-DC120"
    old, other = (charger_of(tenant, "260420.0106", model=model) for _ in range(2))
    for version in ("260420.0106", "260420.0107"):
        release = {
            "models": [model],
            "firmware_version": version,
            "url": f"https://firmware.example/{version}.bin",
            "sha256": "ab" * 32,
            "size": 1_000,
        }
        tenant.admin.post("/v1/admin/firmware/releases", release, expect=200)
    grant(tenant, "firmware", device_id=old.device_id)
    plan = {
        "firmware_version": old.seen()["needs_firmware"],
        "cohort": {"device_ids": [old.device_id, other.device_id]},
        "waves": [{"success_percent": 100, "max_failure_percent": 0}],
    }
    rollout = tenant.api.post("/v1/operator/firmware/rollouts", plan, expect=200).data
    assert rollout["counts"]["skipped"] == 1
    until(
        lambda: (
            bool(heard := old.send("heartbeat", heartbeat()).data["commands"])
            and (heard[0]["command"] == "firmware_upgrade")
        ),
        5.0,
    )
    old.send("firmware/status", {"firmware_version": "260420.0107", "status": "success"})
    grant(tenant, device_id=old.device_id)
    old.send("telemetry", sample())


def test_switching_off__device_of_a_rollout__shows_no_more_what_it_said(tenant: Tenant) -> None:
    """That it took part is the operator's own order; what the charger said of it is not."""
    model = "TP-DC240"
    charger = charger_of(tenant, "260420.0108", model=model)
    release = {
        "models": [model],
        "firmware_version": "260420.0109",
        "url": "https://firmware.example/260420.0109.bin",
        "sha256": "ab" * 32,
        "size": 1_000,
    }
    tenant.admin.post("/v1/admin/firmware/releases", release, expect=200)
    consent = grant(tenant, device_id=charger.device_id)
    plan = {
        "firmware_version": "260420.0109",
        "cohort": {"device_ids": [charger.device_id]},
        "waves": [{"success_percent": 100, "max_failure_percent": 0}],
    }
    rollout = tenant.api.post("/v1/operator/firmware/rollouts", plan, expect=200).data
    until(lambda: bool(charger.send("heartbeat", heartbeat()).data["commands"]), 5.0)
    said = {"firmware_version": "260420.0109", "status": "failed", "message": "Flash is worn"}
    charger.send("firmware/status", said)
    path = f"/v1/operator/firmware/rollouts/{rollout['rollout_id']}/devices"

    def message() -> str | None:
        (item,) = tenant.api.get(path, expect=200).data["items"]
        found: str | None = item.get("message")
        return found

    until(lambda: message() == "Flash is worn", 10.0)
    revoke(tenant, consent)
    assert message() is None


def test_switching_off__statuses_that_a_peer_is_owed__are_not_sent(tenant: Tenant) -> None:
    """The charger is gone for the peer, and what waited to be told of it is cancelled."""
    charger = charger_of(tenant)
    consent = grant(tenant, device_id=charger.device_id)
    peer_id, secret = add_peer(tenant.admin, tenant.operator_id, push_url=NOWHERE)
    share_site(tenant.admin, peer_id, tenant.site_id)
    peer = tenant.contract.bearer(token_of(tenant.contract, peer_id, secret), "peer")

    def states() -> list[str]:
        query = {"peer_id": peer_id, "size": 100}
        pushes = tenant.admin.get("/v1/admin/pushes", params=query, expect=200).data["items"]
        return [push["state"] for push in pushes]

    charger.send("telemetry", sample())
    until(lambda: "waiting" in states(), 5.0)
    revoke(tenant, consent)
    assert "waiting" not in states()
    assert "cancelled" in states()
    asked = [charger.device_id]
    path = "/v1/cp/query_station_status"
    assert peer.put(path, asked, expect=200).json == []
