"""The branches that the runbooks name, each with its truth planted in a simulated charger."""

import json
import time
import zipfile

import pytest

from tests.api.runbooks.field import Field, discharge, until, wait_for, wait_for_fault
from tests.api.runbooks.playing import AC_POWER_UP, NO_FLOW, POWER_UP, PREPARING, Run
from tests.api.runbooks.test_runs import download
from tests.api.tenancy import Charger

BUNDLE = {
    "report.html", "run.json", "faults.json", "firmware.json", "commands.json",
    "component_health.json", "vehicle.json", "device.json", "telemetry.csv",
}  # fmt: skip
VEHICLE = {"make": "Acme", "model": "Roadster", "firmware": "1.2.3"}


def bundle_of(run: Run) -> zipfile.ZipFile:
    """The bundle of an escalated run, which is complete."""
    packed = download(run.stage, run)
    assert set(packed.namelist()) >= BUNDLE
    told = json.loads(packed.read("run.json"))
    assert (told["status"], told["run_id"]) == ("escalated", run.run_id)
    assert [step["step_id"] for step in told["steps"]] == run.steps()
    return packed


def idle_seen(charger: Charger) -> None:
    """Wait for the first sample of a charger."""
    until(charger.samples, bool)


def is_gone(charger: Charger, turn: int) -> None:
    """Wait until so many vehicles have left."""
    until(lambda: charger.events(event_type="plug_out"), lambda events: len(events) >= turn)


# ------------------------------------------------------------------ faulting on power-up


def test_power_up__phase_that_is_lost__is_escalated(field: Field) -> None:
    """A lost supply phase is read from the newest frame: the engineer gets the bundle."""
    sn, charger = field.take("TP-DC360")
    field.tell("inject", sn, "supply", "lost-phase")
    until(lambda: lowest_phase_v(charger), lambda volts: volts < 50.0)
    run = field.stage.begin(charger, POWER_UP)
    assert run.ends("escalated")["escalated_to"] == "on-site engineer"
    assert run.steps() == ["supply-power", "escalate"]
    bundle_of(run)


def lowest_phase_v(charger: Charger) -> float:
    """The lowest voltage of the supply in the newest frame."""
    phases = charger.connector().get("phase_details") or charger.samples()[-1].get("phase_details")
    return min((phase["voltage"] for phase in (phases or {}).values()), default=999.0)


def test_power_up__wallbox_with_a_lost_phase__is_escalated(field: Field) -> None:
    """The AC variant reads the supply too, and knows a three-phase unit by its frames."""
    sn, charger = field.take("TP-AC22")
    field.tell("inject", sn, "supply", "unbalanced")
    until(lambda: lowest_phase_v(charger), lambda volts: volts < 215.0)
    run = field.stage.begin(charger, AC_POWER_UP)
    run.ends("escalated")
    assert run.step("supply-power")["verdict"] == "failed"
    bundle_of(run)


def test_power_up__hot_cabinet_of_an_old_build__is_cooled_first(field: Field) -> None:
    """F-0204 pauses; once it is put right the old build is noted, and the reboot settles it."""
    sn, charger = field.take("TP-DC360")
    idle_seen(charger)
    field.tell("inject", sn, "F-0204", "sensor-drift")
    wait_for_fault(charger, "F-0204")
    run = field.stage.begin(charger, POWER_UP)
    assert run.seen()["next_action"]["faults"] == ["F-0204"]
    field.tell("cure", sn, "F-0204")
    run.answer("cooling", "passed")
    assert run.step("firmware-version")["finding"] == "far_behind"
    run.answer("controlled-reboot", "passed")
    until(run.seen, lambda one: "ended_at" in one)
    run.ends("resolved")


@pytest.mark.slow
def test_power_up__module_that_stays_silent__faults_again_and_is_escalated(field: Field) -> None:
    """The silent module is found again at boot: F-0411 after the reboot, to an engineer."""
    sn, charger = field.take("TP-DC180-V2G")
    idle_seen(charger)
    field.tell("inject", sn, "F-0411")
    wait_for_fault(charger, "F-0411")
    run = field.stage.begin(charger, POWER_UP)
    run.answer("controlled-reboot", "passed")
    until(run.seen, lambda one: "ended_at" in one)
    run.ends("escalated")
    assert run.step("controlled-reboot")["finding"] == "faulted_again"
    faults = json.loads(bundle_of(run).read("faults.json"))
    assert faults[0]["fault"] == "F-0411"


