"""Energy as a file: the points of the answer, row for row; and sessions as meter values."""

import csv
import io
from typing import Any

import httpx
import pytest

from tests.api.tenancy import Charger, Tenant, moment, new_tenant, record, sample
from tests.contract.client import ContractClient
from tests.server import RunningServer

PATH = "/v1/operator/aggregated/energy"
RANGE = {"start_time": "2025-06-01T00:00:00Z", "end_time": "2025-06-04T00:00:00Z"}


@pytest.fixture(scope="module")
def powered(server: RunningServer, contract: ContractClient) -> Tenant:
    """A tenant with records of two chargers at two sites."""
    tenant = new_tenant(server, contract)
    for hour, site_id in ((9, tenant.site_id), (14, tenant.site("Second"))):
        times = {
            "start_time": f"2025-06-02T{hour:02}:30:00Z",
            "end_time": f"2025-06-02T{hour + 3}:00:00Z",
        }
        tenant.charger(site_id=site_id).send("charging-records", record(**times))
    return tenant


def fetch(tenant: Tenant, **query: Any) -> httpx.Response:
    """The answer to who accepts CSV."""
    headers = {"authorization": f"Bearer {tenant.client.token}", "accept": "text/csv"}
    url = tenant.server.base_url + PATH
    return httpx.get(url, params=query, headers=headers, trust_env=False)


@pytest.mark.parametrize(
    "query",
    [
        {"granularity": "hour"},
        {"granularity": "day", "group_by": "site"},
        {"granularity": "month", "group_by": "operator"},
        {"granularity": "hour", "timezone": "Asia/Kolkata", "group_by": "site"},
    ],
)
def test_export__energy__is_the_series_of_the_answer(
    powered: Tenant, query: dict[str, str]
) -> None:
    """Rows and points are the same, in the same order, with a column for the group."""
    series = powered.api.get(PATH, params=query | RANGE, expect=200).data["series"]
    answer = fetch(powered, **query, **RANGE)
    assert answer.headers["content-disposition"].startswith('attachment; filename="energy-')
    rows = list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))
    assert len(rows) == len(series) > 0
    for row, point in zip(rows, series, strict=True):
        assert list(row) == list(point)
        assert {
            name: float(cell) if isinstance(point[name], float) else cell
            for name, cell in row.items()
        } == point
    assert sum(float(row["charge_energy"]) for row in rows) == pytest.approx(41.0)


def test_export__energy_that_cannot_be_told__is_refused_in_the_envelope(powered: Tenant) -> None:
    """The query is checked before anything is sent."""
    wrong = RANGE | {"end_time": RANGE["start_time"]}
    assert fetch(powered, granularity="hour", **wrong).json()["code"] == 1001
    query = {"granularity": "hour", "site_ids": "site_absent"} | RANGE
    assert fetch(powered, **query).json()["code"] == 3001


def sessions_of(charger: Charger, **query: Any) -> list[dict[str, Any]]:
    """The sessions of a charger."""
    asked = {"device_id": charger.device_id} | query
    items: list[dict[str, Any]] = charger.operator.get(
        "/v1/operator/sessions", params=asked, expect=200
    ).data["items"]
    return items


def test_session__still_running__is_told_by_its_identifier(tenant: Tenant) -> None:
    """Meter values and samples of a session are found by the identifier of the list of sessions."""
    charger = tenant.charger()
    times = [moment(60.0 - 10 * n) for n in range(6)]
    for n, time in enumerate(times):
        charger.send("telemetry", sample(timestamp=time, energy_delivered=1.0 + n / 10))
    (session,) = sessions_of(charger, status="active")
    query = {"session_id": session["session_id"], "measurand": "Voltage"}
    values = tenant.api.get("/v1/operator/meter-values", params=query, expect=200).data["items"]
    assert [one["timestamp"] for one in values] == times
    path = f"/v1/operator/devices/{charger.device_id}/sessions/{session['session_id']}/telemetry"
    page = tenant.api.get(path, expect=200).data
    assert (page["resolution"], page["session_id"]) == ("raw", session["session_id"])
    assert [one["timestamp"] for one in page["items"]] == times
    assert "end_time" not in page
