"""Samples of one session: found by its record, in order, and nothing that was not sent."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.api.tenancy import Charger, Tenant, new_tenant, record, sample
from tests.contract.client import ContractClient
from tests.server import RunningServer

START, END = "2026-03-01T10:00:00Z", "2026-03-01T10:10:00Z"


def page(charger: Charger, record_id: str, **query: Any) -> dict[str, Any]:
    """One page of a session's samples."""
    path = f"/v1/operator/devices/{charger.device_id}/sessions/{quote(record_id, safe='')}"
    data: dict[str, Any] = charger.operator.get(f"{path}/telemetry", params=query, expect=200).data
    return data


@pytest.fixture(scope="module")
def charged(server: RunningServer, contract: ContractClient) -> Charger:
    """A charger with a session of ten minutes between other samples, and one without any."""
    charger = new_tenant(server, contract).charger()
    minutes = [f"2026-03-01T{9 + (minute + 55) // 60:02}:{(minute + 55) % 60:02}:00Z"
               for minute in range(20)]  # fmt: skip
    items = [sample(timestamp=time, power=float(n), soc=n) for n, time in enumerate(minutes)]
    other = [one | {"connector_id": 2} for one in items]
    charger.send("telemetry/batch", {"items": items + other})
    times = {"start_time": START, "end_time": END}
    charger.send("charging-records", record(record_id="Beleg 1 (Nord)", **times))
    later = {"start_time": "2026-04-01T10:00:00Z", "end_time": "2026-04-01T11:00:00Z"}
    charger.send("charging-records", record(record_id="silent", **later))
    return charger


def test_session_telemetry__of_a_record__is_what_was_sent_between_its_ends(
    charged: Charger,
) -> None:
    """Both ends are included, other connectors are not, values are those of the list of samples."""
    data = page(charged, "Beleg 1 (Nord)")
    assert (data["start_time"], data["end_time"]) == (START, END)
    assert (data["device_id"], data["connector_id"]) == (charged.device_id, 1)
    assert (data["record_id"], data["resolution"]) == ("Beleg 1 (Nord)", "raw")
    assert "next_cursor" not in data
    query = {"start_time": START, "end_time": "2026-03-01T10:10:00.001Z"}
    listed = charged.samples(**query)
    assert len(listed) == 11
    assert data["items"] == [
        {name: value for name, value in one.items() if name != "connector_id"} for one in listed
    ]


@pytest.mark.parametrize("size", [1, 4, 11])
def test_session_telemetry__by_cursor__is_the_same_in_pieces(charged: Charger, size: int) -> None:
    """Pages hold each sample once, and say their resolution each."""
    whole = page(charged, "Beleg 1 (Nord)")["items"]
    found: list[dict[str, Any]] = []
    cursor: dict[str, Any] = {}
    while True:
        data = page(charged, "Beleg 1 (Nord)", size=size, **cursor)
        assert data["resolution"] == "raw"
        assert len(data["items"]) <= size
        found += data["items"]
        if "next_cursor" not in data:
            break
        cursor = {"cursor": data["next_cursor"]}
    assert found == whole


def test_session_telemetry__record_without_samples__says_none(charged: Charger) -> None:
    """Nothing is made up for a session of which nothing was sent."""
    data = page(charged, "silent")
    assert (data["resolution"], data["items"]) == ("none", [])


@pytest.mark.parametrize("name", ["absent", "%00", "x" * 129, "a%0Ab"])
def test_session_telemetry__of_no_record__is_3001(charged: Charger, name: str) -> None:
    """What the device has no record of is not found, whatever it looks like."""
    path = f"/v1/operator/devices/{charged.device_id}/sessions/{name}/telemetry"
    charged.operator.get(path, expect=404, code=3001)


def test_session_telemetry__another_tenant_or_device__is_3001(
    charged: Charger, tenant: Tenant
) -> None:
    """Neither another operator nor another device leads to it."""
    path = f"/v1/operator/devices/{charged.device_id}/sessions/silent/telemetry"
    tenant.api.get(path, expect=404, code=3001)
    other = tenant.charger()
    path = f"/v1/operator/devices/{other.device_id}/sessions/silent/telemetry"
    tenant.api.get(path, expect=404, code=3001)


@pytest.mark.parametrize("query", [{"size": 0}, {"size": 1001}, {"cursor": "x"}])
def test_session_telemetry__query_that_is_not_valid__is_1001(
    charged: Charger, query: dict[str, Any]
) -> None:
    """Size and cursor have their bounds."""
    path = f"/v1/operator/devices/{charged.device_id}/sessions/silent/telemetry"
    reply = charged.operator.get(path, params=query, expect=400, code=1001)
    assert reply.details["field"] == next(iter(query))
