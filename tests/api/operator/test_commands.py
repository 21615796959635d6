"""Control over the wire: discharge, diagnostic commands, lists, cancelling, repeating."""

import secrets
from pathlib import Path

import pytest

from tests.api.tenancy import Charger, Tenant, heartbeat, moment, new_tenant, sample
from tests.contract.client import ContractClient
from tests.server import running_server

BOTH = ("read", "write", "diagnostics")


def path_of(charger: Charger, action: str, connector_id: int = 1) -> str:
    """The path of an action of a connector."""
    return f"/v1/operator/devices/{charger.device_id}/connectors/{connector_id}/{action}"


def report(charger: Charger, command_id: str, status: str) -> None:
    """Let the charger say what became of a command."""
    said = {"command_id": command_id, "status": status, "timestamp": moment()}
    charger.send("command-status", said)


def test_discharge__bidirectional_charger__is_delivered_and_ends(tenant: Tenant) -> None:
    """From the operator's call over the heartbeat to the end that the charger tells."""
    charger = tenant.charger(model="TP-DC180-V2G")
    body = {"discharge_power": 20, "min_soc": 30}
    issued = tenant.api.post(path_of(charger, "discharge"), body, expect=200).data
    (item,) = charger.send("heartbeat", heartbeat()).data["commands"]
    assert (item["command_id"], item["command"]) == (issued["command_id"], "discharge")
    assert item["params"] == {"connector_id": 1, "discharge_power": 20, "min_soc": 30}
    report(charger, issued["command_id"], "completed")
    shown = tenant.api.get(f"/v1/operator/commands/{issued['command_id']}", expect=200).data
    assert shown["status"] == "completed"


def test_discharge__what_is_wrong__is_told_in_the_order_of_checks(tenant: Tenant) -> None:
    """Shape before ownership before hardware, each with its code."""
    charger = tenant.charger()
    url = path_of(charger, "discharge")
    tenant.api.post(url, {}, expect=400, code=1002)
    tenant.api.post(url, {"discharge_power": -1}, expect=400, code=1001)
    body = {"discharge_power": 1}
    tenant.api.post(path_of(charger, "discharge", 9), body, expect=404, code=3001)
    refused = tenant.api.post(url, body, expect=409, code=4001)
    assert refused.json["details"] == {"reason": "not_v2g_capable", "model": "TP-DC180"}


def test_start__connector_that_discharges__is_a_conflict(tenant: Tenant, charger: Charger) -> None:
    """What the newest sample says decides; the other connector is free."""
    charger.send("telemetry", sample(state="charging"))
    tenant.api.post(path_of(charger, "start"), expect=200)
    charger.send("telemetry", sample(state="discharging", power=-5.0))
    refused = tenant.api.post(path_of(charger, "start"), expect=409, code=4001)
    assert refused.json["details"]["reason"] == "conflicting_session"
    tenant.api.post(path_of(charger, "start", 2), expect=200)
    tenant.api.post(path_of(charger, "stop"), expect=200)


def test_list__filters__are_those_of_the_document(tenant: Tenant, charger: Charger) -> None:
    """A device's commands, newest first, and by what became of them."""
    first = tenant.api.post(path_of(charger, "start"), expect=200).data["command_id"]
    second = tenant.api.post(path_of(charger, "start", 2), expect=200).data["command_id"]
    report(charger, first, "accepted")
    url = "/v1/operator/commands"

    def find(**query: object) -> list[str]:
        asked = {"device_id": charger.device_id} | query
        data = tenant.api.get(url, params=asked, expect=200).data
        return [item["command_id"] for item in data["items"]]

    assert find() == [second, first]
    assert find(connector_id=1) == [first]
    assert find(status="accepted") == [first]
    assert find(command="stop_charging") == []
    assert find(start_time=moment(3600), end_time=moment(1800)) == []
    assert find(size=1, page=2) == [first]
    tenant.api.get(url, params={"status": "lapsed"}, expect=400, code=1001)
    tenant.api.get(url, params={"connector_id": 0}, expect=400, code=1001)
    tenant.api.get(url, params={"device_id": "dvc_unknown"}, expect=404, code=3001)


def test_cancel__queued_then_again__works_once(tenant: Tenant, charger: Charger) -> None:
    """The charger never sees a cancelled command; what is over cannot be cancelled."""
    issued = tenant.api.post(path_of(charger, "start"), expect=200).data["command_id"]
    url = f"/v1/operator/commands/{issued}"
    tenant.api_with(scopes=("read",)).delete(url, expect=403, code=2003)
    cancelled = tenant.api.delete(url, expect=200).data
    assert (cancelled["status"], cancelled["result"]) == ("failed", {"reason": "cancelled"})
    assert charger.send("heartbeat", heartbeat()).data["commands"] == []
    tenant.api.delete(url, expect=409, code=4001)
    tenant.api.delete("/v1/operator/commands/cmd_unknown", expect=404, code=3001)


