"""What is held of a vehicle, exported and erased, over the tables of every feature."""

import json
import secrets
from typing import Any

import pytest

from tellus.kernel.vins import mask_vin
from tests.api.tenancy import Charger, Tenant, event, moment, record, sample
from tests.contract.client import ContractClient
from tests.databases import query

EXPORT = "/v1/admin/subjects/export"


def mint_vin() -> str:
    """A number that no other test has, and that is mentioned like no other."""
    letters = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
    return (
        "W"
        + "".join(secrets.choice(letters) for _ in range(12))
        + f"{secrets.randbelow(10_000):04}"
    )


@pytest.fixture
def vin() -> str:
    """A number that no other test has."""
    return mint_vin()


def _charge(charger: Charger, vin: str, begin_s: float, end_s: float, **more: Any) -> str:
    """A charge from so long ago to so long ago, as a record; its id."""
    told = record(
        start_time=moment(begin_s), end_time=moment(end_s), vehicle_info={"vin": vin}, **more
    )
    charger.send("charging-records", told)
    return str(told["record_id"])


def _export(tenant: Tenant, vin: str, **more: Any) -> dict[str, Any]:
    """The document."""
    asked = {"vin": vin, "operator_id": tenant.operator_id} | more
    held: dict[str, Any] = tenant.admin.post(EXPORT, asked, expect=200).data
    return held


def _write_texts(tenant: Tenant, charger: Charger, vin: str) -> None:
    """Have people write the number wherever they can."""
    api = tenant.api_with(scopes=["read", "write", "diagnostics"])
    device = f"/v1/operator/devices/{charger.device_id}"
    charger.send("events", event(event_type="fault", data={"fault_code": 3, "vin": vin}))
    run = {"device_id": charger.device_id, "vehicle": {"make": "VW", "model": vin}}
    slug = "charger-faulting-on-power-up"
    begun = api.post(f"/v1/operator/runbooks/{slug}/runs", run, expect=200).data
    assert begun["vehicle"]["model"] == mask_vin(vin)
    api.post(f"{device}/diagnostics", {"note": f"after {vin}"}, expect=200)
    hook = {"url": "https://alerts.invalid/v1", "name": f"about {vin}"}
    made = api.post("/v1/operator/webhooks", hook, expect=200).data
    assert made["name"] == f"about {mask_vin(vin)}"
    consent = {
        "device_id": charger.device_id, "services": ["diagnostics"],
        "granted_by": f"driver of {vin.lower()}",
        "customer": f"Owner of {vin.lower()}", "evidence": vin,
    }  # fmt: skip
    tenant.admin.post("/v1/admin/consents", consent, expect=200)


def test_export__one_vehicle_of_two__holds_all_of_it_and_nothing_of_the_other(
    tenant: Tenant, charger: Charger, vin: str
) -> None:
    """Records, what contradicts them, events, samples, commands, texts: its own, to the second."""
    other = mint_vin()
    mine = _charge(charger, vin, 900, 600, remark=f"{vin} after {other}")
    _charge(charger, other, 300, 60)
    charger.send("events", event(data={"vin": vin, "next": other}))
    charger.send("events", event(timestamp=moment(700), event_type="start", data={"a": 1}))
    charger.send("events", event(timestamp=moment(200), event_type="start", data={"b": 1}))
    charger.send("telemetry", sample(timestamp=moment(700), power=7.5))
    charger.send("telemetry", sample(timestamp=moment(200), power=8.5))
    _write_texts(tenant, charger, vin)
    held = _export(tenant, vin)
    assert held["vin"] == vin
    (part,) = held["operators"]
    text = json.dumps(held)
    assert other not in text
    assert mask_vin(other) not in text
    tables = part["tables"]
    assert [one["record_id"] for one in tables["charging_records"]] == [mine]
    assert vin in json.dumps(tables["charging_records"])
    datas = [one["data"] for one in tables["events"]]
    assert {"a": 1} in datas
    assert {"b": 1} not in datas
    assert any(isinstance(one, dict) and one.get("vin") == vin for one in datas)
    (samples,) = part["samples"]
    assert (samples["record_id"], len(samples["samples"])) == (mine, 1)
    assert samples["samples"][0]["power_kw"] == 7.5
    where = {(one["table"], one["column"]) for one in part["mentions"]}
    assert {
        ("runbook_runs", "vehicle"), ("diagnostic_reports", "note"), ("webhooks", "name"),
        ("consents", "granted_by"), ("consents", "evidence"),
    } <= where  # fmt: skip


