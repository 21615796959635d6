"""Who read what of a device: every read is counted, and the first of a day is on disk."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from tests.api.reports.uploading import ask
from tests.api.tenancy import Charger, Tenant, new_tenant, record, sample
from tests.contract.client import ContractClient
from tests.contract.stream import open_stream
from tests.server import start_server


def reads(charger: Charger, **query: Any) -> dict[tuple[str, str, str], int]:
    """How often each reader read each kind of data of a charger, by scope."""
    path = f"/v1/operator/devices/{charger.device_id}/readers"
    items = charger.operator.get(path, params={"size": 100} | query, expect=200).data["items"]
    return {(one["reader_id"], one["kind"], one["scope"]): one["times"] for one in items}


def test_readers__reads_of_a_device__are_counted_by_client_and_kind(
    tenant: Tenant, charger: Charger
) -> None:
    """Reads through path, query, single answers and lists count for the client that made them."""
    charger.send("telemetry", sample())
    charger.send("charging-records", record())
    charger.seen()
    charger.samples(connector_id=1)
    charger.records()
    other = tenant.client_with()
    reader = tenant.contract.operator(other.token)
    reader.get("/v1/operator/devices", expect=200)
    me = tenant.client.client_id
    found = reads(charger)
    assert found[me, "state", "device"] >= 1
    assert found[me, "telemetry", "device"] >= 1
    assert found[me, "records", "device"] >= 1
    assert found[other.client_id, "state", "device"] == 1


def test_readers__sums__count_for_site_or_operator(tenant: Tenant, charger: Charger) -> None:
    """Energy of a site, and of all an operator has, is told apart from reads of the device."""
    client = tenant.client_with()
    reader = tenant.contract.operator(client.token)
    span = {
        "granularity": "hour",
        "start_time": "2025-06-02T00:00:00Z",
        "end_time": "2025-06-03T00:00:00Z",
    }
    path = "/v1/operator/aggregated/energy"
    reader.get(path, params=span | {"site_ids": tenant.site_id}, expect=200)
    reader.get(path, params=span, expect=200)
    found = reads(charger)
    assert found[client.client_id, "energy", "site"] == 1
    assert found[client.client_id, "energy", "operator"] == 1


def test_readers__administrator__is_a_reader_too(tenant: Tenant, charger: Charger) -> None:
    """A look through the API for administrators is counted like any other."""
    tenant.admin.get(f"/v1/admin/devices/{charger.device_id}", expect=200)
    path = f"/v1/admin/devices/{charger.device_id}/readers"
    items = tenant.admin.get(path, expect=200).data["items"]
    kinds = {(one["reader_kind"], one["kind"]) for one in items}
    assert ("administrator", "state") in kinds


def test_readers__empty_list__is_no_read_of_anything(tenant: Tenant, charger: Charger) -> None:
    """A page without items was of no device."""
    client = tenant.client_with()
    reader = tenant.contract.operator(client.token)
    reader.get("/v1/operator/charging-records", params={"page": 999}, expect=200)
    assert not [key for key in reads(charger) if key[0] == client.client_id]


def test_readers__refused_read__is_not_counted(tenant: Tenant, charger: Charger) -> None:
    """A read that was refused told nobody anything."""
    client = tenant.client_with()
    reader = tenant.contract.operator(client.token)
    path = f"/v1/operator/devices/{charger.device_id}/telemetry"
    reader.get(path, params={"start_time": "never", "connector_id": 1}, expect=400)
    assert not [key for key in reads(charger) if key[0] == client.client_id]


def test_readers__days__narrow_the_list(charger: Charger) -> None:
    """Only the days that were asked for are listed; days the wrong way round are refused."""
    charger.seen()
    today = datetime.now(UTC).date()
    assert reads(charger, from_day=today.isoformat())
    assert not reads(charger, to_day="2020-01-01")
    path = f"/v1/operator/devices/{charger.device_id}/readers"
    query = {"from_day": "2026-02-01", "to_day": "2026-01-01"}
    reply = charger.operator.get(path, params=query, expect=400)
    assert reply.json["details"]["field"] == "to_day"


def test_readers__file__counts_as_well(tenant: Tenant, charger: Charger) -> None:
    """A list as a file is a read of what was asked for."""
    charger.send("charging-records", record())
    client = tenant.client_with()
    answer = httpx.get(
        f"{tenant.server.base_url}/v1/operator/charging-records",
        params={"device_id": charger.device_id},
        headers={"accept": "text/csv", "authorization": f"Bearer {client.token}"},
    )
    assert answer.status_code == 200
    assert reads(charger)[client.client_id, "records", "device"] == 1


def test_readers__platform_killed__knows_who_read(tmp_path: Path) -> None:
    """The first read of a day survives a kill right after its answer."""
    running = start_server(tmp_path / "data")
    with ContractClient(running.base_url) as contract:
        tenant = new_tenant(running, contract)
        charger, me = tenant.charger(), tenant.client.client_id
        charger.seen()
    running.kill()
    again = start_server(tmp_path / "data")
    try:
        with ContractClient(again.base_url) as contract:
            again.admin("GET", "/v1/admin/operators")
            admin = contract.bearer(again._admin_token, "admin")
            path = f"/v1/admin/devices/{charger.device_id}/readers"
            items = admin.get(path, expect=200).data["items"]
        assert (me, "state") in {(one["reader_id"], one["kind"]) for one in items}
    finally:
        again.stop()


def test_readers__stream__counts_its_opening_and_its_seconds(
    tenant: Tenant, charger: Charger
) -> None:
    """A stream is counted when it opens, and how long it was open once it is over."""
    token = tenant.client.token
    with open_stream(tenant.server.base_url, [charger.device_id], token) as stream:
        stream.read()
        assert reads(charger)[tenant.client.client_id, "live", "device"] == 1
        time.sleep(1.2)
    until_s = time.monotonic() + 15
    while (seconds := _streamed_s(charger)) == 0 and time.monotonic() < until_s:
        time.sleep(0.25)
    assert 1 <= seconds <= 15


def _streamed_s(charger: Charger) -> int:
    path = f"/v1/operator/devices/{charger.device_id}/readers"
    items = charger.operator.get(path, expect=200).data["items"]
    return sum(one.get("seconds", 0) for one in items)


def test_readers__file_of_a_report__counts_for_its_device(charger: Charger) -> None:
    """A download names no device in its path; it is counted for the one that it is about."""
    asked = ask(charger)
    assert asked.upload(b"bundle").status_code == 200
    before = reads(charger)
    assert asked.download().status_code == 200
    after = reads(charger)
    more = {key: times - before.get(key, 0) for key, times in after.items()}
    assert {key[1:]: times for key, times in more.items() if times} == {
        ("diagnostics", "device"): 1
    }