def fail_to_start(field: Field, sn: str, charger: Charger, times: int) -> None:
    """Let so many starts end in F-0421."""
    for number in range(1, times + 1):
        field.tell("inject", sn, "F-0421", "stuck")
        field.tell("plug-in", sn, "40")
        until(
            lambda: charger.events(event_type="fault", fault_code="F-0421"),
            lambda events, number=number: len(events) >= number,
        )
        field.tell("plug-out", sn)
        field.tell("cure", sn, "F-0421")
        is_gone(charger, number)


def test_power_up__contactors_of_several_sites__are_the_firmwares(field: Field) -> None:
    """Three chargers of two sites on 3.0.1: the firmware is to blame, without an escalation."""
    cast = [field.take("TP-DC180") for _ in range(3)]
    second = field.stage.tenant.site("Second")
    path = f"/v1/admin/devices/{cast[0][1].device_id}"
    field.stage.tenant.admin.request("PATCH", path, json={"site_id": second}, expect=200)
    for (sn, charger), times in zip(cast, (3, 1, 1), strict=True):
        idle_seen(charger)
        fail_to_start(field, sn, charger, times)
    run = field.stage.begin(cast[0][1], POWER_UP)
    assert run.ends("resolved")["cause"] == "firmware"
    assert run.step("firmware-cluster")["evidence"]["firmware_version"] == "3.0.1"


def test_power_up__contactor_of_one_charger__is_escalated(field: Field) -> None:
    """The same fault at one charger alone is not called firmware."""
    sn, charger = field.take("TP-DC360-V2G")
    idle_seen(charger)
    fail_to_start(field, sn, charger, 3)
    run = field.stage.begin(charger, POWER_UP)
    run.ends("escalated")
    assert run.steps() == ["supply-power", "fault-log", "firmware-cluster", "escalate"]
    bundle_of(run)


def test_power_up__refusing_vehicle__goes_on_in_the_runbook_for_discharging(field: Field) -> None:
    """A V2G code in the log hands over to the runbook for discharging, which has the answer."""
    sn, charger = field.take("TP-DC180-V2G")
    idle_seen(charger)
    field.tell("inject", sn, "F-0702", "not-certified")
    field.tell("plug-in", sn, "70")
    discharge(field, charger, "failed")
    wait_for_fault(charger, "F-0702")
    run = field.stage.begin(charger, POWER_UP)
    further = Run(field.stage, charger, NO_FLOW, run.ends("handed_over")["next_run_id"])
    assert further.ends("resolved")["cause"] == "vehicle"


# ------------------------------------------------------------------ stuck in Preparing


def hang(field: Field, sn: str, charger: Charger, cause: str) -> Run:
    """A run about a vehicle that hangs in Preparing at a charger for a cause."""
    field.tell("inject", sn, "stall", cause)
    field.tell("plug-in", sn, "40")
    wait_for(charger, "preparing")
    until(lambda: charger.events(event_type="auth_ok"), bool)
    time.sleep(2.0)  # its handshake has hung by then; before, it would refuse to be reset
    return field.stage.begin(charger, PREPARING, connector_id=1, vehicle=VEHICLE)


def test_preparing__car_that_fails_elsewhere_too__is_the_vehicles_side(field: Field) -> None:
    """One car at several chargers: the vehicle's side, and the end."""
    sn, charger = field.take("TP-AC22")
    run = hang(field, sn, charger, "vehicle")
    run.answer("vehicle-handshake", "failed")
    assert run.ends("resolved")["cause"] == "vehicle"


@pytest.mark.slow
def test_preparing__contactor_that_closes_at_another_try__recurs_and_is_escalated(
    field: Field,
) -> None:
    """Stop and start help: intermittent, twice to be watched, the third time escalated."""
    sn, charger = field.take("TP-AC22")
    for turn in (1, 2, 3):
        run = hang(field, sn, charger, "contactor")
        run.answer("vehicle-handshake", "passed")
        run.answer("state-cycling", "passed")
        seen = until(run.seen, lambda one: "ended_at" in one)
        assert seen["status"] == ("resolved" if turn < 3 else "escalated"), seen
        if turn < 3:
            assert seen["cause"] == "intermittent"
            field.tell("plug-out", sn)
            is_gone(charger, turn)
    assert run.step("state-cycling")["finding"] == "recurring"
    bundle_of(run)


