"""Runs as such: begun once, answered in order, found again, ended, photographed, bundled."""

import io
import json
import secrets
import zipfile
from typing import Any

import httpx
import pytest

from tests.api.runbooks.playing import NO_FLOW, POWER_UP, PREPARING, Run, Stage, fault, idle
from tests.api.tenancy import new_tenant
from tests.contract.client import ContractClient

ANSWER = {"outcome": "passed", "answered_by": "A. Engineer"}
PNG = b"\x89PNG\r\n\x1a\n" + b"pins" * 500


def upload(stage: Stage, run: Run, body: bytes = PNG, kind: str = "image/png") -> httpx.Response:
    """Send a photo along."""
    return httpx.post(
        stage.api.base_url + run.path + "/photos",
        content=body,
        headers={"authorization": f"Bearer {stage.tenant.client.token}", "content-type": kind},
        timeout=20,
    )


def download(stage: Stage, run: Run) -> zipfile.ZipFile:
    """A run's bundle."""
    answer = httpx.get(
        stage.api.base_url + run.path + "/bundle",
        headers={"authorization": f"Bearer {stage.tenant.client.token}"},
        timeout=20,
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert int(answer.headers["content-length"]) == len(answer.content)
    return zipfile.ZipFile(io.BytesIO(answer.content))


def test_list_runbooks__any__has_the_four_and_their_steps(stage: Stage) -> None:
    """All runbooks are listed, filtered by model, and read with each step."""
    page = stage.api.get("/v1/operator/runbooks", expect=200).data
    assert page["total"] == 4
    found = stage.api.get("/v1/operator/runbooks", params={"model": "TP-AC22"}, expect=200).data
    assert [one["slug"] for one in found["items"]] == [
        "ac-charger-faulting-on-power-up", PREPARING, NO_FLOW,
    ]  # fmt: skip
    runbook = stage.api.get(f"/v1/operator/runbooks/{POWER_UP}", expect=200).data
    assert [step["n"] for step in runbook["steps"]] == list(range(1, 8))
    reboot = runbook["steps"][3]
    assert (reboot["commands"], reboot["kind"]) == (["reboot"], "command")
    stage.api.get("/v1/operator/runbooks/unknown", expect=404)


def test_start_run__one_under_way__is_refused_and_named(stage: Stage) -> None:
    """There is one live run of a runbook and place; another runbook may run beside it."""
    charger = stage.charger()
    run = stage.begin(charger, POWER_UP)
    path = f"/v1/operator/runbooks/{POWER_UP}/runs"
    refused = stage.api.post(path, {"device_id": charger.device_id}, expect=409)
    assert refused.details == {"reason": "run_under_way", "run_id": run.run_id}
    stage.begin(charger, PREPARING, connector_id=1)
    stage.api.post(f"{run.path}/cancel", expect=200)
    stage.begin(charger, POWER_UP)


def test_start_run__same_key_again__is_the_same_run(stage: Stage) -> None:
    """A repeat under the same key gets the first run; another request under it is refused."""
    charger = stage.charger()
    path = f"/v1/operator/runbooks/{POWER_UP}/runs"
    headers = {"idempotency-key": secrets.token_hex(8)}
    body = {"device_id": charger.device_id}
    first, second = (
        stage.api.post(path, body, headers=headers, expect=200).data["run_id"] for _ in range(2)
    )
    assert first == second
    other = body | {"vehicle": {"make": "Acme"}}
    assert stage.api.post(path, other, headers=headers, expect=409).code == 4001


def test_answer__step_that_is_not_asked__is_a_conflict(stage: Stage) -> None:
    """Another step, and a run that is over, are 4001; a step that cannot be is 1001."""
    run = stage.begin(stage.charger(), POWER_UP)
    for number in (1, 3, 5, 99):
        wrong = stage.api.post(f"{run.path}/steps/{number}", ANSWER, expect=409)
        assert (wrong.code, wrong.details["step"]) == (4001, 4)
    for number in ("0", "100", "x"):
        assert stage.api.post(f"{run.path}/steps/{number}", ANSWER, expect=400).code == 1001
    told = ANSWER | {"outcome": "inconclusive"}
    assert stage.api.post(f"{run.path}/steps/4", told, expect=400).details["field"] == "outcome"
    stage.api.post(f"{run.path}/cancel", expect=200)
    over = stage.api.post(f"{run.path}/steps/4", ANSWER, expect=409)
    assert over.details["status"] == "cancelled"
    assert stage.api.post(f"{run.path}/cancel", expect=409).code == 4001


def test_runs__of_another_operator__do_not_exist(stage: Stage, quick_server: Any) -> None:
    """Foreign runs, devices, alerts and commands are 3001, with the same bytes as absent ones."""
    run = stage.begin(stage.charger(), POWER_UP)
    with ContractClient(quick_server.base_url) as contract:
        stranger = new_tenant(quick_server, contract).api
        for path in (run.path, f"{run.path}/bundle"):
            foreign = stranger.get(path, expect=404)
            absent = stranger.get(path.replace(run.run_id, "run_" + "x" * 20), expect=404)
            assert foreign.json == absent.json
        stranger.post(f"{run.path}/steps/4", ANSWER, expect=404)
        stranger.post(f"{run.path}/cancel", expect=404)
        body = {"device_id": run.charger.device_id}
        stranger.post(f"/v1/operator/runbooks/{POWER_UP}/runs", body, expect=404)
    mine = stage.charger().device_id
    for wrong in ({"alert_id": "alr_" + "x" * 20}, {"command_id": "cmd_" + "x" * 20}):
        path = f"/v1/operator/runbooks/{POWER_UP}/runs"
        stage.api.post(path, {"device_id": mine} | wrong, expect=404)
    stage.api.get(run.path.replace(POWER_UP, PREPARING), expect=404)


def test_list_runs__filters__admit_what_fits(stage: Stage) -> None:
    """Runs are listed newest first, by device, status, and whether they are over."""
    charger = stage.charger()
    first = stage.begin(charger, POWER_UP)
    stage.api.post(f"{first.path}/cancel", expect=200)
    second = stage.begin(charger, POWER_UP)
    path = f"/v1/operator/runbooks/{POWER_UP}/runs"

    def found(**query: Any) -> list[str]:
        asked = {"device_id": charger.device_id} | query
        items = stage.api.get(path, params=asked, expect=200).data["items"]
        return [item["run_id"] for item in items]

    assert found() == [second.run_id, first.run_id]
    assert found(status="cancelled") == [first.run_id]
    assert found(live="true") == [second.run_id]
    assert found(live="false") == [first.run_id]
    assert found(size=1, page=2) == [first.run_id]
    stage.api.get(path, params={"device_id": "dvc_absent"}, expect=404)


def test_run__with_everything_done__stands_in_the_audit_log(stage: Stage) -> None:
    """Who began, answered and cancelled a run, and what it sent, can be looked up."""
    run = stage.begin(stage.charger(), POWER_UP)
    run.answer("controlled-reboot", "passed", note="nobody is charging")
    run.obey("reboot", "accepted")
    run.ends("resolved")
    entries = stage.api.get(
        "/v1/operator/audit-logs", params={"resource_id": run.run_id}, expect=200
    ).data["items"]
    kinds = {json.dumps(entry) for entry in entries}
    for word in ("runbook_run.created", "runbook_run.answered", "runbook_run.ended"):
        assert any(word in kind for kind in kinds), (word, kinds)
    commands = stage.api.get(
        "/v1/operator/audit-logs", params={"resource_id": run.charger.device_id}, expect=200
    ).data["items"]
    assert any(
        run.step("controlled-reboot")["command_ids"][0] in json.dumps(one) for one in commands
    )


def test_bundle__of_an_escalated_run__has_all_that_l2_needs(stage: Stage) -> None:
    """One zip: a page to read, the run, faults, firmware, commands, telemetry, photos."""
    charger = stage.charger()
    strange = {"details": "<script>alert(1)</script>", "uptime_ms": 10**18, "debounce_ms": 40}
    charger.send("events", fault("F-0411", **strange))
    charger.send("telemetry", idle(detail_state="=1+cmd|'/c calc'!A0"))
    run = stage.begin(charger, POWER_UP, vehicle={"make": "<b>Acme</b>"})
    run.answer("controlled-reboot", "not_possible", note="<i>locked</i>")
    run.answer("controlled-reboot", "not_possible")
    run.ends("escalated")
    made = upload(stage, run).json()["data"]
    assert made["size"] == len(PNG)
    assert run.seen()["photos"][0]["file_id"] == made["file_id"]
    bundle = download(stage, run)
    assert set(bundle.namelist()) == {
        "report.html", "run.json", "faults.json", "firmware.json", "commands.json",
        "component_health.json", "vehicle.json", "device.json", "telemetry.csv", "photos/01.png",
    }  # fmt: skip
    assert bundle.read("photos/01.png") == PNG
    told = json.loads(bundle.read("run.json"))
    assert told["status"] == "escalated"
    assert [step["step_id"] for step in told["steps"]] == run.steps()
    assert json.loads(bundle.read("faults.json"))[0]["fault"] == "F-0411"
    [log] = [step["evidence"] for step in told["steps"] if "fault_log" in step["evidence"]]
    data = log["fault_log"][0]["data"]
    assert (data["uptime_ms"], data["debounce_ms"]) == (10**18, 40)
    assert all(step["began_at"].endswith("Z") for step in told["steps"])
    page = bundle.read("report.html").decode()
    assert "Escalated to L2" in page
    assert "<script>alert" not in page
    assert "<b>Acme" not in page
    assert "&lt;i&gt;locked" in page
    assert "http" not in page.replace("https://", "http").split("</style>")[0]
    lines = bundle.read("telemetry.csv").decode().splitlines()
    assert len(lines) >= 2
    assert any(",'=1+cmd|" in line for line in lines)
    assert lines[0].startswith("timestamp,connector_id,state,power_kw")


@pytest.mark.parametrize("kind", ["application/pdf", "image/svg+xml", "text/html"])
def test_photo__that_is_no_photo__is_refused(stage: Stage, kind: str) -> None:
    """Only JPEG, PNG and WebP are photos."""
    run = stage.begin(stage.charger(), POWER_UP)
    refused = upload(stage, run, kind=kind)
    assert (refused.status_code, refused.json()["code"]) == (400, 1001)
    assert run.seen()["photos"] == []


def test_bundle__of_a_run_under_way__is_what_is_known_so_far(stage: Stage) -> None:
    """A bundle can be fetched at any time."""
    run = stage.begin(stage.charger(), POWER_UP)
    told = json.loads(download(stage, run).read("run.json"))
    assert told["status"] == "asking"
    assert "verdict" not in told["steps"][-1] or told["steps"][-1]["verdict"] is None


def test_run__of_a_device_that_goes_to_another_operator__is_given_up(
    stage: Stage, quick_server: Any
) -> None:
    """The run ends with the device; its new operator sees nothing of it and may begin anew."""
    charger = stage.charger()
    run = stage.begin(charger, POWER_UP)
    with ContractClient(quick_server.base_url) as contract:
        other = new_tenant(quick_server, contract)
        moved = {"site_id": other.site_id, "operator_id": other.operator_id}
        stage.tenant.admin.patch(f"/v1/admin/devices/{charger.device_id}", moved, expect=200)
        seen = run.ends("cancelled")
        assert seen["cause"] == "device_gone"
        stage.api.get(f"{run.path}/bundle", expect=404)
        other.api.get(run.path, expect=404)
        body = {"device_id": charger.device_id}
        other.api.post(f"/v1/operator/runbooks/{POWER_UP}/runs", body, expect=200)
