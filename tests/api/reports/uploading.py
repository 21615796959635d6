"""What chargers and operators do about a diagnostic report, for tests."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.api.tenancy import Charger, moment

UPLOADS = "/v1/device/diagnostics/uploads/"
UNKNOWN = f"{UPLOADS}upl_{'x' * 43}"


@dataclass
class Asked:
    """A report that was asked for, and where its charger is to upload."""

    charger: Charger
    report_id: str
    command_id: str
    upload_url: str

    def seen(self) -> dict[str, Any]:
        """The report as its operator sees it."""
        found: dict[str, Any] = self.charger.operator.get(
            f"/v1/operator/diagnostics/{self.report_id}", expect=200
        ).data
        return found

    def say(self, status: str, **more: Any) -> None:
        """Report what became of the command."""
        said = {"command_id": self.command_id, "status": status, "timestamp": moment()} | more
        self.charger.send("command-status", said)

    def download(self) -> httpx.Response:
        """The file, as its operator gets it."""
        api = self.charger.operator
        return httpx.get(
            f"{api.base_url}/v1/operator/diagnostics/{self.report_id}/download",
            headers={"authorization": f"Bearer {api._token}"},
        )

    def upload(self, body: bytes | Iterator[bytes], **headers: str) -> httpx.Response:
        """Upload a bundle."""
        return put(self.charger.api.base_url + self.upload_url, body, **headers)


def put(url: str, body: bytes | Iterator[bytes], **headers: str) -> httpx.Response:
    """PUT raw bytes, of a ZIP file unless said otherwise."""
    given = {"content-type": "application/zip"} | headers
    return httpx.put(url, content=body, headers=given, timeout=60)


def ask(charger: Charger, **body: Any) -> Asked:
    """Ask for a report, and let the charger hear of it."""
    path = f"/v1/operator/devices/{charger.device_id}/diagnostics"
    made = charger.operator.post(path, body or None, expect=200).data
    url = fetch(charger)["params"]["upload_url"]
    return Asked(charger, made["report_id"], made["command_id"], url)


def fetch(charger: Charger) -> dict[str, Any]:
    """The command that the charger gets with its heartbeat."""
    beat = {"timestamp": moment(), "status": "online", "fault_code": 0}
    commands: list[dict[str, Any]] = charger.send("heartbeat", beat).data["commands"]
    found = [one for one in commands if one["command"] == "fetch_logs"]
    assert len(found) == 1, commands
    return found[0]


def connect(base_url: str) -> socket.socket:
    """A connection of one's own to the server."""
    address = urlsplit(base_url)
    return socket.create_connection((address.hostname, address.port), 20)


def head_of(target: str, *lines: str) -> bytes:
    """The head of an upload."""
    return "\r\n".join((f"PUT {target} HTTP/1.1", "Host: x", *lines, "", "")).encode()


def begin(asked: Asked, body: bytes, announced: int) -> socket.socket:
    """Begin an upload and leave it there."""
    connection = connect(asked.charger.api.base_url)
    connection.sendall(head_of(asked.upload_url, f"Content-Length: {announced}") + body)
    return connection


def answer_to(connection: socket.socket) -> bytes:
    """All that the server says on a connection until it closes it."""
    said = b""
    with closing(connection):
        while piece := connection.recv(65536):
            said += piece
    return said


def wait_until(holds: Callable[[], bool], what: str, within_s: float = 15.0) -> None:
    """Wait for something that happens by itself."""
    until_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until_s, what
        time.sleep(0.02)
