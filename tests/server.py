"""A real server for tests: ``tellus serve`` on a free port, with what a test needs to call it."""

import json
import os
import secrets
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.databases import serve_arguments

READY_WITHIN_S = 20.0
STOP_WITHIN_S = 35.0

_TLS = ssl.create_default_context()
"""Made once: without it every call would read all certificates anew, for plain HTTP too."""


@dataclass
class Device:
    """A registered charger with a token."""

    device_id: str
    device_secret: str
    token: str
    sn: str


@dataclass
class Client:
    """An operator's client with a token."""

    client_id: str
    client_secret: str
    operator_id: str
    token: str


@dataclass
class RunningServer:
    """A platform in a process of its own; ``stderr`` collects its log."""

    data_dir: Path
    process: subprocess.Popen[str]
    arguments: tuple[str, ...]
    base_url: str = ""
    stderr: list[str] = field(default_factory=list)
    _admin_token: str = ""

    # ---------------------------------------------------------------- life

    def wait_until_ready(self) -> None:
        """Wait for the address and for readiness."""
        until_s = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < until_s:
            if self.process.poll() is not None:
                break
            self.base_url = next(
                (line.split()[3] for line in self.stderr if line.startswith("Tellus answers at")),
                "",
            )
            if self.base_url and self._is_ready():
                return
            time.sleep(0.02)
        raise AssertionError("the server did not start:\n" + "".join(self.stderr))

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.base_url}/readyz", timeout=2, verify=_TLS).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """End the process as a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End the process in order; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_WITHIN_S)

    # ---------------------------------------------------------------- administration

    @property
    def admin_file(self) -> dict[str, str]:
        """The first service account, as written at the first start."""
        content: dict[str, str] = json.loads((self.data_dir / "admin.json").read_text())
        return content

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """Call the administration API; return ``data``."""
        if not self._admin_token:
            held = self.admin_file
            answer = httpx.post(
                f"{self.base_url}/v1/admin/oauth/token",
                data={"grant_type": "client_credentials"},
                auth=(held["service_account_id"], held["service_account_secret"]),
                verify=_TLS,
            )
            self._admin_token = answer.raise_for_status().json()["access_token"]
        answer = httpx.request(
            method,
            self.base_url + path,
            json=body,
            headers={"Authorization": f"Bearer {self._admin_token}"},
            verify=_TLS,
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    @property
    def built_in_operator_id(self) -> str:
        """The operator that open registration lands on."""
        operator_id: str = self.admin("GET", "/v1/admin/operators")["items"][0]["operator_id"]
        return operator_id

    def create_operator(self, name: str = "Operator") -> str:
        """Create an operator; return its id."""
        operator_id: str = self.admin("POST", "/v1/admin/operators", {"name": name})["operator_id"]
        return operator_id

    def create_site(self, operator_id: str, name: str = "Site", **more: Any) -> str:
        """Create a site; return its id."""
        body = {"operator_id": operator_id, "name": name} | more
        site_id: str = self.admin("POST", "/v1/admin/sites", body)["site_id"]
        return site_id

    def create_client(
        self,
        operator_id: str | None = None,
        scopes: Sequence[str] = ("read", "write"),
        **more: Any,
    ) -> Client:
        """Create a client of an operator (the built-in one) and get its token."""
        owner = operator_id or self.built_in_operator_id
        body = {"operator_id": owner, "name": "test", "scopes": list(scopes)} | more
        made = self.admin("POST", "/v1/admin/clients", body)
        client = Client(made["client_id"], made["client_secret"], owner, "")
        client.token = self.operator_token(client)
        return client

    def operator_token(self, client: Client) -> str:
        """Get another token of a client."""
        answer = httpx.post(
            f"{self.base_url}/v1/operator/oauth/token",
            json={
                "client_id": client.client_id,
                "client_secret": client.client_secret,
                "grant_type": "client_credentials",
            },
            verify=_TLS,
        )
        token: str = answer.raise_for_status().json()["access_token"]
        return token

    # ---------------------------------------------------------------- chargers

    def register(
        self, sn: str = "", model: str = "TP-DC180", enrolment: str = "", **more: Any
    ) -> Device:
        """Register a charger and get its token."""
        serial = sn or f"SN-{secrets.token_hex(6)}"
        body = {
            "sn": serial,
            "model": model,
            "manufacturer": "Maker",
            "firmware_version": "3.1.0",
        } | more
        headers = {"Authorization": f"Bearer {enrolment}"} if enrolment else {}
        url = f"{self.base_url}/v1/device/register"
        answer = httpx.post(url, json=body, headers=headers, verify=_TLS)
        made = answer.raise_for_status().json()["data"]
        device = Device(made["device_id"], made["device_secret"], "", serial)
        device.token = self.device_token(device)
        return device

    def device_token(self, device: Device) -> str:
        """Get another token of a charger."""
        answer = httpx.post(
            f"{self.base_url}/v1/device/token",
            json={
                "device_id": device.device_id,
                "device_secret": device.device_secret,
                "grant_type": "client_credentials",
            },
            verify=_TLS,
        )
        token: str = answer.raise_for_status().json()["access_token"]
        return token

    def provision(self, sn: str, site_id: str, model: str = "TP-DC180", **more: Any) -> str:
        """Expect a serial number at a site; return its enrolment token."""
        body = {"sn": sn, "model": model, "site_id": site_id} | more
        token: str = self.admin("POST", "/v1/admin/devices/provision", body)["enrolment_token"]
        return token


def start_server(
    data_dir: Path,
    *arguments: str,
    environment: dict[str, str] | None = None,
    program: Sequence[str] = ("-m", "tellus"),
) -> RunningServer:
    """Start ``tellus serve`` over ``data_dir`` on a free port and wait until it is ready.

    ``program`` is what Python runs instead of the package: a script that plants a fault first.
    """
    given = ("--registration", "open", "--limit-scale", "1000", *arguments)
    command = [sys.executable, *program, "serve", "--data-dir", str(data_dir), "--port", "0"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TELLUS_")}
    if "--database-url" not in arguments:
        command += serve_arguments(data_dir)
    process = subprocess.Popen(
        [*command, *given],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=data_dir.parent,
        env=clean | (environment or {}),
    )
    server = RunningServer(data_dir, process, arguments)

    threading.Thread(target=_collect, args=(server,), daemon=True).start()
    server.wait_until_ready()
    return server


def _collect(server: RunningServer) -> None:
    assert server.process.stderr is not None
    with server.process.stderr as lines:
        for line in iter(lines.readline, ""):
            server.stderr.append(line)


@contextmanager
def running_server(data_dir: Path, *arguments: str) -> Iterator[RunningServer]:
    """A server for the length of a block; a failed stop fails the test."""
    server = start_server(data_dir, *arguments)
    try:
        yield server
    finally:
        code = server.stop()
    assert code == 0, "".join(server.stderr[-40:])
