"""Calls to chosen nodes of a group, for tests of what one node does and another shows."""

import secrets
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx

from tests.reliability.ledger import text_of
from tests.reliability.node_group import NodeGroup
from tests.server import Client, Device

Data = dict[str, Any]
_TIMEOUT_S = 75.0


class Voices:
    """Speaks to the nodes of a group by their numbers."""

    def __init__(self, group: NodeGroup) -> None:
        self.group = group
        self._links = [
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=_TIMEOUT_S)
            for port in group.ports
        ]
        self._pool = ThreadPoolExecutor(32)

    def close(self) -> None:
        """Hang up."""
        self._pool.shutdown()
        for link in self._links:
            link.close()

    def ask(
        self, node: int, method: str, path: str, token: str = "", body: Any = None
    ) -> httpx.Response:
        """Send a request to a node."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self._links[node].request(method, path, json=body, headers=headers)

    def get(self, node: int, method: str, path: str, token: str = "", body: Any = None) -> Any:
        """Send a request that is to be granted; return what it is answered with."""
        answer = self.ask(node, method, path, token, body)
        assert answer.status_code == 200, (node, method, path, answer.text)
        return answer.json().get("data")

    def status(self, node: int, path: str, token: str) -> int:
        """Return the HTTP status of a query."""
        return self.ask(node, "GET", path, token).status_code

    def soon(self, work: Callable[..., Any], *args: Any) -> "Future[Any]":
        """Begin a call that waits."""
        return self._pool.submit(work, *args)

    # ------------------------------------------------------------------ chargers

    def register(self, node: int, sn: str = "", model: str = "TP-DC180") -> Device:
        """Register a charger on a node; it has no token yet."""
        serial = sn or f"SN-{secrets.token_hex(6)}"
        body = {"sn": serial, "model": model, "manufacturer": "M", "firmware_version": "3.1.0"}
        made = self.get(node, "POST", "/v1/device/register", "", body)
        return Device(made["device_id"], made["device_secret"], "", serial)

    def log_in(self, node: int, device: Device) -> httpx.Response:
        """Ask a node for a charger's token, and let the charger have it."""
        body = {
            "device_id": device.device_id,
            "device_secret": device.device_secret,
            "grant_type": "client_credentials",
        }
        answer = self.ask(node, "POST", "/v1/device/token", "", body)
        if answer.status_code == 200:
            device.token = answer.json()["access_token"]
        return answer

    def charger(self, node: int, **more: Any) -> Device:
        """Register a charger that has a token, all on one node."""
        device = self.register(node, **more)
        assert self.log_in(node, device).status_code == 200
        return device

    def beat(self, node: int, device: Device, status: str = "online", **more: Any) -> list[Data]:
        """Send a heartbeat to a node; return the commands that come back."""
        body = {"timestamp": text_of(now_ms()), "status": status, "fault_code": 0} | more
        data = self.get(node, "POST", "/v1/device/heartbeat", device.token, body)
        commands: list[Data] = data.get("commands", [])
        return commands

    def upload(self, node: int, device: Device, power_kw: float) -> int:
        """Send a sample to a node; return its time."""
        time_ms = now_ms()
        body = {
            "timestamp": text_of(time_ms),
            "connector_id": 1,
            "state": "charging",
            "voltage": 400.0,
            "current": 100.0,
            "power": power_kw,
            "energy_delivered": 1.5,
        }
        self.get(node, "POST", "/v1/device/telemetry", device.token, body)
        return time_ms

    def poll(self, node: int, device: Device, connector_id: int, wait_s: int) -> Data | None:
        """Wait on a node for a command."""
        path = f"/v1/device/commands?connector_id={connector_id}&wait={wait_s}"
        data: Data | None = self.get(node, "GET", path, device.token)
        return data

    def parked(self, node: int) -> int:
        """Return how many polls wait on a node."""
        page = self._links[node].get("/metrics").text
        line = next(one for one in page.splitlines() if one.startswith("tellus_polls_parked"))
        return int(float(line.split()[-1]))

    # ------------------------------------------------------------------ operators

    def client_token(self, node: int, client: Client, secret: str = "") -> httpx.Response:
        """Ask a node for a client's token."""
        body = {
            "client_id": client.client_id,
            "client_secret": secret or client.client_secret,
            "grant_type": "client_credentials",
        }
        return self.ask(node, "POST", "/v1/operator/oauth/token", "", body)

    def seen(self, node: int, device: Device, token: str) -> Data:
        """Return a device as a node shows it to its operator."""
        data: Data = self.get(node, "GET", f"/v1/operator/devices/{device.device_id}", token)
        return data

    def faults(self, node: int, device: Device, token: str) -> list[str]:
        """Return the keys of the faults that the platform has found at a device."""
        path = f"/v1/operator/devices/{device.device_id}/events?size=100"
        items = self.get(node, "GET", path, token)["items"]
        return [one["data"]["fault_code"] for one in items if one["origin"] == "platform"]

    def command(self, node: int, device: Device, token: str) -> str:
        """Have a node tell a charger to send a heartbeat; return the command's identifier."""
        path = f"/v1/operator/devices/{device.device_id}/commands"
        body = {"command": "trigger_message", "params": {"message": "Heartbeat"}}
        command_id: str = self.get(node, "POST", path, token, body)["command_id"]
        return command_id


def now_ms() -> int:
    """Return the time."""
    return int(time.time() * 1000)
