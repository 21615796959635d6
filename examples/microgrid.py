"""A depot or microgrid without a CPMS: start, limit, schedule and stop, all from here.

    set -a; . ./.env.tellus; set +a
    python examples/microgrid.py [--device ID]

Starts a charge, sheds half of the site's load for a minute and takes that back, leaves a schedule
for the night, and stops the charge.
"""

import argparse
import os
import time
from typing import Any

from platform_client import Platform

PATIENCE_S = 60.0
LOOK_EVERY_S = 2.0


def wait_for(platform: Platform, command_id: str) -> dict[str, Any]:
    """Return a command once its charger has said something of it."""
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        command: dict[str, Any] = platform.get(f"/v1/operator/commands/{command_id}")
        if command["status"] != "queued":
            return command
        time.sleep(LOOK_EVERY_S)
    raise SystemExit(f"{command_id}: the charger has not answered")


def shed_load(platform: Platform, site_id: str) -> None:
    """Limit a site to half of what its chargers can draw, and take it back."""
    wish = {
        "target_type": "site",
        "target_ids": [site_id],
        "command": "set_power_limit",
        "params": {"power_limit_percent": 50, "duration": 60, "reason": "peak of the day"},
    }
    control = platform.post("/v1/operator/control/flexibility", wish)
    state = platform.get(f"/v1/operator/control/flexibility/{control['control_id']}")
    print(f"load: {state['status']} for {site_id}")
    platform.delete(f"/v1/operator/control/flexibility/{control['control_id']}")
    print("load: released")


def schedule_the_night(platform: Platform, connector: str) -> None:
    """Let the charger charge by itself between ten and six, at 7 kW at most."""
    slot = {"start": "22:00", "end": "06:00", "action": "charge", "power_limit": 7.0}
    plan = {"schedule_id": "night", "enabled": True, "type": "daily", "time_slots": [slot]}
    command = platform.post(f"{connector}/schedule", plan)
    print(f"schedule: {wait_for(platform, command['command_id'])['status']}")


def main() -> None:
    """Drive one charger and its site."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--device", default=os.environ.get("TELLUS_DEVICE_ID"))
    device_id = parser.parse_args().device
    platform = Platform()
    device = platform.get(f"/v1/operator/devices/{device_id}")
    connector = f"/v1/operator/devices/{device_id}/connectors/1"
    started = platform.post(f"{connector}/start", {"duration": 600})
    print(f"start: {wait_for(platform, started['command_id'])['status']}")
    shed_load(platform, device["site_id"])
    schedule_the_night(platform, connector)
    stopped = platform.post(f"{connector}/stop")
    print(f"stop: {wait_for(platform, stopped['command_id'])['status']}")


if __name__ == "__main__":
    main()
