"""The runbook of a connector stuck in Preparing: every branch, with a charger that plays."""

import pytest

from tests.api.runbooks.playing import PREPARING, Run, Stage, fault
from tests.api.tenancy import Charger, event, moment, sample

VEHICLE = {"make": "Acme", "model": "Roadster", "firmware": "1.2.3"}


def stuck(stage: Stage, *, auth: str = "auth_ok", model: str = "TP-DC60") -> Charger:
    """A charger whose connector is plugged in and stays in Preparing."""
    charger = stage.charger(model)
    if auth:
        charger.send("events", event(timestamp=moment(20), event_type=auth))
    charger.send("events", event(timestamp=moment(15), event_type="plug_in"))
    prepare(charger, 10)
    return charger


def prepare(charger: Charger, ago_s: float = 0) -> None:
    """A sample of a connector in Preparing."""
    charger.send("telemetry", show("preparing", ago_s))


def show(state: str, ago_s: float = 0) -> dict:
    """A sample of a connector."""
    power_kw = 40.0 if state == "charging" else 0.0
    return sample(timestamp=moment(ago_s), state=state, power=power_kw, energy_delivered=0.0)


def begin(stage: Stage, charger: Charger) -> Run:
    """Begin a run."""
    return stage.begin(charger, PREPARING, connector_id=1, vehicle=VEHICLE)


def at_cycling(stage: Stage) -> Run:
    """A run that asks whether it may stop and start."""
    run = begin(stage, stuck(stage))
    run.answer("vehicle-handshake", "passed")
    return run


def cycle(run: Run, state: str) -> None:
    """Let the charger stop, start, and be in a state then."""
    run.answer("state-cycling", "passed")
    run.obey("stop_charging", "rejected")
    run.obey("start_charging", "accepted", "completed")
    run.charger.send("telemetry", show(state, -0.5))


def test_run__car_that_fails_at_several_chargers__is_the_vehicles_side(stage: Stage) -> None:
    """A car with a fault of its own, or that fails elsewhere too, ends the run."""
    run = begin(stage, stuck(stage))
    run.answer("vehicle-handshake", "failed")
    assert run.ends("resolved")["cause"] == "vehicle"
    assert run.steps() == ["vehicle-handshake"]


@pytest.mark.parametrize("outcome", ["passed", "not_possible"])
def test_run__charger_where_several_cars_fail__looks_for_the_authentication(
    stage: Stage, outcome: str
) -> None:
    """The charger's side: an `auth_ok` before the stuck state is found and kept as evidence."""
    run = begin(stage, stuck(stage))
    run.answer("vehicle-handshake", outcome)
    found = run.step("authentication")
    assert found["verdict"] == "passed"
    assert found["evidence"]["authentications"][0]["event_type"] == "auth_ok"
    assert run.asks("state-cycling")["kind"] == "confirm"


def test_run__authentication_that_failed__goes_to_the_cpms_team(stage: Stage) -> None:
    """Without `auth_ok` before the stuck state the path from the CPMS is at fault."""
    run = begin(stage, stuck(stage, auth="auth_failed"))
    run.answer("vehicle-handshake", "passed")
    seen = run.ends("escalated")
    assert (seen["cause"], seen["escalated_to"]) == ("authentication", "CPMS team")


def test_run__authentication_absent_this_time__goes_to_the_cpms_team(stage: Stage) -> None:
    """A charger that was authenticated to yesterday and not today: the path is at fault."""
    charger = stage.charger("TP-DC60")
    charger.send("events", event(timestamp=moment(86_400), event_type="auth_ok"))
    charger.send("events", event(timestamp=moment(15), event_type="plug_in"))
    prepare(charger)
    run = begin(stage, charger)
    run.answer("vehicle-handshake", "passed")
    run.ends("escalated")
    assert run.step("authentication")["finding"] == "auth_absent"


@pytest.mark.parametrize(("outcome", "ends"), [("failed", True), ("passed", False)])
def test_run__charger_that_never_authenticates__is_asked_about(
    stage: Stage, outcome: str, *, ends: bool
) -> None:
    """Where no authentication is ever reported, a person says whether there should be one."""
    run = begin(stage, stuck(stage, auth=""))
    run.answer("vehicle-handshake", "passed")
    run.answer("authentication", outcome)
    if ends:
        assert run.ends("escalated")["escalated_to"] == "CPMS team"
    else:
        run.asks("state-cycling")


def test_run__second_attempt_that_works__is_intermittent_and_the_third_in_a_week_escalates(
    stage: Stage,
) -> None:
    """Stop and start help: watch. The third time within seven days it is escalated."""
    charger = stuck(stage)
    for time in (1, 2, 3):
        prepare(charger)
        run = begin(stage, charger)
        run.answer("vehicle-handshake", "passed")
        cycle(run, "charging")
        if time < 3:
            assert run.ends("resolved")["cause"] == "intermittent"
    run.ends("escalated")
    cycled = run.step("state-cycling")
    assert (cycled["finding"], cycled["evidence"]["recurrences"]) == ("recurring", 3)
    assert len(cycled["command_ids"]) == 2