def test_diagnostics__medium_risk__needs_scope_and_confirmation(
    tenant: Tenant, charger: Charger
) -> None:
    """A separate scope, a plain yes, nobody mid-session; then it is done."""
    url = f"/v1/operator/devices/{charger.device_id}/commands"
    tenant.api.post(url, {"command": "reboot"}, expect=200)
    body = {"command": "unlock_connector", "connector_id": 1}
    denied = tenant.api.post(url, body | {"confirm": True}, expect=403, code=2003)
    assert denied.json["details"] == {"scope": "diagnostics"}
    allowed = tenant.api_with(scopes=BOTH)
    missing = allowed.post(url, body, expect=400, code=1002)
    assert missing.json["details"]["field"] == "confirm"
    charger.send("telemetry", sample(connector_id=2))
    allowed.post(url, body | {"confirm": True}, expect=409, code=4001)
    charger.send("telemetry", sample(connector_id=2, state="idle"))
    allowed.post(url, body | {"confirm": True}, expect=200)
    names = [item["command"] for item in charger.send("heartbeat", heartbeat()).data["commands"]]
    assert names == ["reboot", "unlock_connector"]


def test_commands__of_all_kinds__are_in_the_audit_log_once(
    tenant: Tenant, charger: Charger
) -> None:
    """Who told a charger what is on record; a repeat, and what was refused, is not."""
    device = f"/v1/operator/devices/{charger.device_id}"
    tenant.api.post(f"{device}/commands", {"command": "reboot"}, expect=200)
    tenant.api.post(f"{device}/connectors/9/stop", {}, expect=404)
    start = tenant.api.post(
        f"{device}/connectors/1/start", {"transaction_id": "tx-audited"}, expect=200
    )
    tenant.api.post(f"{device}/connectors/1/start", {"transaction_id": "tx-audited"}, expect=200)
    tenant.api.post(f"{device}/connectors/1/stop", {}, expect=200)
    plan = {
        "schedule_id": "audited", "enabled": True, "type": "daily",
        "time_slots": [{"start": "01:00", "end": "05:00", "action": "charge"}],
    }  # fmt: skip
    tenant.api.post(f"{device}/connectors/1/schedule", plan, expect=200)
    query = {"action": "execute_command", "resource_id": charger.device_id}
    entries = tenant.api.get("/v1/operator/audit-logs", params=query, expect=200).data["items"]
    told = [(one["event"], one["details"]["command"]) for one in reversed(entries)]
    assert told == [
        ("device.command_issued", name)
        for name in ("reboot", "start_charging", "stop_charging", "set_schedule")
    ]
    assert entries[2]["details"]["command_id"] == start.data["command_id"]
    assert len({one["actor"] for one in entries}) == 1
    assert entries[0]["actor"].startswith("cli_")


@pytest.mark.parametrize("scopes", [("diagnostics",), ("read", "diagnostics")])
def test_diagnostics__scope_alone__is_not_enough(
    tenant: Tenant, charger: Charger, scopes: tuple[str, ...]
) -> None:
    """The scope adds to writing, it does not stand for it."""
    url = f"/v1/operator/devices/{charger.device_id}/commands"
    tenant.api_with(scopes=scopes).post(url, {"command": "reboot"}, expect=403, code=2003)


def test_key__repeated_call__happens_once(tenant: Tenant, charger: Charger) -> None:
    """The same key and body is the same answer, another body 4001, a malformed key 1001."""
    url, headers = path_of(charger, "start"), {"idempotency-key": secrets.token_hex(8)}
    first = tenant.api.post(url, {"charge_power": 7}, headers=headers, expect=200)
    charger.send("telemetry", sample(state="charging"))
    assert tenant.api.post(url, {"charge_power": 7}, headers=headers, expect=200).data == first.data
    tenant.api.post(url, {"charge_power": 8}, headers=headers, expect=409, code=4001)
    for key in ("", "with blank", "x" * 256):
        refused = tenant.api.post(url, headers={"idempotency-key": key}, expect=400, code=1001)
        assert refused.json["details"] == {"field": "Idempotency-Key"}


def test_key__after_a_restart__is_still_known(tmp_path: Path) -> None:
    """The first answer comes from the store: it outlives the process that gave it."""
    answers = []
    charger_id, token = "", ""
    for _ in range(2):
        with running_server(tmp_path) as server, ContractClient(server.base_url) as contract:
            if not token:
                tenant = new_tenant(server, contract)
                charger_id, token = tenant.charger().device_id, tenant.client.token
            url = f"/v1/operator/devices/{charger_id}/connectors/1/start"
            headers = {"idempotency-key": "the-same"}
            api = contract.operator(token)
            answers.append(api.post(url, headers=headers, expect=200).data)
            page = api.get("/v1/operator/commands", expect=200).data
            assert page["total"] == 1
    assert answers[0] == answers[1]
