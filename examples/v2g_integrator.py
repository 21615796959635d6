"""A V2G integrator: find what can discharge, dispatch it, follow the power live.

    set -a; . ./.env.tellus; set +a
    python examples/v2g_integrator.py [--device ID] [--connector 1]

Looks for chargers that can discharge and are enabled for it here, asks one for 10 kW, watches the
stream until power flows out of the vehicle, and ends it. It needs the package `websockets`.
"""

import argparse
import json
import time
from typing import Any

from platform_client import Platform, RefusedError
from websockets.sync.client import connect

POWER_KW = 10.0
PATIENCE_S = 60.0
LOOK_EVERY_S = 3.0


def find_candidates(platform: Platform) -> list[tuple[str, int]]:
    """Return connectors of chargers that are online and enabled for V2G dispatch."""
    found = []
    for device in platform.items("/v1/operator/devices", status="online"):
        if not device["v2g"]:
            continue
        path = f"/v1/operator/devices/{device['device_id']}/channels"
        enabled = {one["name"] for one in platform.get(path)["capabilities"] if one["enabled"]}
        if "v2g_dispatch" in enabled:
            found += [(device["device_id"], one["connector_id"]) for one in device["connectors"]]
    return found


def watch(platform: Platform, device_id: str, connector_id: int, command_id: str) -> float | None:
    """Return the power (kW) once it is negative, None where the command fails before."""
    address = platform.base_url.replace("http", "ws", 1)
    target = f"{address}/v1/operator/stream?devices={device_id}&token={platform.token}"
    until_s = time.monotonic() + PATIENCE_S
    look_at_s = 0.0
    with connect(target) as stream:
        while (left_s := until_s - time.monotonic()) > 0:
            try:
                frame: dict[str, Any] = json.loads(stream.recv(timeout=min(left_s, 2.0)))
            except TimeoutError:
                frame = {"connectors": []}
            for one in frame["connectors"]:
                if one["connector_id"] == connector_id and one.get("power", 0.0) < 0:
                    return float(one["power"])
            if time.monotonic() >= look_at_s:  # queries are limited to 60 a minute
                look_at_s = time.monotonic() + LOOK_EVERY_S
                command = platform.get(f"/v1/operator/commands/{command_id}")
                if command["status"] == "failed":
                    print(f"{device_id}: {command.get('result')}")
                    return None
    return None


def main() -> None:
    """Dispatch one connector."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--device")
    parser.add_argument("--connector", type=int, default=1)
    given = parser.parse_args()
    platform = Platform()
    candidates = find_candidates(platform)
    print(f"{len(candidates)} connectors can discharge")
    if given.device:
        candidates = [one for one in candidates if one == (given.device, given.connector)]
    for device_id, connector_id in candidates:
        path = f"/v1/operator/devices/{device_id}/connectors/{connector_id}"
        wish = {"discharge_power": POWER_KW, "duration": 300, "min_soc": 30}
        try:
            command = platform.post(f"{path}/discharge", wish)
        except RefusedError as refusal:
            print(f"{device_id}: {refusal}")
            continue
        power_kw = watch(platform, device_id, connector_id, command["command_id"])
        if power_kw is not None:
            print(f"{device_id} connector {connector_id}: {power_kw:.1f} kW")
            platform.post(f"{path}/stop")
            return
    raise SystemExit("no vehicle that can discharge is there")


if __name__ == "__main__":
    main()
