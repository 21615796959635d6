"""A field of simulated chargers, for runbooks that are played against them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tellus.simulator.control import ControlRequest, ask_fleet
from tests.api.runbooks.playing import Stage
from tests.api.tenancy import Charger, Tenant, new_tenant
from tests.contract.client import ContractClient
from tests.server import RunningServer, start_server

SCRIPT = Path(__file__).with_name("quick_chargers.py")
REPOSITORY = Path(__file__).parents[3]
TIMES = {
    "TELLUS_RUNBOOKS__BOOT_S": "3",
    "TELLUS_RUNBOOKS__RETURN_S": "10",
    "TELLUS_RUNBOOKS__RESET_S": "0",
    "TELLUS_RUNBOOKS__RELEASE_S": "8",
    "TELLUS_RUNBOOKS__TURN_S": "0.1",
}
CHARGERS = 36
WITHIN_S = 30.0


class Field:
    """A fleet of simulated chargers and the operator whose they are."""

    def __init__(self, stage: Stage, control: Path, contract: ContractClient) -> None:
        self.stage = stage
        self._control = control
        self._contract = contract
        self._taken: set[str] = set()

    def take(self, model: str) -> tuple[str, Charger]:
        """A charger of a model that no other test has: serial number, and its operator's view."""
        query = {"model": model}
        found = self.stage.api.get("/v1/operator/devices", params=query, expect=200).data["items"]
        device = next(one for one in found if one["sn"] not in self._taken)
        self._taken.add(device["sn"])
        api = self.stage.api
        return device["sn"], Charger(device["device_id"], "", device["sn"], "", api, api)

    def tell(self, action: str, sn: str, value: str | None = None, variant: str = "") -> None:
        """Tell a charger what happens to it."""
        ask_fleet(self._control, ControlRequest(action, sn, 1, value, variant or None))


def run_field(folder: Path) -> Iterator[Field]:
    """A server with two dozen simulated chargers at it, of which each test takes its own."""
    server = start_server(folder / "data", environment=TIMES)
    command = [
        sys.executable, SCRIPT, "simulate", "--base-url", server.base_url, "--quiet",
        "--chargers", str(CHARGERS), "--scenario", "quiet", "--seed", "7",
        "--control", folder / "fleet.sock",
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as fleet:
        with ContractClient(server.base_url) as contract:
            yield Field(Stage(built_in(server, contract)), folder / "fleet.sock", contract)
        fleet.terminate()
    assert server.stop() == 0, "".join(server.stderr[-40:])


def built_in(server: RunningServer, contract: ContractClient) -> Tenant:
    """The operator that simulated chargers register with, once they all have."""
    operator_id = server.built_in_operator_id
    client = server.create_client(operator_id, ["read", "write", "diagnostics"])
    tenant = replace(new_tenant(server, contract), operator_id=operator_id, client=client)
    online = {"status": "online"}
    until(
        lambda: tenant.api.get("/v1/operator/devices", params=online, expect=200).data["total"],
        lambda total: total == CHARGERS,
    )
    return tenant


def until(look: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    """Look again until something holds."""
    until_s = time.monotonic() + WITHIN_S
    while not holds(seen := look()):
        assert time.monotonic() < until_s, str(seen)[-2500:]
        time.sleep(0.1)
    return seen


def wait_for(charger: Charger, word: str) -> None:
    """Wait until the first connector is in a state."""
    until(
        charger.connector,
        lambda one: word in {one.get("detail_state"), one["status"]},
    )


def wait_for_fault(charger: Charger, code: str) -> None:
    """Wait until the charger has reported a fault."""
    until(lambda: charger.events(event_type="fault", fault_code=code), bool)


def discharge(field: Field, charger: Charger, *statuses: str) -> str:
    """Ask for a discharge and wait until its command stands so."""
    path = f"/v1/operator/devices/{charger.device_id}/connectors/1/discharge"
    made = field.stage.api.post(path, {"discharge_power": 10.0}, expect=200)
    command_id: str = made.data["command_id"]
    where = f"/v1/operator/commands/{command_id}"
    until(lambda: field.stage.api.get(where, expect=200).data["status"], lambda it: it in statuses)
    return command_id
