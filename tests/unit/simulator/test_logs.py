"""What a charger sends when it is asked for its logs."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from tellus.simulator.injection import inject
from tellus.simulator.logs import build_bundle
from tests.unit.simulator.builders import build_twin
from tests.unit.simulator.scenes import come, last_status, tell, wait


class Receiver(HTTPServer):
    """Takes what is put, or refuses everything."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.got: list[tuple[str, str | None, bytes]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_PUT(self) -> None:
        """Take a body."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, self.headers["Content-Type"], body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that waits for a bundle."""
    server = Receiver()
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def settle(twin: Any) -> None:
    """Let the upload end, in its own time and in the charger's."""
    until_s = time.monotonic() + 10.0
    while last_status(twin)["status"] == "accepted":
        assert time.monotonic() < until_s
        wait(twin, 1)
        time.sleep(0.01)


def test_fetch_logs__path_of_the_platform__is_resolved_and_put(receiver: Receiver) -> None:
    """The bundle goes to the platform's own address; the command is completed once it is there."""
    twin = build_twin("TP-DC180", "quiet")
    twin.platform_url = f"http://127.0.0.1:{receiver.server_port}/base/"
    tell(twin, "fetch_logs", report_id="rep_1", upload_url="/v1/device/uploads/secret?x=1")
    settle(twin)
    assert last_status(twin)["status"] == "completed"
    ((path, media_type, body),) = receiver.got
    assert (path, media_type) == ("/base/v1/device/uploads/secret?x=1", "application/zip")
    assert last_status(twin)["details"]["size"] == len(body)


def test_fetch_logs__refused__fails_with_the_status(receiver: Receiver) -> None:
    """A platform that does not take the bundle is named in the failure."""
    receiver.status = 410
    twin = build_twin("TP-DC180", "quiet")
    tell(twin, "fetch_logs", upload_url=f"http://127.0.0.1:{receiver.server_port}/once")
    settle(twin)
    assert last_status(twin)["status"] == "failed"
    assert "410" in last_status(twin)["message"]


def test_fetch_logs__elsewhere__nothing_leaves_this_machine() -> None:
    """An address of another host is played: a simulated charger sends nothing out."""
    twin = build_twin("TP-DC180", "quiet")
    tell(twin, "fetch_logs", upload_url="https://uploads.example/x")
    settle(twin)
    assert last_status(twin)["status"] == "completed"
    tell(twin, "fetch_logs", "cmd_2", upload_url=7)
    assert last_status(twin, "cmd_2")["status"] == "rejected"


def test_bundle__after_a_reboot_and_a_fault__holds_four_files_that_say_so() -> None:
    """Boot log, fault history, configuration dump and firmware metadata."""
    twin = build_twin("TP-DC180", "quiet")
    tell(twin, "reboot", "cmd_r")
    wait(twin, 100)
    inject(twin, twin.connectors[0], "F-0421")
    come(twin)
    wait(twin, 60)
    with zipfile.ZipFile(io.BytesIO(build_bundle(twin, twin.time_ms))) as bundle:
        files = {name: bundle.read(name).decode() for name in bundle.namelist()}
    assert sorted(files) == ["boot.log", "configuration.json", "faults.json", "firmware.json"]
    assert "boot remote" in files["boot.log"]
    (fault,) = json.loads(files["faults.json"])
    assert fault["fault_code"] == twin.write_code("F-0421")
    assert json.loads(files["configuration.json"])["values"] == {"max_power_pct": 100}
    assert json.loads(files["firmware.json"])["firmware_version"] == "3.1.0"
