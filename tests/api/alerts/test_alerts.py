"""Alerts as operators read them and say what they did about them."""

import csv
import io
from typing import Any

import pytest

from tellus.alerts.model import AlertSeverity
from tests.api.alerts.world import AlertWorld

PATH = "/v1/operator/alerts"


def opened(world: AlertWorld, key: str, **changes: Any) -> dict[str, Any]:
    """An alert of its own, as the list shows it."""
    world.find(key=key, **changes)
    return world.list()[0]


def test_alert__found_twice__shows_condition_evidence_and_links(world: AlertWorld) -> None:
    """An alert says what was found, how often, on what evidence, and where to read on."""
    listed = opened(world, "one:1")
    world.find(key="one:1", evidence={"fault_code": "F-0421", "time": "later"})
    shown = world.api.get(f"{PATH}/{listed['alert_id']}", expect=200).data
    assert (shown["status"], shown["condition"], shown["found_count"]) == ("open", "present", 2)
    assert shown["device_id"] == world.charger.device_id
    assert shown["evidence"] == {"fault_code": "F-0421", "time": "later"}
    assert shown["fault_href"] == "/v1/operator/faults/F-0421"
    assert shown["runbook_href"] == "/v1/operator/runbooks/charger-wont-start"
    assert shown["runs"] == []
    assert [(one["field"], one["after"], one["actor"]) for one in shown["notes"]] == [
        ("status", "open", "platform")
    ]


def test_alerts__filters__narrow_the_list(world: AlertWorld) -> None:
    """Each filter admits what fits it alone."""
    opened(world, "f:1", code="F-0203", severity=AlertSeverity.MEDIUM)
    site_wide = opened(
        world, "f:2", code="site_network", severity=AlertSeverity.CRITICAL, device_no=None,
        connector_id=0, runbook=None,
    )  # fmt: skip
    assert "device_id" not in site_wide
    assert "suggested_runbook" not in site_wide
    ids = {one["alert_id"] for one in world.list(code="site_network")}
    assert ids == {site_wide["alert_id"]}
    for name, value in (
        ("severity", "critical"),
        ("site_id", world.tenant.site_id),
        ("status", "open"),
        ("condition", "present"),
        ("since", site_wide["changed_at"]),
    ):
        found = world.list(**{name: value})
        assert site_wide["alert_id"] in {one["alert_id"] for one in found}, name
    assert all("device_id" in one for one in world.list(device_id=world.charger.device_id))
    assert world.list(status="dismissed", code="site_network") == []
    for foreign in ({"device_id": "dvc_nowhere"}, {"site_id": world.other.site_id}):
        world.api.get(PATH, params=foreign, expect=404)
    page = world.api.get(PATH, params={"size": 1, "page": 2}, expect=200).data
    assert (len(page["items"]), page["page"]) == (1, 2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("severity", "awful"),
        ("status", "closed"),
        ("condition", "gone"),
        ("since", "yesterday"),
        ("size", "1000"),
        ("code", ""),
    ],
)
def test_alerts__filter_that_makes_no_sense__is_named(
    world: AlertWorld, name: str, value: str
) -> None:
    """A filter that cannot be meant is refused, and the refusal names it."""
    refused = world.api.get(PATH, params={name: value}, expect=400)
    assert refused.code == 1001
    assert refused.details["field"] == name


