"""From what a charger sends to the alert that its operator reads, on a real server."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.api.tenancy import Charger, Tenant, event, heartbeat, moment, record, sample

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
    ("F-0101", 101, "critical"),
    ("F-0203", "F-0203", "medium"),
    ("F-0204", 204, "critical"),
    ("F-0411", "F0411", "high"),
    ("F-0421", "421", "high"),
    ("F-0512", "F-0512", "medium"),
    ("F-0601", 601, "medium"),
    ("F-0702", 702, "medium"),
    ("F-0805", "F-0805", "medium"),
    ("X-17", "X-17", "medium"),
]


@pytest.mark.parametrize(("code", "sent", "severity"), CODES)
def test_fault_event__any_code__is_an_alert_by_the_dictionary(
    charger: Charger, code: str, sent: int | str, severity: str
) -> None:
    """A charger's fault is an alert within seconds, an unknown code too, as it came."""
    charger.send("events", event(event_type="fault", data={"fault_code": sent}))
    [alert] = eventually(lambda: alerts_of(charger))
    assert alert["code"] == code
    assert alert["severity"] == severity
    assert alert["connector_id"] == 1


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
        charger.send("events", event(event_type="fault", data={"fault_code": 421}))
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
    charger.send("charging-records", record(stop_reason="target_soc"))
    charger.send("charging-records", record(stop_reason="ev_disconnected", connector_id=2))
    [alert] = eventually(lambda: alerts_of(charger))
    assert (alert["code"], alert["connector_id"]) == ("F-0805", 2)


def test_heartbeat__clean__is_nothing(charger: Charger) -> None:
    """Heartbeats without a fault leave no alert."""
    charger.send("heartbeat", heartbeat())
    charger.send("heartbeat", heartbeat(fault_code="0"))
    time.sleep(2.5)
    assert not alerts_of(charger)
