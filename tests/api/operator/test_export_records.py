"""Charging records as a file: the whole filtered list, in a form that is safe to open."""

import csv
import io
import json
from typing import Any

import httpx
import pytest

from tests.api.tenancy import Tenant, new_tenant, record
from tests.contract.client import ContractClient
from tests.server import RunningServer

PATH = "/v1/operator/charging-records"
VIN = "WTLZ5AB19RC700421"


def fetch(
    tenant: Tenant, accept: str = "text/csv", token: str = "", **query: Any
) -> httpx.Response:
    """A call that says what it accepts."""
    headers = {"authorization": f"Bearer {token or tenant.client.token}", "accept": accept}
    return httpx.get(tenant.server.base_url + PATH, params=query, headers=headers, trust_env=False)


def rows(answer: httpx.Response) -> list[dict[str, str]]:
    """The rows of a CSV answer, by column."""
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))


@pytest.fixture(scope="module")
def book(server: RunningServer, contract: ContractClient) -> Tenant:
    """A tenant with 130 records of two chargers, more than a page of JSON holds."""
    tenant = new_tenant(server, contract)
    for _ in range(2):
        charger = tenant.charger()
        sent = [
            record(
                start_time=f"2025-06-02T{n % 9:02}:{n % 60:02}:00Z",
                end_time="2025-06-02T20:00:00Z",
                stop_reason="user_request",
                note="=1+1",
                vehicle_info={"vin": VIN, "soc_start": 20},
            )
            for n in range(65)
        ]
        charger.send("charging-records/batch", {"items": sent})
    return tenant


def listed(tenant: Tenant, **query: Any) -> list[dict[str, Any]]:
    """What the JSON list holds, all pages."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        data = tenant.api.get(PATH, params={"size": 100} | query | cursor, expect=200).data
        found += data["items"]
        if "next_cursor" not in data:
            return found
        cursor = {"cursor": data["next_cursor"]}


def test_export__csv_of_records__is_the_whole_list_in_its_order(book: Tenant) -> None:
    """The file holds what all pages hold, row for row, whatever page and size say."""
    items = listed(book)
    found = rows(fetch(book, size=7, page=3))
    assert len(items) == len(found) == 130
    for item, row in zip(items, found, strict=True):
        for name in ("record_id", "device_id", "start_time", "end_time", "received_at", "site_id"):
            assert row[name] == item[name]
        assert float(row["energy"]) == item["energy"]
        assert row["meter_start"] == "100.0"
        assert row["cost"] == ""
        assert (row["vin"], row["soc_start"], row["soc_end"]) == (VIN, "20", "")
        assert row["stop_reason"] == "user_request"
        assert json.loads(row["extras"]) == {"note": "=1+1"}


def test_export__head__names_type_and_file(book: Tenant) -> None:
    """The answer says that it is a CSV file with a header, which no cache may keep."""
    answer = fetch(book)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    disposition = answer.headers["content-disposition"]
    assert disposition.startswith('attachment; filename="charging-records-20')
    assert disposition.endswith('Z.csv"')
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["vary"] == "accept"
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["transfer-encoding"] == "chunked"
    head = answer.content.split(b"\r\n", 1)[0]
    assert head.startswith(b"record_id,device_id,connector_id,site_id,start_time,end_time,energy,")


def test_export__filters__hold_for_the_file_too(book: Tenant) -> None:
    """Device and time bound the file as they bound the list; nothing found is a header alone."""
    device_id = listed(book)[0]["device_id"]
    query = {"device_id": device_id, "start_time": "2025-06-02T03:00:00Z"}
    wanted = [item["record_id"] for item in listed(book, **query)]
    assert [row["record_id"] for row in rows(fetch(book, **query))] == wanted
    assert 0 < len(wanted) < 65
    empty = fetch(book, start_time="2031-01-01T00:00:00Z")
    assert empty.content.count(b"\r\n") == 1


@pytest.mark.parametrize(("mode", "shown"), [("masked", None), ("none", "")])
def test_export__vin__is_shown_as_the_client_may_see_it(
    book: Tenant, mode: str, shown: str | None
) -> None:
    """A client that sees a VIN masked or not at all sees no more of it in a file."""
    client = book.client_with(vin_mode=mode)
    answer = fetch(book, token=client.token)
    items = book.contract.operator(client.token).get(PATH, expect=200).data["items"]
    expected = items[0]["vehicle_info"].get("vin", "")
    assert {row["vin"] for row in rows(answer)} == {expected}
    assert shown is None or expected == shown
    assert VIN.encode() not in answer.content


def test_export__text_that_looks_like_a_formula__is_made_harmless(tenant: Tenant) -> None:
    """What a charger sent never becomes a formula; numbers below zero stay numbers."""
    charger = tenant.charger()
    for first in "=+-@":
        one = record(
            record_id=f"{first}cmd|'/c calc'!A1,\"q\"", energy=-5.5, meter_start=9.0, meter_end=3.5
        )
        charger.send("charging-records", one | {"stop_reason": f"{first}SUM(A1)", "cost": -1.25})
    found = rows(fetch(tenant, device_id=charger.device_id))
    assert sorted(row["record_id"] for row in found) == sorted(
        f"'{first}cmd|'/c calc'!A1,\"q\"" for first in "=+-@"
    )
    assert {row["stop_reason"] for row in found} == {f"'{first}SUM(A1)" for first in "=+-@"}
    assert {(row["energy"], row["cost"]) for row in found} == {("-5.5", "-1.25")}


@pytest.mark.parametrize(
    "accept",
    ["", "*/*", "application/json", "text/html,*/*;q=0.8", "application/*", "image/png",
     "application/json, text/csv;q=0.9", "text/csv;q=0", "text/csv;q=x"],
)  # fmt: skip
def test_export__whoever_prefers_json_or_knows_no_better__gets_the_envelope(
    book: Tenant, accept: str
) -> None:
    """Browsers and plain clients are answered as ever."""
    answer = fetch(book, accept)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["data"]["total"] == 130


@pytest.mark.parametrize("accept", ["TEXT/CSV", "text/*", "application/json;q=0.5, text/csv"])
def test_export__whoever_prefers_csv__gets_it(book: Tenant, accept: str) -> None:
    """Quality and case follow HTTP's rules."""
    assert fetch(book, accept).headers["content-type"].startswith("text/csv")


def test_export__what_is_not_valid_or_not_there__is_refused_in_the_envelope(book: Tenant) -> None:
    """Failures before the first row are answered like any other."""
    assert fetch(book, device_id="dvc_absent").json()["code"] == 3001
    query = {"start_time": "2025-06-02T00:00:00Z", "end_time": "2025-06-01T00:00:00Z"}
    assert fetch(book, **query).json()["code"] == 1001
    assert fetch(book, token="wrong").json()["code"] == 2001


def test_export__route_that_is_no_list__answers_json_whatever_is_accepted(book: Tenant) -> None:
    """Only lists with files look at what is accepted."""
    headers = {"authorization": f"Bearer {book.client.token}", "accept": "text/csv"}
    url = f"{book.server.base_url}/v1/operator/sites"
    assert httpx.get(url, headers=headers, trust_env=False).json()["code"] == 0


def test_export__another_tenant__sees_none_of_it(book: Tenant, tenant: Tenant) -> None:
    """A file holds the records of the caller's operator alone."""
    device_id = listed(book)[0]["device_id"]
    assert fetch(tenant, device_id=device_id).status_code == 404
    mine = {row["record_id"] for row in rows(fetch(tenant))}
    assert not mine & {row["record_id"] for row in rows(fetch(book))}