def test_alert__life__is_followed_and_audited(world: AlertWorld) -> None:
    """From open to resolved each step is noted with who took it, and stands in the audit log."""
    alert = opened(world, "life:1")
    world.change(alert, status="acknowledged", note="On my way")
    world.change(alert, note="Cable replaced")
    world.clear("life:1")
    assert world.list(condition="cleared")[0]["status"] == "acknowledged"
    shown = world.change(alert, status="resolved").data
    assert shown["ended_at"] == shown["changed_at"]
    me = world.tenant.client.client_id
    assert [(one["field"], one.get("after"), one.get("note")) for one in shown["notes"]] == [
        ("status", "open", None),
        ("status", "acknowledged", "On my way"),
        ("note", None, "Cable replaced"),
        ("condition", "cleared", None),
        ("status", "resolved", None),
    ]
    assert {one["actor"] for one in shown["notes"]} == {me, "platform"}
    refused = world.change(alert, expect=409, status="acknowledged")
    assert refused.code == 4001
    assert refused.details == {"from": "resolved", "to": "acknowledged"}
    query = {"resource_type": "alert", "resource_id": alert["alert_id"]}
    logged = world.api.get("/v1/operator/audit-logs", params=query, expect=200).data["items"]
    assert [one["details"]["status"] for one in reversed(logged)] == [
        "acknowledged", "acknowledged", "resolved",
    ]  # fmt: skip
    assert {(one["actor"], one["action"]) for one in logged} == {(me, "update")}


def test_change__of_nothing_or_of_nonsense__is_refused(world: AlertWorld) -> None:
    """A change has a status or a note; a status is one of the four; a note is not endless."""
    alert = opened(world, "change:1")
    for body in ({}, {"status": "closed"}, {"note": ""}, {"note": "x" * 2_001}):
        assert world.change(alert, expect=400, **body).code == 1001
    world.api.patch(f"{PATH}/alr_none", {"note": "x"}, expect=404)
    reader = world.tenant.api_with(scopes=["read"])
    reader.patch(f"{PATH}/{alert['alert_id']}", {"note": "x"}, expect=403)


def test_alert__of_another_operator__does_not_exist(world: AlertWorld) -> None:
    """Another operator sees nothing of an alert, and cannot touch it."""
    alert = opened(world, "mine:1")
    stranger = world.other.api
    assert stranger.get(PATH, expect=200).data["total"] == 0
    absent = stranger.get(f"{PATH}/alr_none", expect=404)
    foreign = stranger.get(f"{PATH}/{alert['alert_id']}", expect=404)
    assert absent.json["message"] == foreign.json["message"]
    stranger.patch(f"{PATH}/{alert['alert_id']}", {"status": "dismissed"}, expect=404)
    still = world.api.get(f"{PATH}/{alert['alert_id']}", expect=200).data
    assert (still["status"], len(still["notes"])) == ("open", 1)


def test_alerts__as_csv__has_a_row_each(world: AlertWorld) -> None:
    """The list is to be had as a file."""
    alert = opened(world, "csv:1")
    answer = world.api.get(PATH, headers={"Accept": "text/csv"}, expect=200)
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert rows[0]["alert_id"] == alert["alert_id"]
    assert len(rows) == len(world.list(size=100))


def test_device__moved_to_another_operator__its_alerts_are_closed_and_stay(
    world: AlertWorld,
) -> None:
    """Who gets a charger does not get its alerts; who had it sees them dismissed."""
    charger = world.tenant.charger()
    number = world.device_no(charger.device_id)
    alert = opened(world, "moved:1", device_no=number)
    path = f"/v1/admin/devices/{charger.device_id}"
    world.tenant.admin.patch(path, {"site_id": world.other.site_id}, expect=200)
    shown = world.api.get(f"{PATH}/{alert['alert_id']}", expect=200).data
    assert shown["status"] == "dismissed"
    assert shown["notes"][-1]["note"] == "The device went to another operator"
    assert len(world.list(device_id=charger.device_id)) == 1
    assert world.other.api.get(PATH, expect=200).data["total"] == 0
    world.find(key="moved:1", device_no=number)
    assert world.other.api.get(PATH, expect=200).data["total"] == 0


def test_device__erased__its_alerts_go(world: AlertWorld) -> None:
    """Nothing of an erased device is left in the alerts."""
    charger = world.tenant.charger()
    alert = opened(world, "erased:1", device_no=world.device_no(charger.device_id))
    path = f"/v1/admin/devices/{charger.device_id}/erasure"
    world.tenant.admin.post(path, {}, expect=200)
    world.clock.advance(3_600)
    turn = world.served.platform.erasures.turn
    world.served.run(turn())
    world.api.get(f"{PATH}/{alert['alert_id']}", expect=404)
