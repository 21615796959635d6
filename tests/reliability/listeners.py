"""Chargers that only listen: each parks long-polls, carries out what comes and says so."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tests.reliability.lanes import Lane
from tests.server import Device

WAIT_S = 60


class Listener:
    """A charger with one parked poll; notes when each command came, and how often."""

    def __init__(self, port: int, device: Device) -> None:
        self.device = device
        self.received_s: dict[str, float] = {}
        self.deliveries: Counter[str] = Counter()
        self._port = port

    async def listen(self) -> None:
        """Poll and carry out until cancelled."""
        async with Lane(self._port, self.device.token, within_s=WAIT_S + 10) as lane:
            while True:
                reply = await lane.ask("GET", f"/v1/device/commands?connector_id=1&wait={WAIT_S}")
                assert reply.status == 200, reply
                if reply.data is not None:
                    await self._carry_out(lane, reply.data)

    async def _carry_out(self, lane: Lane, command: dict[str, Any]) -> None:
        command_id = command["command_id"]
        self.received_s.setdefault(command_id, time.monotonic())
        self.deliveries[command_id] += 1
        for status in ("accepted", "completed"):
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            body = {"command_id": command_id, "status": status, "timestamp": now}
            reply = await lane.ask("POST", "/v1/device/command-status", body)
            assert reply.status == 200, reply


class Orders:
    """An operator that commands chargers in turn; notes when each call was made."""

    def __init__(self, port: int, token: str) -> None:
        self.issued_s: dict[str, float] = {}
        self._port = port
        self._token = token

    async def issue(self, devices: Sequence[Device], seconds: float, every_s: float) -> None:
        """Issue a command every ``every_s``, to one device after the other."""
        end_s = time.monotonic() + seconds
        number = 0
        async with Lane(self._port, self._token) as lane:
            while (called_s := time.monotonic()) < end_s:
                target = f"/v1/operator/devices/{devices[number % len(devices)].device_id}/commands"
                body = {"command": "trigger_message", "params": {"message": "Heartbeat"}}
                reply = await lane.ask("POST", target, body)
                assert reply.status == 200, reply
                self.issued_s[reply.data["command_id"]] = called_s
                number += 1
                await asyncio.sleep(every_s)
