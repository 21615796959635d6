"""Runbooks against simulated chargers: a cause is planted, the API alone finds it."""

import time

import pytest

from tests.api.runbooks.field import Field, discharge, until, wait_for, wait_for_fault
from tests.api.runbooks.playing import NO_FLOW, POWER_UP, PREPARING, Run


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