def test_run__third_fault_of_a_week__counts_as_recurrence(stage: Stage) -> None:
    """Three F-0421 at the connector within seven days are three recurrences."""
    charger = stuck(stage)
    for days in (1, 3, 6):
        charger.send("events", fault("F-0421", ago_s=days * 86_400))
    run = begin(stage, charger)
    run.answer("vehicle-handshake", "passed")
    cycle(run, "charging")
    run.ends("escalated")
    assert run.step("state-cycling")["finding"] == "recurring"


def test_run__second_attempt_that_may_not_be_made__goes_to_the_connector(stage: Stage) -> None:
    """Nobody confirms: somebody looks at the connector."""
    run = at_cycling(stage)
    run.answer("state-cycling", "not_possible")
    assert "latch" in run.asks("physical-connector")["question"]


def test_run__start_that_is_refused__goes_to_the_connector(stage: Stage) -> None:
    """The charger rejects the start: somebody looks at the connector."""
    run = at_cycling(stage)
    run.answer("state-cycling", "passed")
    run.obey("stop_charging", "completed")
    run.obey("start_charging", "rejected")
    run.comes_to("physical-connector")
    assert run.step("state-cycling")["finding"] == "command_failed"


def test_run__damaged_connector__is_escalated_with_what_l2_needs(stage: Stage) -> None:
    """What cannot be cleaned goes to L2 with faults, vehicle, firmware and photos."""
    run = at_cycling(stage)
    run.answer("state-cycling", "not_possible")
    run.answer("physical-connector", "failed", note="two pins are bent")
    assert run.ends("escalated")["escalated_to"] == "L2"
    evidence = run.step("escalate")["evidence"]
    assert set(evidence) == {"fault_log", "vehicle", "firmware", "photos"}
    assert evidence["vehicle"] == VEHICLE
    assert evidence["firmware"]["firmware_version"] == "3.1.0"


@pytest.mark.parametrize(
    ("inspected", "step", "state", "status"),
    [
        ("passed", "reset-connector", "idle", "resolved"),
        ("not_possible", "reset-unseen", "idle", "resolved"),
    ],
)
def test_run__reset__is_confirmed_and_judged(
    stage: Stage, inspected: str, step: str, state: str, status: str
) -> None:
    """A reset takes the connector out of service, so it is confirmed; a sample after it decides."""
    run = at_cycling(stage)
    run.answer("state-cycling", "not_possible")
    run.answer("physical-connector", inspected)
    assert run.asks(step)["kind"] == "confirm"
    run.answer(step, "passed")
    command = run.obey("reset_connector", "accepted", "completed")
    assert command["params"]["connector_id"] == 1
    run.charger.send("telemetry", show(state, -0.5))
    run.ends(status)


def test_run__reset_without_the_scope__may_not_be_confirmed(stage: Stage) -> None:
    """Who may not give commands of medium risk may not confirm them in a run either."""
    run = at_cycling(stage)
    run.answer("state-cycling", "not_possible")
    run.answer("physical-connector", "passed")
    plain = stage.tenant.api_with(scopes=["read", "write"])
    number = run.asks("reset-connector")["n"]
    said = {"outcome": "passed", "answered_by": "A. Engineer"}
    refused = plain.post(f"{run.path}/steps/{number}", said, expect=403)
    assert (refused.code, refused.details["scope"]) == (2003, "diagnostics")
    assert run.seen()["status"] == "asking"
    plain.post(f"{run.path}/steps/{number}", said | {"outcome": "failed"}, expect=200)
    assert run.asks("reset-connector")["kind"] == "answer"


def test_run__reset_that_nobody_can_do__is_escalated(stage: Stage) -> None:
    """Neither from here nor on site: escalated."""
    run = at_cycling(stage)
    run.answer("state-cycling", "not_possible")
    run.answer("physical-connector", "passed")
    run.answer("reset-connector", "failed")
    run.answer("reset-connector", "not_possible")
    run.ends("escalated")


def test_run__no_connector_named__is_refused(stage: Stage) -> None:
    """The runbook is about a connector; one that there is not is unknown."""
    charger = stage.charger()
    path = f"/v1/operator/runbooks/{PREPARING}/runs"
    missing = stage.api.post(path, {"device_id": charger.device_id}, expect=400)
    assert missing.details["field"] == "connector_id"
    stage.api.post(path, {"device_id": charger.device_id, "connector_id": 7}, expect=404)
