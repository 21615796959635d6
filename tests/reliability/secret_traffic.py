"""Traffic that carries canaries into every corner of the platform, right places and wrong ones."""

import base64
import contextlib
import itertools
import json
import socket
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from tests.contract.canaries import Canary
from tests.server import Client, Device, RunningServer

_READS = (
    "/v1/operator/sites",
    "/v1/operator/devices",
    "/v1/operator/devices/{}",
    "/v1/operator/devices/{}/events",
    "/v1/operator/charging-records",
    "/v1/operator/commands/{}",
    "/v1/operator/stream",
    "/v1/device/commands",
    "/v1/admin/operators",
    "/v1/admin/clients/{}",
    "/v1/operator/alerts/{}",
    "/v1/operator/agents/{}/proposals",
    "/v1/operator/config-profiles/{}",
    "/v1/operator/devices/{}/readers",
    "/v1/operator/diagnostics/{}/download",
    "/v1/operator/runbooks/{}/runs",
    "/v1/admin/consents/{}",
    "/v1/admin/erasures/{}",
    "/nowhere/{}",
    "/readyz",
    "/docs/assets/{}",
)
_WRITES = (
    "/v1/operator/oauth/token",
    "/v1/operator/devices/{}/connectors/1/start",
    "/v1/device/register",
    "/v1/device/token",
    "/v1/device/heartbeat",
    "/v1/device/telemetry",
    "/v1/device/telemetry/batch",
    "/v1/device/charging-records",
    "/v1/device/command-status",
    "/v1/admin/oauth/token",
    "/v1/admin/clients",
    "/v1/operator/config-profiles",
    "/v1/operator/devices/{}/diagnostics",
    "/v1/operator/runbooks/{}/runs",
    "/v1/operator/v2g-vehicles",
    "/v1/admin/consents",
    "/v1/admin/subjects/export",
    "/metrics",
)


