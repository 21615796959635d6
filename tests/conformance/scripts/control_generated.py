"""Every published control operation with a client that was generated from the contract.

Runs in an environment of its own, like the quickstart's. Takes the address, client and device from
the environment; prints what became of each operation as JSON.
"""

import json
import os
import sys
import time
from typing import Any

from quickstart_generated import Generated

_CONTROL = "operator_remote_control.post_operator_devices_device_id_connectors_connector_id"
_FLEXIBILITY = "operator_energy_flexibility.post_operator_control_flexibility"
_COMMAND = "operator_commands.get_operator_commands_command_id"
_DURATION_S = 3


def set_schedule(generated: Generated, device_id: str) -> None:
    """Store a schedule; the contract says of its answer only that it is there."""
    models = generated.models
    slot = models.TimeSlot(
        start="22:00",
        end="06:00",
        action=models.ScheduleAction.CHARGE,
        day_of_week=[models.DayOfWeek.MON, models.DayOfWeek.FRI],
        power_limit=22.0,
    )
    schedule = models.ScheduleRequest(
        schedule_id="night",
        enabled=True,
        type_=models.ScheduleType.WEEKLY,
        time_slots=[slot],
        target_soc=80,
        timezone="Europe/London",
    )
    place = f"{_CONTROL}_schedule"
    generated.call(place, generated.client, device_id, 1, body=schedule)


def command_connector(generated: Generated, device_id: str) -> dict[str, list[str]]:
    """Start, stop and discharge; return how each was answered and how it ended."""
    models = generated.models
    bodies = {
        "start": models.RemoteStartRequest(charge_power=22.0, duration=600, target_soc=80),
        "stop": models.RemoteStopRequest(reason="user_request"),
        "discharge": models.RemoteDischargeRequest(discharge_power=10.0, duration=60, min_soc=30),
    }
    found = {}
    for name, body in bodies.items():
        answer = models.CommandQueuedResponse
        queued = generated.ask(f"{_CONTROL}_{name}", answer, device_id, 1, body=body)
        found[name] = [queued.status.value, generated.follow(queued.command_id)]
    return found


def control_fleet(
    generated: Generated, target_type: str, target_ids: list[str], command: str, **params: Any
) -> dict[str, Any]:
    """Limit a fleet for some seconds; return how that was answered, went on and ended."""
    models = generated.models
    request = models.FlexibilityRequest.from_dict({
        "target_type": target_type,
        **({"target_ids": target_ids} if target_ids else {}),
        "command": command,
        "params": {"duration": _DURATION_S, **params},
    })  # fmt: skip
    answered = generated.ask(_FLEXIBILITY, models.FlexibilityResponse, body=request)
    under_way = wait_for(generated, answered.control_id, {"accepted", "completed", "failed"})
    ended = wait_for(generated, answered.control_id, {"completed", "failed"})
    return {
        "answered": answered.status.value,
        "under_way": under_way.status.value,
        "status": ended.status.value,
        "targets": ended.result.to_dict()["targets"],
    }


def wait_for(generated: Generated, control_id: str, statuses: set[str]) -> Any:
    """Return a control once it stands so, read as the command that it is to its operator."""
    for _ in range(200):
        control = generated.ask(_COMMAND, generated.models.CommandStatusResponse, control_id)
        if control.status.value in statuses:
            return control
        time.sleep(0.1)
    raise TimeoutError(control_id)


def main() -> None:
    """Call them all."""
    base_url, device_id = os.environ["BASE_URL"], os.environ["DEVICE_ID"]
    generated = Generated(sys.argv[1])
    generated.get_token(base_url)
    place = "operator_sites_devices.get_operator_sites"
    page = generated.ask(place, generated.models.PageMeta)
    site_ids = [item["site_id"] for item in page["items"]]
    operator_ids = [os.environ["OPERATOR_ID"]]
    limit, pause = "set_power_limit", "pause_charging"
    set_schedule(generated, device_id)
    found: dict[str, Any] = command_connector(generated, device_id)
    found["site"] = control_fleet(
        generated, "site", site_ids, limit, power_limit_percent=50, reason="grid_overload"
    )
    found["operator"] = control_fleet(generated, "operator", operator_ids, pause)
    found["all"] = control_fleet(generated, "all", [], limit, power_limit_percent=30)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
