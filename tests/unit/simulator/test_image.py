"""Firmware images: fetched from this machine alone, and checked before they are installed."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tellus.simulator.device import ChargerTwin
from tellus.simulator.image import is_on_this_machine
from tellus.simulator.messages import Kind
from tests.unit.simulator.builders import bodies, build_twin, command

IMAGE = bytes(range(256)) * 512
DIGEST = hashlib.sha256(IMAGE).hexdigest()


class Mirror(ThreadingHTTPServer):
    """Serves the image at ``/good``, nothing elsewhere, and keeps what was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []

    @property
    def base_url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """Answers one request of a mirror."""

    def do_GET(self) -> None:
        """Send the image, a redirect, or 404."""
        mirror: Any = self.server
        mirror.asked.append(self.path)
        path = self.path.partition("?")[0]
        self.send_response({"/good": 200, "/moved": 302}.get(path, 404))
        body = IMAGE if path == "/good" else b""
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Location", "/good")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    """A mirror on a free port."""
    with Mirror() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def upgrade(url: str, **changes: Any) -> ChargerTwin:
    """Return a charger that was told to upgrade, once that has ended one way or the other."""
    twin = build_twin("TP-DC180", "quiet")
    build = {"firmware_version": "9.9.9", "url": url, "sha256": DIGEST, "size": len(IMAGE)}
    twin.execute(command("firmware_upgrade", **build | changes), 1, twin.time_ms)
    until_s = time.monotonic() + 20.0
    while twin.is_upgrading:
        assert time.monotonic() < until_s
        twin.advance(twin.time_ms + 10_000)
        time.sleep(0.01)
    twin.advance(twin.time_ms + 200_000)
    return twin


def last_words(twin: ChargerTwin) -> tuple[str, str, str]:
    """Return how the command, and the upgrade, ended, and why."""
    status = bodies(twin.outbox, Kind.COMMAND_STATUS)[-1]
    firmware = bodies(twin.outbox, Kind.FIRMWARE_STATUS)[-1]
    return status["status"], firmware["status"], firmware.get("message", "")


def test_upgrade__image_on_this_machine__is_fetched_checked_and_installed(mirror: Mirror) -> None:
    """The image is asked for as its address says, and the new version runs."""
    twin = upgrade(f"{mirror.base_url}/good?channel=stable")
    assert mirror.asked == ["/good?channel=stable"]
    assert last_words(twin) == ("completed", "success", "")
    assert twin.firmware_version == "9.9.9"


@pytest.mark.parametrize(
    ("path", "changes", "word"),
    [
        ("/good", {"sha256": "0f" * 32}, "digest"),
        ("/good", {"size": len(IMAGE) + 1}, f"{len(IMAGE)} bytes instead"),
        ("/good", {"size": len(IMAGE) - 1}, "more instead"),
        ("/absent", {}, "status 404"),
        ("/moved", {}, "status 302"),
    ],
)
def test_upgrade__image_that_is_not_what_was_announced__fails_and_changes_nothing(
    mirror: Mirror, path: str, changes: dict[str, Any], word: str
) -> None:
    """A wrong digest or size, an absent image, a redirect: the old version runs on."""
    twin = upgrade(f"{mirror.base_url}{path}", **changes)
    status, firmware, message = last_words(twin)
    assert (status, firmware) == ("failed", "failed")
    assert word in message
    assert bodies(twin.outbox, Kind.COMMAND_STATUS)[-1]["details"]["reason"] == "bad_image"
    assert twin.firmware_version == twin.model.firmware_version
    assert twin.power_state.boots == 0
    assert len(mirror.asked) == 1


def test_upgrade__nobody_serves_the_image__fails() -> None:
    """A port where nobody listens is a failed download."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    status, firmware, message = last_words(upgrade(f"http://127.0.0.1:{port}/good"))
    assert (status, firmware) == ("failed", "failed")
    assert "cannot be downloaded" in message


def test_upgrade__image_elsewhere__is_simulated_without_any_traffic(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing goes to the outside: no name is looked up and no connection is opened."""

    def refuse(*_: Any, **__: Any) -> None:
        pytest.fail("something went out")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    twin = upgrade("http://releases.example/9.9.9.bin")
    assert last_words(twin)[:2] == ("completed", "success")


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8080/a", "http://127.9.9.9/a", "http://[::1]:8080/a", "http://localhost/a"],
)
def test_address__on_this_machine__is_known(url: str) -> None:
    """Plain HTTP to the loopback interface, by number or by its usual name."""
    assert is_on_this_machine(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/a",
        "http://127.0.0.1.releases.example/a",
        "http://localhost@releases.example/a",
        "http://releases.example/127.0.0.1",
        "http://[::1/a",
        "http://2130706433/a",
        "file:///etc/passwd",
        "/releases/a",
    ],
)
def test_address__elsewhere__is_not_taken_for_this_machine(url: str) -> None:
    """However an address is dressed up, what is not the loopback interface is not asked."""
    assert not is_on_this_machine(url)


def test_upgrade__file_address__is_rejected() -> None:
    """A charger reads no files that a command names."""
    twin = build_twin("TP-DC180", "quiet")
    build = {"firmware_version": "9.9.9", "url": "file:///etc/passwd", "sha256": DIGEST, "size": 1}
    twin.execute(command("firmware_upgrade", **build), 1, twin.time_ms)
    assert [one["status"] for one in bodies(twin.outbox, Kind.COMMAND_STATUS)] == ["rejected"]
