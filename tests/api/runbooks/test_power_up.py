"""The runbook of a charger that faults on power-up: every branch, with a charger that plays."""

import pytest

from tests.api.runbooks.playing import AC_POWER_UP, POWER_UP, Run, Stage, fault, idle, phases
from tests.api.tenancy import heartbeat


def reboot(run: Run) -> None:
    """Confirm the reboot and let the charger do it."""
    run.answer("controlled-reboot", "passed")
    run.obey("reboot", "accepted")
    run.charger.send("heartbeat", heartbeat())


def test_run__all_well_after_the_reboot__is_resolved_with_the_evidence(stage: Stage) -> None:
    """Supply, log and firmware are read; a confirmed reboot brings the charger back: resolved."""
    run = stage.begin(stage.charger(), POWER_UP)
    question = run.asks("controlled-reboot")
    assert question["kind"] == "confirm"
    reboot(run)
    seen = run.ends("resolved")
    assert (seen["cause"], run.steps()) == (
        "reboot",
        ["supply-power", "fault-log", "firmware-version", "controlled-reboot"],
    )
    assert [step["verdict"] for step in seen["steps"]] == ["passed"] * 4
    assert run.step("supply-power")["evidence"]["voltages_v"] == [230.0, 231.0, 229.0]
    assert run.step("firmware-version")["evidence"]["latest_stable"] == ["3.1.0"]
    done = run.step("controlled-reboot")
    assert done["confirmed_by"] == "A. Engineer"
    assert done["evidence"]["status"] == "online"
    assert done["evidence"]["heartbeat_age_s"] < 60
    assert len(done["command_ids"]) == 1


@pytest.mark.parametrize(
    ("supply", "finding"),
    [
        (phases(a=180.0), "voltage_out_of_range"),
        (phases(a=214.0, b=245.0, c=231.0), "unbalanced"),
        ({name: phases()[name] for name in ("phase_a", "phase_b")}, "phase_missing"),
    ],
)
def test_run__supply_that_is_wrong__is_escalated(stage: Stage, supply: dict, finding: str) -> None:
    """A phase that is missing, out of range or unbalanced goes to an engineer on site."""
    charger = stage.charger()
    charger.send("telemetry", idle(phase_details=supply))
    run = stage.begin(charger, POWER_UP)
    seen = run.ends("escalated")
    assert (seen["escalated_to"], seen["conclusion"]) == ("on-site engineer", "Escalated to L2")
    assert run.steps() == ["supply-power", "escalate"]
    assert run.step("supply-power")["finding"] == finding
    assert set(run.step("escalate")["evidence"]) == {"fault_log", "firmware", "thermal_anomalies"}


@pytest.mark.parametrize("outcome", ["passed", "failed", "not_possible"])
def test_run__supply_that_nothing_tells_of__is_asked_about(stage: Stage, outcome: str) -> None:
    """Where no frame tells of the supply a person measures, and what they find counts."""
    charger = stage.charger()
    charger.send("telemetry", idle(phase_details={}))
    run = stage.begin(charger, POWER_UP)
    assert "multimeter" in run.asks("supply-power")["question"]
    run.answer("supply-power", outcome, note="230 V on all three")
    step = run.step("supply-power")
    assert (step["verdict"], step["answered_by"], step["note"]) == (
        outcome, "A. Engineer", "230 V on all three",
    )  # fmt: skip
    assert run.steps()[1] == ("escalate" if outcome == "failed" else "fault-log")


def test_run__module_timeout_in_the_log__goes_on_with_the_firmware(stage: Stage) -> None:
    """One F-0411 leads to the firmware step."""
    charger = stage.charger()
    charger.send("events", fault("F-0411", module_index=2))
    run = stage.begin(charger, POWER_UP)
    assert run.step("fault-log")["finding"] == "F-0411"
    assert run.steps()[2] == "firmware-version"


def test_run__cooling_fault_on_power_up__pauses_for_its_entry(stage: Stage) -> None:
    """F-0204 pauses the run and points to the dictionary; once that is done it goes on."""
    charger = stage.charger()
    charger.send("events", fault("F-0204"))
    run = stage.begin(charger, POWER_UP)
    seen = run.seen()
    assert (seen["status"], seen["next_action"]["faults"]) == ("paused", ["F-0204"])
    run.answer("cooling", "passed")
    assert run.steps() == [
        "supply-power", "fault-log", "cooling", "firmware-version", "controlled-reboot",
    ]  # fmt: skip


def test_run__cooling_that_cannot_be_put_right__is_escalated(stage: Stage) -> None:
    """A cabinet that stays hot goes to an engineer."""
    charger = stage.charger()
    charger.send("events", fault("F-0204"))
    charger.send("telemetry", idle(temperature=82.0))
    run = stage.begin(charger, POWER_UP)
    run.answer("cooling", "failed")
    run.ends("escalated")
    hot = run.step("escalate")["evidence"]["thermal_anomalies"]
    assert (hot[0]["value"], hot[0]["limit"]) == (82.0, 75.0)


def test_run__v2g_code_in_the_log__goes_on_in_the_other_runbook(stage: Stage) -> None:
    """F-0701 or F-0702 hands over to the runbook for discharging, and the two name each other."""
    charger = stage.charger("TP-DC180-V2G", firmware_version="4.1.0")
    charger.send("events", fault("F-0702") | {"connector_id": 2})
    run = stage.begin(charger, POWER_UP)
    seen = run.ends("handed_over")
    further = Run(stage, charger, "v2g-discharge-no-flow", seen["next_run_id"]).seen()
    assert (further["from_run_id"], further["connector_id"]) == (run.run_id, 2)
    assert further["steps"][0]["id"] == "command-delivery"