def test_export__two_charges_at_one_connector_at_once__shows_neither_what_may_be_the_others(
    tenant: Tenant, charger: Charger, vin: str
) -> None:
    """Where two are said to have charged, samples of the time they share are nobody's."""
    _charge(charger, vin, 900, 500)
    _charge(charger, mint_vin(), 600, 300)
    charger.send("telemetry", sample(timestamp=moment(800), power=1.5))
    charger.send("telemetry", sample(timestamp=moment(550), power=2.5))
    (part,) = _export(tenant, vin)["operators"]
    powers = [one["power_kw"] for told in part["samples"] for one in told["samples"]]
    assert powers == [1.5]


def test_export__mentions_that_fit_two_vehicles__are_left_out_and_counted(
    tenant: Tenant, charger: Charger
) -> None:
    """First three and last four characters are no proof where another vehicle has them too."""
    tail = f"{secrets.randbelow(10_000):04}"
    mine, other = f"WVWZZZ1JZXW00{tail}", f"WVWZZZ9PZXW11{tail}"
    _charge(charger, mine, 900, 600)
    _write_texts(tenant, charger, mine)
    assert _export(tenant, mine)["operators"][0]["mentions"]
    _charge(charger, other, 300, 60)
    (part,) = _export(tenant, mine)["operators"]
    assert part["mentions"] == []
    assert part["mentions_left_out"] >= 5


def test_export__audited__names_no_vehicle(tenant: Tenant, charger: Charger, vin: str) -> None:
    """The log tells who exported and how many rows; a vehicle nobody knows is an empty answer."""
    _charge(charger, vin, 900, 600)
    held = _export(tenant, vin)
    log = tenant.admin.get("/v1/admin/audit-log", params={"resource_id": held["export_id"]})
    (entry,) = log.data["items"]
    assert (entry["action"], entry["details"]["rows"]["charging_records"]) == (
        "subject.exported",
        1,
    )
    assert vin.encode() not in log.body
    assert _export(tenant, mint_vin())["operators"] == []
    tenant.admin.post(EXPORT, {"vin": vin, "operator_id": "op_nobody"}, expect=404)


def test_erase__vehicle_mentioned_in_texts__is_gone_from_all_with_a_certificate(
    tenant: Tenant, charger: Charger, vin: str
) -> None:
    """No table holds even the masked number; receipt and audit log have the same digest."""
    _charge(charger, vin, 900, 600)
    _write_texts(tenant, charger, vin)
    asked = {"vin": vin, "operator_id": tenant.operator_id}
    receipt = tenant.admin.post("/v1/admin/erasures/vehicle", asked, expect=200).data
    removed = receipt["removed"]
    assert {name: removed[name] for name in ("keys", "charging_records", "events")} == {
        "keys": 1,
        "charging_records": 1,
        "events": 1,
    }
    assert {"runbook_runs", "diagnostic_reports", "webhooks", "consents"} <= removed.keys()
    assert _export(tenant, vin)["operators"] == []
    held = query(tenant.server.data_dir, "SELECT granted_by, evidence, scope FROM consents")
    held += query(tenant.server.data_dir, "SELECT name, url, kinds FROM webhooks")
    held += query(tenant.server.data_dir, "SELECT vehicle, slug, status FROM runbook_runs")
    assert mask_vin(vin).lower() not in repr(held).lower()
    assert "*" * 17 in repr(held)
    path = f"/v1/admin/erasures/{receipt['erasure_id']}"
    assert tenant.admin.get(path, expect=200).data == receipt
    log = tenant.admin.get(
        "/v1/admin/audit-log", params={"resource_id": receipt["erasure_id"], "size": 10}
    )
    certificate = next(one for one in log.data["items"] if one["action"] == "erasure.completed")
    assert certificate["details"]["digest"] == receipt["digest"]
    assert certificate["details"]["removed"] == removed
    assert vin.encode() not in log.body


def test_processing_record__asked_for__has_every_table_and_the_days_in_force(
    tenant: Tenant,
) -> None:
    """The legal ground is left to the operator; settings have their present values."""
    tables = tenant.admin.get("/v1/admin/processing-record", expect=200).data["tables"]
    by_name = {one["table"]: one for one in tables}
    assert by_name["subjects"]["settings"] == {"retention.vin_days": 90}
    assert by_name["subjects"]["erased"] == "vehicle"
    assert {one["legal_ground"] for one in tables} == {None}


def test_privacy__administrators_alone__are_let_in(
    tenant: Tenant, contract: ContractClient, vin: str
) -> None:
    """Operators and strangers get neither exports nor the record."""
    for client in (contract, tenant.api):
        client.post(EXPORT, {"vin": vin}, expect=401)
        client.get("/v1/admin/processing-record", expect=401)
