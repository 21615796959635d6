"""Runbooks against simulated chargers: a cause is planted, the API alone finds it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tellus.simulator.control import ControlRequest, ask_fleet
from tests.api.runbooks.conftest import BOOT
from tests.api.runbooks.playing import NO_FLOW, POWER_UP, PREPARING, Run, Stage
from tests.api.tenancy import Charger, Tenant, new_tenant
from tests.contract.client import ContractClient
from tests.server import RunningServer, start_server

SCRIPT = Path(__file__).with_name("quick_chargers.py")
REPOSITORY = Path(__file__).parents[3]
TIMES = BOOT | {"TELLUS_RUNBOOKS__BOOT_S": "3", "TELLUS_RUNBOOKS__RETURN_S": "30"}
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


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """A server of this module's own with a dozen simulated chargers at it."""
    folder = tmp_path_factory.mktemp("field")
    server = start_server(folder / "data", environment=TIMES)
    command = [
        sys.executable, SCRIPT, "simulate", "--base-url", server.base_url, "--chargers", "14",
        "--scenario", "quiet", "--seed", "7", "--control", folder / "fleet.sock", "--quiet",
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
        lambda total: total == 14,
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


def test_power_up__charger_that_is_well__is_resolved_by_its_reboot(field: Field) -> None:
    """Supply, log and firmware are fine; the charger reboots and comes back."""
    _, charger = field.take("TP-DC180")
    run = field.stage.begin(charger, POWER_UP)
    if run.steps() == ["supply-power"]:  # it has sent no sample yet: idle ones come once a minute
        run.answer("supply-power", "passed")
    run.answer("controlled-reboot", "passed")
    seen = until(run.seen, lambda one: "ended_at" in one)
    assert (seen["status"], seen["cause"]) == ("resolved", "reboot")


def test_power_up__module_that_is_silent__is_seen_in_the_log(field: Field) -> None:
    """A power module stops answering in a session: F-0411, and on with the firmware."""
    sn, charger = field.take("TP-DC360")
    field.tell("inject", sn, "F-0411")
    field.tell("plug-in", sn, "40")
    wait_for_fault(charger, "F-0411")
    run = field.stage.begin(charger, POWER_UP)
    assert run.step("fault-log")["finding"] == "F-0411"
    assert run.steps()[2] == "firmware-version"


def stuck(field: Field, cause: str) -> Run:
    """A run about a connector that stays in Preparing for a cause, past its first question."""
    sn, charger = field.take("TP-DC60")
    field.tell("inject", sn, "stall", cause)
    field.tell("plug-in", sn, "40")
    wait_for(charger, "preparing")
    until(lambda: charger.events(event_type="plug_in"), bool)
    if cause != "auth":
        until(lambda: charger.events(event_type="auth_ok"), bool)
        time.sleep(3.0)  # its handshake has hung by then; before, it would refuse to be reset
    run = field.stage.begin(charger, PREPARING, connector_id=1)
    run.answer("vehicle-handshake", "passed")
    return run


def test_preparing__authentication_that_never_came__goes_to_the_cpms_team(field: Field) -> None:
    """Without `auth_ok` it is the path from the CPMS."""
    run = stuck(field, "auth")
    run.answer("authentication", "failed")
    assert run.ends("escalated")["escalated_to"] == "CPMS team"


def test_preparing__connector_that_hangs__is_freed_by_its_reset(field: Field) -> None:
    """The authentication came; the reset sets the connector free."""
    run = stuck(field, "connector")
    assert run.step("authentication")["verdict"] == "passed"
    run.answer("state-cycling", "not_possible")
    run.answer("physical-connector", "passed")
    run.answer("reset-connector", "passed")
    seen = until(run.seen, lambda one: "ended_at" in one)
    assert (seen["status"], seen["cause"]) == ("resolved", "reset")


def test_no_flow__car_that_refuses__is_the_answer(field: Field) -> None:
    """The car's battery management says no: F-0702, with its code as evidence."""
    sn, charger = field.take("TP-DC180-V2G")
    field.tell("inject", sn, "F-0702")
    field.tell("plug-in", sn, "70")
    command_id = discharge(field, charger, "failed")
    wait_for_fault(charger, "F-0702")
    run = field.stage.begin(charger, NO_FLOW, connector_id=1, command_id=command_id)
    seen = run.ends("resolved")
    assert seen["cause"] == "vehicle"
    found = run.step("vehicle-eligibility")
    assert found["evidence"]["refusals"][0]["data"]["refusal_code"]


@pytest.mark.slow
def test_no_flow__inverter_that_loses_the_grid__pauses_for_its_entry(field: Field) -> None:
    """The inverter loses sync in the discharge: F-0701, grid or firmware."""
    sn, charger = field.take("TP-DC360-V2G")
    field.tell("inject", sn, "F-0701", "pll")
    field.tell("plug-in", sn, "70")
    discharge(field, charger, "completed", "failed")
    wait_for_fault(charger, "F-0701")
    run = field.stage.begin(charger, NO_FLOW, connector_id=1)
    run.answer("vehicle-eligibility", "passed")
    assert run.step("inverter-sync")["finding"] == "F-0701"
    assert run.seen()["next_action"]["faults"] == ["F-0701"]