def test_run__firmware_far_behind__plans_an_upgrade_and_goes_on(stage: Stage) -> None:
    """A lower major, or three minors and more, is an upgrade to plan; the run goes on."""
    run = stage.begin(stage.charger(firmware_version="2.9.9"), POWER_UP)
    step = run.step("firmware-version")
    assert (step["verdict"], step["finding"]) == ("failed", "far_behind")
    assert "upgrade" in step["advice"]
    run.asks("controlled-reboot")


def test_run__firmware_of_no_scheme__is_asked_about(stage: Stage) -> None:
    """A version that cannot be compared is for a person to judge."""
    run = stage.begin(stage.charger(firmware_version="custom"), POWER_UP)
    run.answer("firmware-version", "not_possible")
    run.asks("controlled-reboot")


def test_run__charger_that_stays_away_after_the_reboot__is_escalated(stage: Stage) -> None:
    """Offline when the time to boot is over: an engineer, by way of the fleet's log."""
    run = stage.begin(stage.charger(), POWER_UP)
    run.answer("controlled-reboot", "passed")
    run.obey("reboot", "accepted")
    run.charger.send("heartbeat", heartbeat(status="offline"))
    run.ends("escalated")
    assert run.step("controlled-reboot")["finding"] == "not_back"
    assert run.steps()[-2:] == ["firmware-cluster", "escalate"]
    assert run.step("firmware-cluster")["finding"] == "not_seen_here"


def test_run__charger_that_faults_again_after_the_reboot__is_escalated(stage: Stage) -> None:
    """Online for a moment and then a fault is no success."""
    run = stage.begin(stage.charger(), POWER_UP)
    run.answer("controlled-reboot", "passed")
    run.obey("reboot", "accepted")
    run.charger.send("events", fault("F-0411", ago_s=-0.5))
    run.ends("escalated")
    assert run.step("controlled-reboot")["finding"] == "faulted_again"
    assert run.step("escalate")["evidence"]["fault_log"][0]["fault"] == "F-0411"


def test_run__reboot_that_is_refused__is_done_on_site(stage: Stage) -> None:
    """A charger that rejects the command is power-cycled by an engineer, and judged the same."""
    run = stage.begin(stage.charger(), POWER_UP)
    run.answer("controlled-reboot", "passed")
    run.obey("reboot", "rejected", message="A vehicle charges")
    run.comes_to("controlled-reboot")
    refused = run.step("controlled-reboot")["evidence"]["reboot"]
    assert (refused["status"], refused["result"]["message"]) == ("failed", "A vehicle charges")
    assert "power-cycle" in run.asks("controlled-reboot")["question"]
    run.answer("controlled-reboot", "passed")
    run.ends("resolved")


def test_run__reboot_that_nobody_may_do__is_escalated(stage: Stage) -> None:
    """Declined from here and not possible on site: escalated."""
    run = stage.begin(stage.charger(), POWER_UP)
    run.answer("controlled-reboot", "not_possible")
    run.answer("controlled-reboot", "not_possible")
    run.ends("escalated")
    assert run.step("controlled-reboot")["command_ids"] == []


def test_run__cluster_over_the_fleet__blames_the_firmware(stage: Stage) -> None:
    """Three devices on two sites of one version: the firmware, and hands off the contactors."""
    sites = [stage.tenant.site_id, stage.tenant.site("Second")]
    chargers = [
        stage.charger(site_id=site, firmware_version="3.0.1") for site in (*sites, sites[0])
    ]
    for charger in chargers:
        for number in range(3):
            charger.send("events", fault("F-0421", ago_s=10.0 + number))
    run = stage.begin(chargers[0], POWER_UP)
    seen = run.ends("resolved")
    assert seen["cause"] == "firmware"
    assert run.steps() == ["supply-power", "fault-log", "firmware-cluster"]
    found = run.step("firmware-cluster")
    assert (found["evidence"]["devices"], found["evidence"]["sites"]) == (3, 2)
    assert found["evidence"]["firmware_version"] == "3.0.1"
    assert "contactors" in found["advice"]


def test_run__one_bad_device__is_no_cluster(stage: Stage) -> None:
    """The same fault on one device only is not the firmware's: escalated."""
    charger = stage.charger(firmware_version="3.0.2")
    for number in range(4):
        charger.send("events", fault("F-0421", ago_s=10.0 + number))
    run = stage.begin(charger, POWER_UP)
    run.ends("escalated")
    assert run.steps() == ["supply-power", "fault-log", "firmware-cluster", "escalate"]


def test_run__ac_unit_on_one_phase__has_a_healthy_supply(stage: Stage) -> None:
    """The AC variant takes one phase or three, and knows no V2G."""
    charger = stage.charger("TP-AC22")
    charger.send("telemetry", idle(phase_details={"phase_a": phases()["phase_a"]}))
    charger.send("events", fault("F-0702", ago_s=5))
    run = stage.begin(charger, AC_POWER_UP)
    assert run.step("supply-power")["verdict"] == "passed"
    assert run.seen()["status"] != "handed_over"
    refused = stage.api.post(
        f"/v1/operator/runbooks/{POWER_UP}/runs", {"device_id": charger.device_id}, expect=409
    )
    assert refused.details["reason"] == "model_not_covered"
