"""The runbook of a discharge without power: every branch, with a charger that plays."""

import pytest

from tests.api.runbooks.playing import NO_FLOW, Run, Stage, fault, idle
from tests.api.tenancy import Charger, moment

BUILD = {"firmware_version": "260420.0107"}


def bidirectional(stage: Stage, soc: int = 60, **more: object) -> Charger:
    """A charger that can discharge, with a car at its first connector."""
    charger = stage.charger("TP-DC180-V2G", **(BUILD | more))
    charger.send("telemetry", idle(soc=soc))
    return charger


def discharge(stage: Stage, charger: Charger, **more: object) -> str:
    """Ask for a discharge; return the command."""
    path = f"/v1/operator/devices/{charger.device_id}/connectors/1/discharge"
    command_id: str = stage.api.post(path, {"discharge_power": 10.0} | more, expect=200).data[
        "command_id"
    ]
    return command_id


def begin(stage: Stage, charger: Charger, *statuses: str, **more: object) -> Run:
    """Let the charger say these things of a discharge, then begin a run."""
    command_id = discharge(stage, charger)
    run = Run(stage, charger, NO_FLOW, "")
    if statuses:
        run.obey("discharge", *statuses)
    body = {"connector_id": 1, "command_id": command_id} | more
    return stage.begin(charger, NO_FLOW, **body)


def past_eligibility(stage: Stage, charger: Charger, **more: object) -> Run:
    """A run whose vehicle was found eligible by a person."""
    run = begin(stage, charger, "accepted", **more)
    run.answer("vehicle-eligibility", "passed")
    return run


def test_run__command_that_was_not_delivered__pauses_for_the_connectivity(stage: Stage) -> None:
    """`queued` is not delivered: F-0301 and F-0302 first; if power flows then, that was it."""
    run = begin(stage, bidirectional(stage))
    seen = run.seen()
    assert (seen["status"], seen["next_action"]["faults"]) == ("paused", ["F-0301", "F-0302"])
    assert run.step("command-delivery")["evidence"]["command"]["status"] == "queued"
    run.answer("connectivity", "passed")
    assert run.ends("resolved")["cause"] == "connectivity"


@pytest.mark.parametrize(
    ("outcome", "step"), [("failed", "vehicle-eligibility"), ("not_possible", "escalate")]
)
def test_run__connected_again_without_power__goes_on(stage: Stage, outcome: str, step: str) -> None:
    """Connected and still nothing flows: on with the vehicle. Not to be connected: escalated."""
    run = begin(stage, bidirectional(stage))
    run.answer("connectivity", outcome)
    assert run.steps()[2] == step


def test_run__command_that_was_accepted__was_delivered(stage: Stage) -> None:
    """`accepted` is delivered: on with the vehicle, asked about where no list tells."""
    run = begin(stage, bidirectional(stage), "accepted")
    assert run.step("command-delivery")["verdict"] == "passed"
    assert "V2G list" in run.asks("vehicle-eligibility")["question"]
    run.answer("vehicle-eligibility", "failed")
    assert run.ends("resolved")["cause"] == "vehicle"


def test_run__command_that_was_rejected__has_its_result_read(stage: Stage) -> None:
    """`failed` was rejected: its result is the evidence, and F-0702 in the log the answer."""
    charger = bidirectional(stage)
    command_id = discharge(stage, charger)
    Run(stage, charger, NO_FLOW, "").obey("discharge", "accepted", "failed", message="BMS refused")
    charger.send("events", fault("F-0702", ago_s=-0.5, refusal_code="EV_DischargeNotAllowed"))
    run = stage.begin(charger, NO_FLOW, connector_id=1, command_id=command_id)
    first = run.step("command-delivery")
    assert first["finding"] == "rejected"
    assert first["evidence"]["command"]["result"]["message"] == "BMS refused"
    run.ends("resolved")
    refused = run.step("vehicle-eligibility")
    assert refused["finding"] == "F-0702"
    told = refused["evidence"]["refusals"][0]["data"]
    assert told["refusal_code"] == "EV_DischargeNotAllowed"


