"""Agents propose from what chargers really sent; people judge; nothing acts by itself."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from tests.api.tenancy import Charger, Tenant, event, sample

T = TypeVar("T")

PATIENCE_S = 20.0


def wait_for(look: Callable[[], T | None]) -> T:
    """Return what ``look`` finds once it finds something."""
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        found = look()
        if found:
            return found
        time.sleep(0.25)
    raise AssertionError("nothing was found in time")


def hours_ago(hours: float) -> str:
    """A moment so many hours before now, as chargers write it."""
    time_ = datetime.now(UTC) - timedelta(hours=hours)
    return time_.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def run_fan(charger: Charger, rpm_now: float) -> None:
    """A week of hourly samples: a fan at its nominal speed, and at another over the last day."""
    items = [
        sample(
            timestamp=hours_ago(hour + 0.1),
            state="idle",
            power=0.0,
            current=0.0,
            component_health={
                "cooling_fan_rpm": rpm_now if hour < 24 else 1790 + hour % 7,
                "contactor_cycles": 97_000 - 30 * hour,
            },
        )
        for hour in range(24 * 8)
    ]
    charger.send("telemetry/batch", {"items": items[::-1]})


def proposals(tenant: Tenant, agent: str, **query: Any) -> list[dict[str, Any]]:
    """What an agent proposes to a tenant."""
    path = f"/v1/operator/agents/{agent}/proposals"
    items: list[dict[str, Any]] = tenant.api.get(path, params=query, expect=200).data["items"]
    return items


def test_anomaly_hunter__slowing_fan_among_peers__is_proposed_and_judged(tenant: Tenant) -> None:
    """A fan that slows down is proposed with its figures, and judged once."""
    chargers = [tenant.charger() for _ in range(7)]
    for charger in chargers[1:]:
        run_fan(charger, 1791)
    bad = chargers[0]
    run_fan(bad, 1390)
    (found,) = wait_for(lambda: proposals(tenant, "anomaly_hunter", status="proposed"))
    assert (found["device_id"], found["evidence"]["metric"]) == (bad.device_id, "cooling_fan_rpm")
    assert found["evidence"]["value"] == 1390
    assert found["evidence"]["peers"] == 6
    path = f"/v1/operator/agents/anomaly_hunter/proposals/{found['proposal_id']}"
    judged = tenant.api.patch(path, {"status": "accepted", "note": "fan ordered"}, expect=200).data
    assert (judged["status"], judged["note"]) == ("accepted", "fan ordered")
    tenant.api.patch(path, {"status": "dismissed"}, expect=409, code=4001)
    hunter = tenant.api.get("/v1/operator/agents", expect=200).data["items"][0]
    assert (hunter["agent"], hunter["accepted"], hunter["precision"]) == ("anomaly_hunter", 1, 1.0)
    assert proposals(tenant, "anomaly_hunter", status="proposed") == []


def test_work_list__worn_contactors__are_visited(tenant: Tenant) -> None:
    """Contactors near their rated life come onto the work list, and a visit is proposed."""
    charger = tenant.charger()
    run_fan(charger, 1791)
    found = wait_for(lambda: proposals(tenant, "maintenance_dispatcher", site_id=tenant.site_id))
    assert found[0]["evidence"]["devices"][0]["device_id"] == charger.device_id
    (site,) = tenant.api.get("/v1/operator/work-list", expect=200).data["items"]
    (task,) = site["tasks"]
    assert (site["site_id"], task["device_id"]) == (tenant.site_id, charger.device_id)
    assert task["action"] == "visit"
    assert task["parts"] == ["contactor"]
    (reason,) = task["reasons"]
    assert reason["kind"] == "wear"
    assert 2 < reason["days_left"] < 10


def test_repeat_fault_hunter__fault_that_comes_back__is_proposed(tenant: Tenant) -> None:
    """A fault at one connector on four days is proposed for that connector."""
    chargers = [tenant.charger() for _ in range(4)]
    faults = [
        event(
            timestamp=hours_ago(24 * day),
            event_type="fault",
            connector_id=2,
            data={"fault_code": 411},
        )
        for day in (2, 6, 11, 19)
    ]
    for fault in faults:
        chargers[1].send("events", fault)
    found = wait_for(lambda: proposals(tenant, "repeat_fault_hunter"))
    one = next(item for item in found if item["evidence"]["code"] == "F-0411")
    assert (one["device_id"], one["connector_id"]) == (chargers[1].device_id, 2)
    assert one["evidence"]["count"] == 4


def test_agents__another_operators_proposals__do_not_exist(tenant: Tenant) -> None:
    """An unknown agent, an unknown proposal and a foreign device are absent alike."""
    tenant.api.get("/v1/operator/agents/nobody/proposals", expect=404, code=3001)
    path = "/v1/operator/agents/anomaly_hunter/proposals"
    tenant.api.get(path, params={"device_id": "dvc_unknown"}, expect=404, code=3001)
    tenant.api.patch(f"{path}/prp_unknown", {"status": "accepted"}, expect=404, code=3001)
    tenant.api.patch(f"{path}/prp_unknown", {"status": "perhaps"}, expect=400, code=1001)
