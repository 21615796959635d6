"""What the matrix asks with: a valid body or query for each operation, and what goes before it."""

import secrets
from collections.abc import Callable
from typing import Any

from tests.contract.client import ContractClient
from tests.reliability.tenant_agents import VERDICT
from tests.reliability.tenant_alerts import HOOK
from tests.reliability.tenant_config import CONFIG_BODIES, assign_first
from tests.reliability.tenant_consents import REVOCATION, consent_body
from tests.reliability.tenant_firmware import NEWER, RUNNING, release_body, rollout_body
from tests.reliability.tenant_peers import POINT, WORK, start_body
from tests.reliability.tenant_portal import PORTAL_BODIES
from tests.reliability.tenant_records import record_body
from tests.reliability.tenant_runbooks import make_room, run_body
from tests.reliability.tenant_transfers import TRANSFER_BODIES
from tests.reliability.tenants import now_text

Fill = Callable[[str], str]

_SAMPLE = {
    "connector_id": 1,
    "state": "idle",
    "voltage": 230.0,
    "current": 0.0,
    "power": 0.0,
    "energy_delivered": 0.0,
}


def _sample() -> dict[str, Any]:
    return {"timestamp": now_text(), **_SAMPLE}


def _event() -> dict[str, Any]:
    return {"timestamp": now_text(), "event_type": "plug_in", "data": {}, "connector_id": 1}


def _record() -> dict[str, Any]:
    return record_body(f"rec-{secrets.token_hex(8)}")


def _heartbeat() -> dict[str, Any]:
    return {"timestamp": now_text(), "status": "online", "fault_code": 0}


