"""A charger for the quickstart to find: it reports, waits for commands and carries them out."""

import contextlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx

from tests.server import Device, RunningServer


class Charger:
    """One charger over the device API alone; it charges at its first connector.

    It polls for that one; what is for others, or for the charger as a whole, comes with heartbeats.
    """

    def __init__(self, server: RunningServer, device: Device) -> None:
        self.device_id = device.device_id
        self.done: list[str] = []
        self._stop = threading.Event()
        self._http = httpx.Client(
            base_url=server.base_url,
            headers={"Authorization": f"Bearer {device.token}"},
            timeout=10.0,
        )

    def report(self) -> None:
        """Send a heartbeat and a sample; carry out what comes with the heartbeat's answer."""
        now = _now()
        beat = {"timestamp": now, "status": "online", "fault_code": 0}
        for command in self._send("heartbeat", beat)["commands"]:
            self._carry_out(command)
        self._send("telemetry", {
            "timestamp": now, "connector_id": 1, "state": "charging", "voltage": 402.5,
            "current": 75.0, "power": 30.2, "energy_delivered": 4.5, "soc": 55,
            "temperature": 35.5,
        })  # fmt: skip

    def work(self) -> None:
        """Report, take commands and complete them until told to stop."""
        while not self._stop.is_set():
            self.report()
            answer = self._http.get(
                "/v1/device/commands", params={"connector_id": 1, "wait": 1}
            ).raise_for_status()
            command = answer.json()["data"]
            if command is not None:
                self._carry_out(command)

    def stop(self) -> None:
        """Let ``work`` end."""
        self._stop.set()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _carry_out(self, command: dict[str, Any]) -> None:
        self.done.append(command["command"])
        for status in ("accepted", "completed"):
            self._send("command-status", {
                "command_id": command["command_id"], "status": status, "timestamp": _now(),
            })  # fmt: skip

    def _send(self, what: str, body: dict[str, Any]) -> Any:
        answer = self._http.post(f"/v1/device/{what}", json=body).raise_for_status()
        return answer.json()["data"]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@contextlib.contextmanager
def working_charger(server: RunningServer, device: Device | None = None) -> Iterator[Charger]:
    """A charger at work for the length of a block; what went wrong with it is raised at the end."""
    charger = Charger(server, device or server.register(model="TP-AC22"))
    charger.report()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            charger.work()
        except BaseException as error:  # noqa: BLE001 - raised in the test's own thread
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield charger
    finally:
        charger.stop()
        thread.join(20.0)
        charger.close()
    if errors:
        raise errors[0]
