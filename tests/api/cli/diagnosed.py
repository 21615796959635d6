"""Something of everything that diagnostics, agents and coexistence keep."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from tellus.agents.model import AgentName
from tests.api.cli.console import wait_until
from tests.api.consent.agreements import grant
from tests.api.tenancy import Charger, Tenant, event, heartbeat
from tests.reliability.tenant_agents import add_proposal
from tests.reliability.tenant_alerts import HOOK, WEBHOOKS
from tests.reliability.tenant_config import vehicle_body
from tests.reliability.tenant_runbooks import PHOTO, PHOTO_HEADERS

RUNBOOK = "charger-faulting-on-power-up"


def diagnose(tenant: Tenant, charger: Charger) -> list[str]:
    """Let a charger have a fault, and deal with it; return what there is to read."""
    api, device = tenant.api, f"/v1/operator/devices/{charger.device_id}"
    grant(tenant, operator_id=tenant.operator_id)
    vehicles = "/v1/operator/v2g-vehicles"
    api.post(vehicles, vehicle_body(), expect=200)
    profile_path = _configure(tenant, charger)
    hook = api.post(WEBHOOKS, HOOK | {"active": True}, expect=200).data["webhook_id"]
    charger.send("events", event(event_type="fault", data={"fault_code": 421}))
    lists = f"/v1/operator/alerts?device_id={charger.device_id}"
    wait_until(lambda: api.get(lists, expect=200).data["items"], "the alert")
    alert_id = api.get(lists, expect=200).data["items"][0]["alert_id"]
    alert = f"/v1/operator/alerts/{alert_id}"
    api.patch(alert, {"note": "Seen"}, expect=200)
    runs = f"/v1/operator/runbooks/{RUNBOOK}/runs"
    body = {"device_id": charger.device_id, "alert_id": alert_id}
    run = f"{runs}/{api.post(runs, body, expect=200).data['run_id']}"
    api.raw("POST", f"{run}/photos", PHOTO, headers=PHOTO_HEADERS, expect=200)
    # Nothing is sent to it any more, so that nothing changes from now on.
    api.patch(f"{WEBHOOKS}/{hook}", {"active": False}, expect=200)
    return [
        *(alert, lists, run, profile_path, vehicles, WEBHOOKS),
        f"{device}/config-profile",
        f"{device}/component-health",
        "/v1/operator/agents/anomaly_hunter/proposals",
    ]


def _configure(tenant: Tenant, charger: Charger) -> str:
    """Assign a profile that a charger then says it runs; return where to read it."""
    body = {"name": "Depot", "values": {"heartbeat_s": 30}}
    made = tenant.api.post("/v1/operator/config-profiles", body, expect=200).data
    profile_id = made["config_profile_id"]
    assigned = f"/v1/operator/devices/{charger.device_id}/config-profile"
    tenant.api.put(assigned, {"config_profile_id": profile_id}, expect=200)
    said: dict[str, Any] = {
        "config_profile_id": profile_id,
        "running_config_hash": made["running_config_hash"],
    }
    said["connectivity"] = {"signal_strength_dbm": -71}
    charger.send("heartbeat", heartbeat(**said))
    return f"/v1/operator/config-profiles/{profile_id}"


def let_time_pass(data_dir: Path, charger: Charger) -> None:
    """Write into a store that nobody uses what agents and customers make of months."""
    add_proposal(data_dir, charger.device_id)
    now_ms = time.time_ns() // 1_000_000  # so that no agent looks again for an hour
    with closing(sqlite3.connect(data_dir / "tellus.db")) as store, store:
        store.executemany(
            "INSERT OR REPLACE INTO agent_turns VALUES (?, ?, 1, 1)",
            [(agent.value, now_ms) for agent in AgentName],
        )
        store.execute(
            "INSERT INTO agent_wear SELECT device_no, 1, 'contactor', 30.5, 'Worn', 1"
            " FROM devices WHERE device_id = ?",
            (charger.device_id,),
        )
        store.execute(
            "INSERT INTO former_sites SELECT device_no, 1, site_id FROM devices"
            " WHERE device_id = ?",
            (charger.device_id,),
        )
        store.execute(
            "INSERT INTO customer_requests (request_id, kind, operator_id, customer, device_no,"
            " device_id, services, status, created_ms, created_by)"
            " SELECT 'creq_1', 'erasure', operator_id, 'Customer', device_no, device_id, 0,"
            " 'refused', 1, 'cli_1' FROM devices WHERE device_id = ?",
            (charger.device_id,),
        )