BODIES: dict[str, Callable[[Fill], Any]] = {
    "sendHeartbeat": lambda _: _heartbeat(),
    "uploadTelemetry": lambda _: _sample(),
    "uploadTelemetryBatch": lambda _: {"items": [_sample()]},
    "reportEvent": lambda _: _event(),
    "reportEventBatch": lambda _: {"items": [_event()]},
    "uploadChargingRecord": lambda _: _record(),
    "uploadChargingRecordBatch": lambda _: {"items": [_record()]},
    "reportCommandStatus": lambda fill: {
        "command_id": fill("command_id"),
        "status": "accepted",
        "timestamp": now_text(),
    },
    "reportFirmwareStatus": lambda _: {"firmware_version": "3.2.0", "status": "downloading"},
    "startCharging": lambda _: {"charge_power": 11},
    "stopCharging": lambda _: {"reason": "user_request"},
    "setSchedule": lambda _: {
        "schedule_id": "nightly",
        "enabled": True,
        "type": "daily",
        "time_slots": [{"start": "22:00", "end": "06:00", "action": "charge"}],
    },
    "startDischarging": lambda _: {"discharge_power": 5},
    "controlFlexibility": lambda fill: {
        "target_type": "site",
        "target_ids": [fill("site_id")],
        "command": "set_power_limit",
        "params": {"power_limit_percent": 50, "duration": 60},
    },
    "startRunbookRun": lambda fill: run_body(fill("device_id")),
    "answerRunbookStep": lambda _: {"outcome": "passed", "answered_by": "The matrix"},
    "judgeProposal": lambda _: VERDICT,
    "changeAlert": lambda _: {"note": "Seen"},
    "createWebhook": lambda _: HOOK,
    "updateWebhook": lambda _: {"name": "Spare"},
    "rotateWebhookSecret": lambda _: {"overlap_seconds": 60},
    "requestDiagnostics": lambda _: {"note": "The matrix asks"},
    "issueDiagnosticCommand": lambda _: {"command": "reboot"},
    "upgradeFirmware": lambda _: {"firmware_version": NEWER, "wait_for_idle": True},
    # What runs already: nobody is sent anything, and no device is claimed for the next one.
    "createRollout": lambda fill: rollout_body(RUNNING, fill("device_id")),
    "addRelease": lambda _: release_body(NEWER, f"M-{secrets.token_hex(8)}"),
    "changeRelease": lambda _: {"notes": "Another"},
    "legacyQueryStationInfo": lambda _: {"PageSize": 100},
    "legacyQueryStationStatus": lambda _: ["Test001"],
    "legacyNotifyStationStatus": lambda _: POINT,
    "legacyNotifyWorkStatus": lambda _: WORK,
    "legacyStartCharging": lambda fill: start_body(fill("device_id")),
    "legacyStartDischarging": lambda fill: start_body(fill("device_id")),
    "legacyStopCharging": lambda fill: {"ChargePointId": fill("device_id"), "ConnectorId": 2},
    "legacyStopDischarging": lambda fill: {"ChargePointId": fill("device_id"), "ConnectorId": 2},
    "createPeer": lambda fill: {"operator_id": fill("operator_id"), "name": "Another"},
    "updatePeer": lambda _: {"name": "Renamed"},
    "shareWithPeer": lambda fill: {"site_id": fill("site_id")},
    "createOperator": lambda _: {"name": "Another"},
    "createClient": lambda fill: {"operator_id": fill("operator_id"), "scopes": ["read"]},
    "updateClient": lambda _: {"name": "Renamed"},
    "rotateClientSecret": lambda _: {"overlap_s": 60},
    "createServiceAccount": lambda _: {"name": "Another", "scopes": ["org:write"]},
    "rotateServiceAccountSecret": lambda _: {"revoke_tokens": False},
    "rotateSigningKey": lambda _: {"revoke_tokens": False},
    "createSite": lambda fill: {"operator_id": fill("operator_id"), "name": "Another"},
    "updateSite": lambda _: {"name": "Renamed"},
    "provisionDevice": lambda fill: {
        "sn": f"SN-{secrets.token_hex(8)}",
        "site_id": fill("site_id"),
    },
    "updateDevice": lambda fill: {"site_id": fill("site_id")},
    "eraseVehicle": lambda fill: {
        "operator_id": fill("operator_id"),
        "vin": "WVWZZZ1JZXW000001",
    },
    "exportSubject": lambda fill: {
        "operator_id": fill("operator_id"),
        "vin": "WVWZZZ1JZXW000001",
    },
    "grantConsent": consent_body,
    "revokeConsent": lambda _: REVOCATION,
    "openReclaim": lambda _: {"window_s": 60},
    **CONFIG_BODIES,
    **PORTAL_BODIES,
    **TRANSFER_BODIES,
}
"""A valid body for each operation that takes one; `fill` gives the id of what it names."""

QUERIES: dict[str, dict[str, Any]] = {
    "fetchCommand": {"connector_id": 1, "wait": 1},
    "deleteSchedule": {"schedule_id": "nightly"},
    "subscribeTelemetry": {"devices": "dvc_1"},
    "listComponentHealthHistory": {"metric": "cooling_fan_rpm"},
    "getAggregatedEnergy": {
        "granularity": "day",
        "start_time": "2026-03-01T00:00:00Z",
        "end_time": "2026-03-08T00:00:00Z",
        "group_by": "site",
    },
}
"""A query for each operation that cannot do without one."""

NAMED: dict[str, str] = {"listMeterValues": "device_id"}
"""The kind of resource that the query of an operation has to name, unless it names another."""

FIRST: dict[str, tuple[str, str]] = {
    "deleteSchedule": ("setSchedule", ""),
    "resumeRollout": ("pauseRollout", "pause"),
}
"""What has to be done before an operation can succeed once more.

That is another one on the same path, or with another last word on it.
"""


def prepare(owner: ContractClient, operation_id: str, path: str, fill: Fill) -> None:
    """Do what has to go before an operation on a path, if anything."""
    if operation_id == "startRunbookRun":
        make_room(owner, fill("device_id"))
    if operation_id == "applyConfigProfile":
        assign_first(owner, path)
    if operation_id not in FIRST:
        return
    first, last_word = FIRST[operation_id]
    if last_word:
        path = path.rpartition("/")[0] + "/" + last_word
    owner.post(path, BODIES[first](fill) if first in BODIES else None, expect=200)
