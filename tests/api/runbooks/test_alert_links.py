"""Runs and alerts name each other; and the ninety seconds of a boot, with a clock of its own."""

import time
from collections.abc import Iterator

import pytest

from tests.api.alerts.world import AlertWorld
from tests.api.runbooks.playing import POWER_UP, Stage
from tests.api.tenancy import moment


@pytest.fixture(scope="module")
def world(database_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertWorld]:
    """A platform of this module's own, with a clock that the tests move."""
    del database_kind
    made = AlertWorld(tmp_path_factory.mktemp("runbook-alerts") / "data")
    yield made
    made.stop()


def test_run__begun_for_an_alert__is_shown_by_it(world: AlertWorld) -> None:
    """The run has the alert, the alert has the run, and runs are found by their alert."""
    world.charger.send("heartbeat", {"timestamp": moment(), "status": "online", "fault_code": 0})
    world.find()
    [alert] = world.list()
    stage = Stage(world.tenant)
    run = stage.begin(world.charger, POWER_UP, alert_id=alert["alert_id"])
    assert run.seen()["alert_id"] == alert["alert_id"]
    shown = world.api.get(f"/v1/operator/alerts/{alert['alert_id']}", expect=200).data
    assert run.run_id in str(shown["runs"])
    query = {"alert_id": alert["alert_id"]}
    found = world.api.get(f"/v1/operator/runbooks/{POWER_UP}/runs", params=query, expect=200)
    assert [one["run_id"] for one in found.data["items"]] == [run.run_id]
    foreign = world.other.charger()
    body = {"device_id": foreign.device_id, "alert_id": alert["alert_id"]}
    world.other.api.post(f"/v1/operator/runbooks/{POWER_UP}/runs", body, expect=404)
    other = world.tenant.charger()
    body = {"device_id": other.device_id, "alert_id": alert["alert_id"]}
    world.api.post(f"/v1/operator/runbooks/{POWER_UP}/runs", body, expect=404)


def test_run__of_a_device_that_is_erased__goes_with_it(world: AlertWorld) -> None:
    """Steps, photos and the run itself are removed with their device."""
    charger = world.tenant.charger()
    run = Stage(world.tenant).begin(charger, POWER_UP)
    path = f"/v1/admin/devices/{charger.device_id}/erasure"
    erasure_id = world.tenant.admin.post(path, expect=200).data["erasure_id"]
    receipt = f"/v1/admin/erasures/{erasure_id}"
    world.advance(120)
    until_s = time.monotonic() + 20
    while "done_at" not in (seen := world.tenant.admin.get(receipt, expect=200).data):
        assert time.monotonic() < until_s, seen
        time.sleep(0.1)
    assert seen["removed"]["runbooks"] >= 2
    world.api.get(run.path, expect=404)


def test_run__reboot__is_judged_after_ninety_seconds(world: AlertWorld) -> None:
    """The charger has ninety seconds to boot; a heartbeat of before the reboot is none after it."""
    charger = world.tenant.charger()
    run = Stage(world.tenant).begin(charger, POWER_UP)
    run.answer("supply-power", "passed")
    run.answer("controlled-reboot", "passed")
    run.obey("reboot", "accepted")
    settled = run.until(
        lambda seen: seen["status"] == "waiting" and "command_id" not in seen["next_action"]
    )
    until = settled["next_action"]["until"]
    world.advance(89)
    time.sleep(1.5)
    assert run.seen()["next_action"]["until"] == until
    world.advance(2)
    looked_again = run.until(lambda seen: seen["next_action"].get("until", until) != until)
    assert "heartbeat_age_s" in looked_again["steps"][-1]["evidence"]
    charger.send("heartbeat", {"timestamp": moment(), "status": "online", "fault_code": 0})
    world.advance(2)
    assert run.ends("resolved")["cause"] == "reboot"
