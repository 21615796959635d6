"""Consent on several nodes, and over a restart."""

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.consent.agreements import CONSENTS, GATE, SERVICES
from tests.api.tenancy import heartbeat, sample
from tests.databases import postgres_server
from tests.reliability.node_group import node_group, skewed, until
from tests.server import Device, RunningServer, start_server

REQUIRED = {"TELLUS_CONSENT__REQUIRED": "true"}
TELEMETRY = "/v1/device/telemetry"
HEARTBEAT = "/v1/device/heartbeat"
WITHIN_S = 1.0
"""How long another node may let through what was revoked."""


def send(port: int, device: Device, path: str, body: dict[str, Any]) -> int:
    """Send something to the node at a port; return the status."""
    headers = {"authorization": f"Bearer {device.token}"}
    answer = httpx.post(f"http://127.0.0.1:{port}{path}", json=body, headers=headers)
    return answer.status_code


def grant(server: RunningServer, device: Device, *services: str) -> str:
    """Grant consent for a device; return its id."""
    body = {
        "device_id": device.device_id,
        "services": list(services or SERVICES),
        "granted_by": "Owner",
    }
    consent_id: str = server.admin("POST", CONSENTS, body)["consent_id"]
    return consent_id


@pytest.mark.slow
def test_nodes__consent_granted_and_revoked_on_one__follow_within_a_second(
    tmp_path: Path,
) -> None:
    """Another node takes data, refuses it, and lets no token live, within a second of the first."""
    url = postgres_server().make_database()
    with node_group(tmp_path, url, skewed([0, 0]), **REQUIRED) as group:
        server = group.administration
        here = int(server.base_url.rpartition(":")[2])
        there = next(port for port in group.ports if port != here)
        device = server.register(firmware_version=GATE)
        until(lambda: send(there, device, HEARTBEAT, heartbeat()) == 200, 5.0)
        assert send(there, device, TELEMETRY, sample()) == 403
        steering = grant(server, device, "flexibility")
        consent_id = grant(server, device, "diagnostics")
        until(lambda: send(there, device, TELEMETRY, sample()) == 200, WITHIN_S)
        server.admin("POST", f"{CONSENTS}/{consent_id}/revoke", {})
        until(lambda: send(there, device, TELEMETRY, sample()) == 403, WITHIN_S)
        server.admin("POST", f"{CONSENTS}/{steering}/revoke", {})
        until(lambda: send(there, device, HEARTBEAT, heartbeat()) == 401, WITHIN_S)


def test_restart__consents_of_all_states__hold_as_before(tmp_path: Path) -> None:
    """What was agreed to still is, what was revoked is not, and old tokens stay void."""
    first = start_server(tmp_path / "data", environment=REQUIRED)
    agreed, revoked = (first.register(firmware_version=GATE) for _ in range(2))
    grant(first, agreed, "diagnostics")
    consent_id = grant(first, revoked)
    first.admin("POST", f"{CONSENTS}/{consent_id}/revoke", {})
    first.kill()
    second = start_server(tmp_path / "data", environment=REQUIRED)
    try:
        port = int(second.base_url.rpartition(":")[2])
        assert send(port, agreed, TELEMETRY, sample()) == 200
        assert send(port, revoked, HEARTBEAT, heartbeat()) == 401
        revoked.token = second.device_token(revoked)
        assert send(port, revoked, HEARTBEAT, heartbeat()) == 200
        assert send(port, revoked, TELEMETRY, sample()) == 403
        listed = second.admin("GET", f"{CONSENTS}?device_id={revoked.device_id}")["items"]
        assert [one["state"] for one in listed] == ["revoked"]
    finally:
        assert second.stop() == 0


def test_expiry__while_the_server_was_down__is_made_up_for(tmp_path: Path) -> None:
    """A consent that ran out meanwhile refuses at once, and its tokens are void soon after."""
    first = start_server(tmp_path / "data", environment=REQUIRED)
    device = first.register(firmware_version=GATE)
    ends_s = time.time() + 1.5
    body = {
        "device_id": device.device_id,
        "services": list(SERVICES),
        "granted_by": "Owner",
        "to": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends_s + 1)),
    }
    first.admin("POST", CONSENTS, body)
    first.kill()
    time.sleep(max(0.0, ends_s + 1 - time.time()))
    second = start_server(tmp_path / "data", environment=REQUIRED)
    try:
        port = int(second.base_url.rpartition(":")[2])
        assert send(port, device, TELEMETRY, sample()) in {401, 403}
        until(lambda: send(port, device, HEARTBEAT, heartbeat()) == 401, 5.0)
    finally:
        assert second.stop() == 0
