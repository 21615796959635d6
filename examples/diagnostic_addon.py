"""A CPMS with a diagnostic add-on: sessions stay on OCPP, here is what is wrong with the chargers.

    set -a; . ./.env.tellus; set +a
    python examples/diagnostic_addon.py [--device ID]

Lists live alerts with what the fault dictionary says of them, then works through a runbook for one
charger and saves its bundle. It starts and stops nothing: where a command would have to be
confirmed it declines.
"""

import argparse
import time
from pathlib import Path
from typing import Any

from platform_client import Platform, RefusedError

STEPS_MOST = 30
LOOK_EVERY_S = 2.0
PATIENCE_S = 60.0


def show_alerts(platform: Platform) -> list[dict[str, Any]]:
    """Print the live alerts, weightiest first, each with what is to be done first."""
    weight = {"critical": 0, "high": 1, "medium": 2, "low": 3}
    alerts = sorted(
        platform.items("/v1/operator/alerts", status="open"),
        key=lambda one: weight[one["severity"]],
    )
    for alert in alerts:
        print(f"{alert['severity']:8} {alert['code']:16} {alert['title']}")
    for code in sorted({one["code"] for one in alerts if one["code"].startswith("F-")}):
        fault = platform.get(f"/v1/operator/faults/{code}")
        print(f"{code}: {fault['title']}. First: {fault['steps'][0]['text']}")
    print(f"{len(alerts)} open alerts")
    return alerts


def show_health(platform: Platform, device_id: str) -> None:
    """Print what is known of a charger's parts."""
    health = platform.get(f"/v1/operator/devices/{device_id}/component-health")
    print(f"{device_id}: {len(health['connectors'])} connectors tell of their parts")


def work_through(platform: Platform, device_id: str) -> dict[str, Any]:
    """Work through a runbook for a charger as far as it goes without anybody on site."""
    runs = "/v1/operator/runbooks/connector-stuck-in-preparing/runs"
    try:
        run = platform.post(runs, {"device_id": device_id, "connector_id": 1})
    except RefusedError as refusal:  # somebody is at it already: go on from there
        run = platform.get(f"{runs}/{refusal.envelope['details']['run_id']}")
    path = f"{runs}/{run['run_id']}"
    until_s = time.monotonic() + PATIENCE_S
    for _ in range(STEPS_MOST):
        while (step := run.get("next_action")) and step["kind"] in {"wait", "work"}:
            if time.monotonic() > until_s:
                return dict(platform.post(f"{path}/cancel"))
            time.sleep(LOOK_EVERY_S)
            run = platform.get(path)
        if not step:
            break
        print(f"step {step['n']}: {step.get('question', step['title'])}")
        answer = {"outcome": "not_possible", "answered_by": "an example"}
        run = platform.post(f"{path}/steps/{step['n']}", answer)
    print(f"{run['status']}: {run.get('conclusion', '')}")
    if run["status"] == "escalated":
        bundle = Path(f"{run['run_id']}.zip")
        bundle.write_bytes(platform.download(f"{path}/bundle"))
        print(f"bundle: {bundle}")
    return dict(run)


def main() -> None:
    """Look at the fleet, then at one charger."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--device", help="the charger to look at; else that of an alert, or any")
    wanted = parser.parse_args().device
    platform = Platform()
    alerts = show_alerts(platform)
    named = [alert["device_id"] for alert in alerts if "device_id" in alert]
    any_device = platform.get("/v1/operator/devices", size=1)["items"]
    device_id = wanted or (named or [any_device[0]["device_id"]])[0]
    show_health(platform, device_id)
    work_through(platform, device_id)


if __name__ == "__main__":
    main()