def test_preparing__damaged_pins__are_escalated(field: Field) -> None:
    """What an inspection finds damaged goes to L2 with vehicle and firmware."""
    sn, charger = field.take("TP-AC22")
    run = hang(field, sn, charger, "connector")
    run.answer("vehicle-handshake", "passed")
    run.answer("state-cycling", "not_possible")
    run.answer("physical-connector", "failed", note="two pins are bent")
    run.ends("escalated")
    told = json.loads(bundle_of(run).read("vehicle.json"))
    assert "Roadster" in json.dumps(told)


@pytest.mark.slow
def test_preparing__vehicle_that_hangs_still__is_escalated_after_the_reset(field: Field) -> None:
    """The reset does not help, the inspection passed: L2."""
    sn, charger = field.take("TP-AC22")
    run = hang(field, sn, charger, "vehicle")
    run.answer("vehicle-handshake", "passed")
    run.answer("state-cycling", "not_possible")
    run.answer("physical-connector", "passed")
    run.answer("reset-connector", "passed")
    seen = until(run.seen, lambda one: "ended_at" in one)
    assert (seen["status"], seen["escalated_to"]) == ("escalated", "L2")
    assert run.step("reset-connector")["finding"] == "still_stuck"
    bundle_of(run)


# ------------------------------------------------------------------ discharge without power


@pytest.mark.slow
def test_no_flow__charger_that_is_cut_off__pauses_until_it_is_connected(field: Field) -> None:
    """The command stays queued; connected again, power flows, and that was it."""
    sn, charger = field.take("TP-DC180-V2G")
    idle_seen(charger)
    field.tell("plug-in", sn, "70")
    wait_for(charger, "charging")
    field.tell("inject", sn, "F-0301")
    command_id = discharge(field, charger, "queued")
    run = field.stage.begin(charger, NO_FLOW, connector_id=1, command_id=command_id)
    assert run.seen()["next_action"]["faults"] == ["F-0301", "F-0302"]
    field.tell("cure", sn, "F-0301")
    wait_for(charger, "discharging")
    run.answer("connectivity", "passed")
    assert run.ends("resolved")["cause"] == "connectivity"


def test_no_flow__empty_battery__is_the_answer(field: Field) -> None:
    """A car at the floor does not give: the vehicle, by its charge or its own refusal."""
    sn, charger = field.take("TP-DC360-V2G")
    idle_seen(charger)
    field.tell("plug-in", sn, "15")
    command_id = discharge(field, charger, "failed")
    run = field.stage.begin(charger, NO_FLOW, connector_id=1, command_id=command_id)
    assert run.ends("resolved")["cause"] == "vehicle"
    assert run.step("vehicle-eligibility")["finding"] in {"soc_below_floor", "F-0702"}


@pytest.mark.parametrize("outcome", ["passed", "failed"])
def test_no_flow__vehicle_that_hangs__is_told_by_another_one(field: Field, outcome: str) -> None:
    """Nothing explains it: a known-good vehicle blames the first one, or L2 gets the sequence."""
    sn, charger = field.take("TP-DC360-V2G")
    idle_seen(charger)
    field.tell("inject", sn, "stall", "vehicle")
    field.tell("plug-in", sn, "70")
    command_id = discharge(field, charger, "accepted", "queued")
    body = {"connector_id": 1, "command_id": command_id, "vehicle": VEHICLE}
    run = field.stage.begin(charger, NO_FLOW, **body)
    if run.steps()[-1] == "connectivity":
        run.answer("connectivity", "failed")
    run.answer("vehicle-eligibility", "passed")
    for step, said in (
        ("inverter-sync", "passed"),
        ("grid-or-firmware", "failed"),
        ("iso-15118-20", "passed"),
        ("vehicle-report", "passed"),
        ("known-good-vehicle", outcome),
    ):
        if run.steps()[-1] == step:
            run.answer(step, said)
    if outcome == "passed":
        assert run.ends("resolved")["cause"] == "vehicle"
        return
    run.ends("escalated")
    evidence = run.step("escalate")["evidence"]
    assert "command discharge" in {one["what"] for one in evidence["attempt_sequence"]}
    assert evidence["vehicle"] == VEHICLE
    bundle_of(run)
