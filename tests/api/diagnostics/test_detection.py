"""From what a charger sends to the alert that its operator reads, on a real server."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.api.tenancy import (
    Charger,
    Tenant,
    event,
    heartbeat,
    moment,
    new_tenant,
    record,
    sample,
)
from tests.server import running_server, start_server

WITHIN_S = 10.0


def alerts_of(charger: Charger, **query: Any) -> list[dict[str, Any]]:
    """The alerts of a charger, newest first."""
    asked = {"device_id": charger.device_id} | query
    found: list[dict[str, Any]] = charger.operator.get(
        "/v1/operator/alerts", params=asked, expect=200
    ).data["items"]
    return found


def eventually(look: Callable[[], Any]) -> Any:
    """What ``look`` returns once that is something."""
    until_s = time.monotonic() + WITHIN_S
    while True:
        found = look()
        if found or time.monotonic() > until_s:
            return found
        time.sleep(0.1)


CODES = [
    ("F-0101", 101, "critical", 1),
    ("F-0203", "F-0203", "medium", 1),
    ("F-0204", 204, "critical", None),
    ("F-0411", "F0411", "high", 1),
    ("F-0421", "421", "high", 1),
    ("F-0512", "F-0512", "medium", None),
    ("F-0601", 601, "medium", None),
    ("F-0702", 702, "medium", 1),
    ("F-0805", "F-0805", "medium", 1),
    ("X-17", "X-17", "medium", 1),
]


def test_fault_event__any_code__is_an_alert_by_the_dictionary(tenant: Tenant) -> None:
    """A charger's fault is an alert within seconds, an unknown code too, as it came.

    It is the connector's, unless it is the cabinet's or the configuration's.
    """
    chargers = {code: tenant.charger() for code, *_ in CODES}
    for code, sent, *_ in CODES:
        chargers[code].send("events", event(event_type="fault", data={"fault_code": sent}))
    for code, _, severity, connector_id in CODES:
        [alert] = eventually(lambda code=code: alerts_of(chargers[code]))
        found = (alert["code"], alert["severity"], alert.get("connector_id"), alert["found_by"])
        assert found == (code, severity, connector_id, "charger")


def test_fault_event__again__counts_for_the_same_alert(charger: Charger) -> None:
    """However often a fault is told, it is one alert, and a repeat of an event counts nothing."""
    told = event(event_type="fault", data={"fault_code": 421}, timestamp=moment(1))
    charger.send("events", told)
    charger.send("events", told)
    assert eventually(lambda: alerts_of(charger))
    charger.send("events", event(event_type="fault", data={"fault_code": 421}))
    assert eventually(lambda: [one for one in alerts_of(charger) if one["found_count"] == 2])
    assert len(alerts_of(charger)) == 1


def test_runbook__model__is_the_one_that_fits(tenant: Tenant) -> None:
    """The alert names the runbook of the dictionary that fits the model of the charger."""
    for model, slug in (
        ("TP-DC180", "charger-faulting-on-power-up"),
        ("TP-AC22", "ac-charger-faulting-on-power-up"),
    ):
        charger = tenant.charger(model)
        charger.send("events", event(event_type="fault", data={"fault_code": 411}))
        [alert] = eventually(lambda charger=charger: alerts_of(charger))
        assert alert["suggested_runbook"] == slug


def test_sample__too_hot__is_an_alert_that_names_the_connector(charger: Charger) -> None:
    """A sample over the model's threshold is an alert, and one of the other connector is none."""
    charger.send("telemetry", sample(connector_id=2, temperature=41.0))
    charger.send("telemetry", sample(connector_id=1, temperature=78.5))
    [alert] = eventually(lambda: alerts_of(charger))
    assert (alert["code"], alert["connector_id"]) == ("F-0203", 1)
    whole = charger.operator.get(f"/v1/operator/alerts/{alert['alert_id']}", expect=200).data
    assert "Only this connector" in whole["text"]


def test_record__unclean_end__is_an_alert_and_a_clean_one_is_none(charger: Charger) -> None:
    """A record that ended by a pulled cable is F-0805; one that reached its target is nothing."""
    just_now = {"start_time": moment(600), "end_time": moment(5)}
    charger.send("charging-records", record(stop_reason="target_soc", **just_now))
    pulled = record(stop_reason="ev_disconnected", connector_id=2, **just_now)
    charger.send("charging-records", pulled)
    [alert] = eventually(lambda: alerts_of(charger))
    assert (alert["code"], alert["connector_id"]) == ("F-0805", 2)


def test_fault_event__server_killed_at_once__is_told_after_it_is_back(tmp_path: Path) -> None:
    """What was acknowledged before a kill is an alert after it, once."""
    data_dir = tmp_path / "data"
    server = start_server(data_dir)
    try:
        device, client = server.register(), server.create_client()
        url, bearer = server.base_url, {"Authorization": f"Bearer {device.token}"}
        for code in (421, "F-0411"):
            body = event(event_type="fault", data={"fault_code": code})
            answer = httpx.post(f"{url}/v1/device/events", json=body, headers=bearer)
            assert answer.status_code == 200
    finally:
        server.kill()
    with running_server(data_dir) as server:
        headers = {"Authorization": f"Bearer {client.token}"}

        def look() -> list[tuple[str, int]]:
            answer = httpx.get(f"{server.base_url}/v1/operator/alerts", headers=headers)
            items = answer.raise_for_status().json()["data"]["items"]
            found = sorted((one["code"], one["found_count"]) for one in items)
            return found if len(found) > 1 else []

        assert eventually(look) == [("F-0411", 1), ("F-0421", 1)]


def test_firmware_health__few_starts__says_that_they_are_too_few(tenant: Tenant) -> None:
    """Rates are there from the first start on, and one device proves nothing."""
    charger = tenant.charger("TP-DC60", firmware_version="3.0.1")
    for k in range(4):
        charger.send("events", event(event_type="start", timestamp=moment(60 - k)))
    charger.send("events", event(event_type="fault", data={"fault_code": "F-0421"}))
    query = {"model": "TP-DC60", "code": "F-0421"}
    page = tenant.api.get("/v1/operator/firmware-health", params=query, expect=200).data
    assert page["total"] == 1
    [rate] = page["items"]
    assert (rate["starts"], rate["faults"], rate["rate_per_1000"]) == (5, 1, 200.0)
    assert (rate["firmware_version"], rate["verdict"]) == ("3.0.1", "too_few")
    assert "advice" not in rate


def test_firmware_health__another_tenant__sees_none_of_it(tenant: Tenant) -> None:
    """An operator's rates are those of its own devices."""
    charger = tenant.charger("TP-DC60")
    charger.send("events", event(event_type="fault", data={"fault_code": "F-0421"}))
    stranger = new_tenant(tenant.server, tenant.contract)
    page = stranger.api.get("/v1/operator/firmware-health", expect=200).data
    assert page["items"] == []


def test_heartbeat__clean__is_nothing(tenant: Tenant) -> None:
    """Heartbeats without a fault leave no alert, while one that is looked at later has its own."""
    quiet, later = tenant.charger(), tenant.charger()
    quiet.send("heartbeat", heartbeat())
    quiet.send("heartbeat", heartbeat(fault_code="0"))
    later.send("events", event(event_type="fault", data={"fault_code": 421}))
    assert eventually(lambda: alerts_of(later))
    assert not alerts_of(quiet)