class SecretTraffic:
    """Sends canaries; ``refusals`` collects the bodies of all answers that were failures."""

    def __init__(self, server: RunningServer, client: Client, device: Device) -> None:
        self.server = server
        self.client = client
        self.device = device
        self.sent = 0
        self.refusals: list[bytes] = []
        self._http = httpx.Client(base_url=server.base_url, timeout=15.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._http.close()

    def send(self, method: str, target: str, **more: Any) -> httpx.Response:
        """Send one request and keep what was refused."""
        answer = self._http.request(method, target, **more)
        self.sent += 1
        if answer.status_code >= 400:
            self.refusals.append(answer.content)
        return answer

    def send_misplaced(self, canaries: Sequence[Canary]) -> None:
        """Put each canary where credentials, identifiers, parameters and fields go."""
        for canary, path in itertools.product(canaries, _READS):
            value, here = canary.value, path.format(canary.value)
            self.send("GET", here, headers={"Authorization": f"Bearer {value}"})
            self.send("GET", here, params={"token": value, "size": value, "device_id": value})
            self.send("GET", here, headers=dict(_odd_headers(value)) | self._operator())
            self.send("GET", f"{here}?{value}=1&{value}=2&size=0", headers=self._operator())
        for canary, path in itertools.product(canaries, _WRITES):
            self._write_misplaced(canary.value, path)

    def _write_misplaced(self, value: str, path: str) -> None:
        here = path.format(value)
        basic = base64.b64encode(f"{value}:{value}".encode()).decode()
        self.send("POST", here, headers={"Authorization": f"Basic {basic}"})
        self.send("POST", here, data={"client_id": value, "client_secret": value, value: value})
        self.send("POST", f"/e/{value}{here}", json={"sn": 5, "mac": value})
        for headers in (self._operator(), self._device()):
            self.send("POST", here, json={value: value, "fault_code": [value]}, headers=headers)
            self.send("POST", here, json=_credentials(value), headers=headers)
            self.send("POST", here, json=_sample(state=value, timestamp=value), headers=headers)
            self.send("POST", here, content=f'{{"token": "{value}'.encode(), headers=headers)

    def send_records(self, vins: Sequence[Canary]) -> None:
        """Upload, as a charger does, records and events that hold VINs; then read them back."""
        for number, canary in enumerate(vins):
            for record_id in (f"R-{number}", f"R-{number}", f"S-{number}"):
                record = _record(record_id, canary.value)
                self.accept("/v1/device/charging-records", record)
            self.accept("/v1/device/charging-records", _record(f"R-{number}", ""), 409)
            self.accept(
                "/v1/device/charging-records/batch",
                {"items": [_record(f"B-{number}", canary.value)]},
            )
        self.send("GET", "/v1/operator/charging-records", headers=self._operator())

    def send_events(self, vins: Sequence[Canary]) -> None:
        """Upload, as a charger does, events whose data holds VINs."""
        for canary in vins:
            self.accept("/v1/device/events", _event(canary.value))
            self.accept("/v1/device/events/batch", {"items": [_event(canary.value)]})

    def configure_peers(self, canaries: Sequence[Canary]) -> list[Canary]:
        """Set canaries as what we prove ourselves to peers with, and put them where they are wrong.

        Returns the secrets that the platform has issued to those peers.
        """
        self.server.admin("GET", "/v1/admin/operators")  # makes sure of the administrator's token
        headers = {"Authorization": f"Bearer {self.server._admin_token}"}
        issued = []
        for canary in canaries:
            value = canary.value
            body = {"operator_id": self.client.operator_id, "name": "Peer", "auth": "bearer"}
            made = self.send(
                "POST", "/v1/admin/peers", json=body | {"auth_secret": value}, headers=headers
            )
            assert made.status_code == 200, made.text
            data = made.json()["data"]
            issued.append(Canary("secret", data["peer_secret"]))
            path = f"/v1/admin/peers/{data['peer_id']}"
            for wrong in (
                {"push_url": f"https://us:{value}@peer.example/v1"},
                {"push_url": f"https://peer.example/v1?token={value}"},
                {"timezone": value},
                {"auth": value},
            ):
                assert self.send("PATCH", path, json=wrong, headers=headers).status_code == 400
        return issued

    def set_up_webhooks(self, canaries: Sequence[Canary]) -> list[Canary]:
        """Make webhooks, in right ways and wrong ones; return the secrets that were issued."""
        issued, path = [], "/v1/operator/webhooks"
        for canary in canaries:
            headers = self._operator()
            for wrong in (
                {"url": f"https://us:{canary.value}@alerts.example/v1"},
                {"url": f"https://alerts.example/v1?token={canary.value}"},
                {"url": "https://alerts.example/v1", "min_severity": canary.value},
            ):
                assert self.send("POST", path, json=wrong, headers=headers).status_code == 400
        made = self.send(
            "POST", path, json={"url": "https://alerts.invalid/v1"}, headers=self._operator()
        ).json()["data"]
        own = f"{path}/{made['webhook_id']}"
        renewed = self.send("POST", f"{own}/rotate", headers=self._operator()).json()["data"]
        assert self.send("POST", f"{own}/test", headers=self._operator()).status_code == 200
        issued += [Canary("secret", made["secret"]), Canary("secret", renewed["secret"])]
        return issued

    def upload_logs(self) -> list[Canary]:
        """Ask the charger for its logs and upload them, in right ways and wrong ones.

        Returns the secrets of the addresses that it was told.
        """
        issued = []
        path = f"/v1/operator/devices/{self.device.device_id}/diagnostics"
        for _ in range(2):
            self.send("POST", path, json={"note": "x"}, headers=self._operator())
            now = datetime.now(UTC).isoformat()
            beat = {"timestamp": now, "status": "online", "fault_code": 0}
            answer = self.send("POST", "/v1/device/heartbeat", json=beat, headers=self._device())
            commands = answer.json()["data"]["commands"]
            target = next(one for one in commands if one["command"] == "fetch_logs")
            address = target["params"]["upload_url"]
            issued.append(Canary("secret", address.rpartition("/")[2]))
            assert self.send("PUT", address, content=b"logs").status_code == 200
            assert self.send("PUT", address, content=b"other").status_code == 404
            assert self.send("PUT", f"{address}?x=1", content=b"logs").status_code == 200
            assert self.send("POST", address, content=b"logs").status_code == 405
        return issued

    def accept(self, path: str, body: Any, status: int = 200) -> None:
        """Upload something that has to be answered with ``status``."""
        answer = self.send("POST", path, json=body, headers=self._device())
        assert answer.status_code == status, answer.text

    def send_raw(self, canaries: Sequence[Canary]) -> None:
        """Send what is hardly HTTP, and handshakes that are refused and accepted."""
        for canary in canaries:
            for request in _raw_requests(canary.value):
                self._exchange(request)
        stream = f"/v1/operator/stream?devices={self.device.device_id}"
        self._exchange(_handshake(f"{stream}&token={self.client.token}", ""))
        self._exchange(_handshake(stream, f"Authorization: Bearer {self.client.token}\r\n"))

    def _exchange(self, request: bytes) -> None:
        address = urlsplit(self.server.base_url)
        assert address.hostname is not None
        with socket.create_connection((address.hostname, address.port or 80), 10) as peer:
            with contextlib.suppress(OSError):
                peer.sendall(request)
                peer.shutdown(socket.SHUT_WR)
            peer.settimeout(10)
            with contextlib.suppress(OSError):
                answer = peer.recv(65_536)
                if b" 101 " not in answer[:20]:
                    self.refusals.append(answer)
        self.sent += 1

    def _operator(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.client.token}"}

    def _device(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.device.token}"}


def _odd_headers(value: str) -> Iterator[tuple[str, str]]:
    yield "X-Signature", value
    yield "X-Api-Key", value
    yield "Cookie", f"session={value}"
    yield "Idempotency-Key", value
    yield "Content-Encoding", value
    yield "Content-Type", f"text/{value}"
    yield "Origin", f"https://{value}"


def _credentials(value: str) -> dict[str, Any]:
    secrets = ("client_secret", "device_secret", "service_account_secret")
    ids = ("client_id", "device_id", "service_account_id", "command_id", "operator_id", "sn")
    names = (*secrets, *ids, "grant_type")
    return dict.fromkeys(names, value) | {"scopes": [value], "items": [value, {"vin": value}]}


def _sample(**changes: Any) -> dict[str, Any]:
    sample: dict[str, Any] = {
        "timestamp": datetime.now(UTC).isoformat(), "connector_id": 1, "state": "charging",
        "voltage": 400.0, "current": 50.0, "power": 20.0, "energy_delivered": 1.0,
    }  # fmt: skip
    return sample | changes


def _record(record_id: str, vin: str) -> dict[str, Any]:
    return {
        "record_id": record_id,
        "connector_id": 1,
        "start_time": "2026-03-02T06:12:10Z",
        "end_time": "2026-03-02T06:58:40Z",
        "energy": 38.6,
        "max_power": 59.1,
        "avg_power": 49.8,
        "meter_start": 81204.1,
        "meter_end": 81242.7,
        "vehicle_info": {"vin": vin, "remark": f"vehicle {vin}"},
        "remark": f"driver of {vin} was late",
        "details": {"seen": [vin, {vin: 1}]},
    }


def _event(vin: str) -> dict[str, Any]:
    data = {"vin": vin, "fault_message": f"handshake with {vin} failed", "details": {vin: [vin]}}
    return {
        "timestamp": datetime.now(UTC).isoformat(),
        "event_type": "plug_in",
        "connector_id": 1,
        "data": data,
    }


def _raw_requests(value: str) -> Iterator[bytes]:
    text = value.encode()
    yield b"GET /v1/operator/sites?token=" + text + b" HTTP/9.9\r\n\r\n"
    yield b"GET /" + text * 300 + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    yield b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + text * 600 + b"\r\n\r\n"
    yield text + b" / HTTP/1.1\r\nHost: a\r\n\r\n"
    yield b"POST /v1/device/token HTTP/1.1\r\nHost: a\r\nContent-Length: " + text + b"\r\n\r\n"
    yield b"GET / HTTP/1.1\r\n" + text + b"\x00: " + text + b"\r\n\r\n"
    yield _handshake(f"/v1/operator/stream?devices=dvc_a&token={value}", "")
    yield _handshake(f"/v1/operator/stream?devices={value}", f"Authorization: Bearer {value}\r\n")
    yield _handshake(f"/elsewhere/{value}?token={value}", "")


def _handshake(target: str, headers: str) -> bytes:
    return (
        f"GET {target} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    ).encode()


def issued_canaries(server: RunningServer, client: Client, device: Device) -> list[Canary]:
    """The secrets and tokens that the platform itself has issued to these callers."""
    return [
        Canary("secret", client.client_secret),
        Canary("secret", device.device_secret),
        Canary("secret", server.admin_file["service_account_secret"]),
        Canary("token", client.token),
        Canary("token", device.token),
    ]


def plain(value: Any) -> bytes:
    """A value as JSON bytes, to be searched."""
    return json.dumps(value, ensure_ascii=False).encode()