@pytest.mark.parametrize(
    ("outcome", "step"), [("passed", "vehicle-eligibility"), ("failed", "escalate")]
)
def test_run__no_command_at_all__is_asked_about(stage: Stage, outcome: str, step: str) -> None:
    """Without a discharge command a person says whether one was given elsewhere."""
    run = stage.begin(bidirectional(stage), NO_FLOW, connector_id=1)
    run.answer("command-delivery", outcome)
    assert run.steps()[1] == step


def test_run__battery_at_the_floor__is_the_answer(stage: Stage) -> None:
    """A car at 20% or below does not discharge."""
    run = begin(stage, bidirectional(stage, soc=20), "accepted")
    run.ends("resolved")
    found = run.step("vehicle-eligibility")
    assert (found["finding"], found["evidence"]["soc_floor_pct"]) == ("soc_below_floor", 20.0)


def test_run__floor_of_the_command__counts_where_it_is_higher(stage: Stage) -> None:
    """`min_soc` of the discharge is a floor too."""
    charger = bidirectional(stage, soc=35)
    command_id = discharge(stage, charger, min_soc=40)
    Run(stage, charger, NO_FLOW, "").obey("discharge", "accepted")
    run = stage.begin(charger, NO_FLOW, connector_id=1, command_id=command_id)
    run.ends("resolved")
    assert run.step("vehicle-eligibility")["evidence"]["soc_floor_pct"] == 40.0


@pytest.mark.parametrize(
    ("outcome", "after"),
    [("passed", "resolved"), ("failed", "iso-15118-20"), ("not_possible", "escalate")],
)
def test_run__inverter_that_lost_sync__pauses_for_its_entry(
    stage: Stage, outcome: str, after: str
) -> None:
    """F-0701 in the log: grid or firmware, as its entry says."""
    charger = bidirectional(stage)
    run = begin(stage, charger, "accepted")
    charger.send("events", fault("F-0701", ago_s=-0.5))
    run.answer("vehicle-eligibility", "passed")
    assert run.step("inverter-sync")["finding"] == "F-0701"
    assert run.seen()["status"] == "paused"
    run.answer("grid-or-firmware", outcome)
    if after == "resolved":
        assert run.ends("resolved")["cause"] == "inverter"
    else:
        assert run.steps()[4] == after


def test_run__inverter_that_nothing_tells_of__is_asked_about(stage: Stage) -> None:
    """Without component health a person looks at the inverter."""
    run = past_eligibility(stage, bidirectional(stage))
    assert "grid" in run.asks("inverter-sync")["question"]
    run.answer("inverter-sync", "passed")
    assert run.step("iso-15118-20")["verdict"] == "passed"
    run.asks("vehicle-report")


@pytest.mark.parametrize(
    ("firmware", "vehicle", "finding"),
    [
        ("260419.9999", {}, "firmware_too_old"),
        ("4.0.0", {"make": "Stellantis", "model": "DrossOne"}, "picky_vehicle"),
    ],
)
def test_run__firmware_below_a_gate__is_to_be_upgraded(
    stage: Stage, firmware: str, vehicle: dict[str, str], finding: str
) -> None:
    """A build without 15118-20, or one before 4.1.0 with a DrossOne: upgrade."""
    release = {
        "models": ["TP-DC180-V2G"], "firmware_version": "4.0.0", "platform_build": "260501.0001",
        "url": "https://firmware.example/4.bin", "sha256": "ab" * 32, "size": 1000,
        "channel": "stable",
    }  # fmt: skip
    if vehicle:
        stage.tenant.admin.post("/v1/admin/firmware/releases", release, expect=200)
    charger = bidirectional(stage, firmware_version=firmware)
    run = past_eligibility(stage, charger, vehicle=vehicle)
    run.answer("inverter-sync", "passed")
    assert run.ends("resolved")["cause"] == "firmware"
    assert run.step("iso-15118-20")["finding"] == finding


def test_run__firmware_that_cannot_be_compared__is_asked_about(stage: Stage) -> None:
    """A version without a known build is for a person to judge."""
    run = past_eligibility(stage, bidirectional(stage, firmware_version="3.9.0"))
    run.answer("inverter-sync", "not_possible")
    run.answer("iso-15118-20", "failed")
    assert run.ends("resolved")["cause"] == "firmware"


def test_run__car_that_reports_the_failure__has_its_firmware_checked(stage: Stage) -> None:
    """If the car says what is wrong, its firmware is next."""
    run = past_eligibility(stage, bidirectional(stage))
    run.answer("inverter-sync", "passed")
    run.answer("vehicle-report", "failed")
    run.ends("resolved")
    assert "firmware" in run.step("vehicle-report")["advice"]


def test_run__known_good_vehicle_that_discharges__blames_the_first(stage: Stage) -> None:
    """Another car discharges: the first one is at fault."""
    run = past_eligibility(stage, bidirectional(stage))
    run.answer("inverter-sync", "passed")
    run.answer("vehicle-report", "passed")
    run.answer("known-good-vehicle", "passed")
    assert run.ends("resolved")["cause"] == "vehicle"


@pytest.mark.parametrize("outcome", ["failed", "not_possible"])
def test_run__known_good_vehicle_that_fails__is_escalated_with_the_sequence(
    stage: Stage, outcome: str
) -> None:
    """L2 gets the attempt from the command on, the inverter's minute before, and the vehicle."""
    vehicle = {"make": "Acme", "model": "Roadster", "firmware": "1.2.3"}
    charger = bidirectional(stage)
    run = past_eligibility(stage, charger, vehicle=vehicle)
    charger.send("telemetry", idle(timestamp=moment(-0.5), soc=60))
    run.answer("inverter-sync", "not_possible")
    run.answer("vehicle-report", "not_possible")
    run.answer("known-good-vehicle", outcome)
    assert run.ends("escalated")["conclusion"] == "Escalated to L2"
    evidence = run.step("escalate")["evidence"]
    assert evidence["attempt_sequence"][0]["what"] == "command discharge"
    assert evidence["inverter_telemetry"]["samples"]
    assert evidence["vehicle"] == vehicle
    assert evidence["runbook"]["slug"] == NO_FLOW


def test_run__hardware_that_cannot_discharge__is_refused(stage: Stage) -> None:
    """The runbook is for V2G units."""
    charger = stage.charger("TP-DC180")
    path = f"/v1/operator/runbooks/{NO_FLOW}/runs"
    body = {"device_id": charger.device_id, "connector_id": 1}
    assert stage.api.post(path, body, expect=409).details["reason"] == "not_v2g_capable"


@pytest.mark.parametrize(
    ("model", "firmware", "finding"),
    [
        ("Other", "2.0.0", "not_listed"),
        ("Roadster", "1.9.0", "vehicle_firmware"),
        ("Roadster", "2.0.0", None),
    ],
)
def test_run__vehicle_and_list_known__are_compared_without_asking(
    stage: Stage, model: str, firmware: str, finding: str | None
) -> None:
    """The operator's V2G list decides on make, model and the vehicle's firmware."""
    listed = {"make": "Acme", "model": "Roadster", "min_firmware": "2.0.0"}
    found = stage.api.get("/v1/operator/v2g-vehicles", expect=200).data["items"]
    if not found:
        stage.api.post("/v1/operator/v2g-vehicles", listed, expect=200)
    vehicle = {"make": "ACME", "model": model, "firmware": firmware}
    run = begin(stage, bidirectional(stage), "accepted", vehicle=vehicle)
    step = run.step("vehicle-eligibility")
    assert step.get("finding") == finding
    if finding is None:
        run.asks("inverter-sync")
    else:
        run.ends("resolved")


@pytest.mark.parametrize(("word", "verdict"), [("synced", "passed"), ("lost", "failed")])
def test_run__component_health__tells_whether_the_inverter_is_synced(
    stage: Stage, word: str, verdict: str
) -> None:
    """The inverter's last word decides; nobody is asked."""
    charger = bidirectional(stage)
    charger.send(
        "telemetry", idle(timestamp=moment(-0.2), component_health={"inverter_sync_status": word})
    )
    run = begin(stage, charger, "accepted")
    run.answer("vehicle-eligibility", "passed")
    step = run.step("inverter-sync")
    assert (step["verdict"], step["evidence"]["inverter_sync_status"]) == (verdict, word)
