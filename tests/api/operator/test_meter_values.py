"""Meter values: what chargers sent, under OCPP's names, filtered and paged without loss."""

import csv
import io
from typing import Any

import httpx
import pytest

from tests.api.tenancy import Charger, Tenant, moment, new_tenant, sample
from tests.contract.client import ContractClient
from tests.server import RunningServer

PATH = "/v1/operator/meter-values"
PHASES = {
    "phase_a": {"voltage": 231.0, "current": 20.5},
    "phase_c": {"voltage": 229.5, "current": 21},
}


def listed(charger: Charger, **query: Any) -> list[dict[str, Any]]:
    """All values that a query finds, page by page."""
    found: list[dict[str, Any]] = []
    asked = {"device_id": charger.device_id} | query
    while True:
        data = charger.operator.get(PATH, params=asked, expect=200).data
        found += data["items"]
        assert len(data["items"]) <= query.get("size", 100)
        if "next_cursor" not in data:
            return found
        asked |= {"cursor": data["next_cursor"]}


def brief(values: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Measurand, phase, value, unit and location of each."""
    return [
        (one["measurand"], one.get("phase"), one["value"], one["unit"], one["location"])
        for one in values
    ]


def test_meter_values__charging_sample__is_import_with_units_and_places(charger: Charger) -> None:
    """A sample becomes one value per quantity and phase, each with OCPP's unit and location."""
    sent = sample(soc=55, temperature=31.5, phase_details=PHASES)
    charger.send("telemetry", sent)
    values = listed(charger)
    assert brief(values) == [
        ("Voltage", None, 400.5, "V", "Outlet"),
        ("Current.Import", None, 100.25, "A", "Outlet"),
        ("Power.Active.Import", None, 40.125, "kW", "Outlet"),
        ("Energy.Active.Import.Register", None, 3.5, "kWh", "Outlet"),
        ("SoC", None, 55.0, "Percent", "EV"),
        ("Temperature", None, 31.5, "Celsius", "Body"),
        ("Voltage", "L1", 231.0, "V", "Inlet"),
        ("Current.Import", "L1", 20.5, "A", "Inlet"),
        ("Voltage", "L3", 229.5, "V", "Inlet"),
        ("Current.Import", "L3", 21.0, "A", "Inlet"),
    ]
    assert {one["timestamp"] for one in values} == {sent["timestamp"]}
    assert {one["context"] for one in values} == {"Sample.Periodic"}
    assert {(one["device_id"], one["connector_id"]) for one in values} == {(charger.device_id, 1)}


def test_meter_values__discharging_samples__are_export_without_sign(charger: Charger) -> None:
    """Power below zero, or the state where there is no power, makes it export."""
    charger.send(
        "telemetry",
        sample(
            timestamp=moment(2), state="discharging", power=-8.5, current=-20, energy_delivered=-1.5
        ),
    )
    charger.send("telemetry", sample(timestamp=moment(1), state="discharging", power=0, current=0))
    exports = brief(listed(charger))
    assert exports[1:4] == [
        ("Current.Export", None, 20.0, "A", "Outlet"),
        ("Power.Active.Export", None, 8.5, "kW", "Outlet"),
        ("Energy.Active.Export.Register", None, 1.5, "kWh", "Outlet"),
    ]
    assert [one[0] for one in exports[5:8]] == [one[0] for one in exports[1:4]]


@pytest.fixture(scope="module")
def metered(server: RunningServer, contract: ContractClient) -> Charger:
    """A charger with forty samples on two connectors, several of one instant."""
    charger = new_tenant(server, contract).charger()
    times = [moment(200 - 10 * (n // 4)) for n in range(40)]
    items = [
        sample(timestamp=times[n], connector_id=1 + n % 2, power=float(n), soc=20 + n // 2)
        for n in range(40)
    ]
    charger.send("telemetry/batch", {"items": items})
    return charger


@pytest.mark.parametrize("size", [1, 3, 100, 1000])
def test_meter_values__walked_by_cursor__holds_each_once_in_order(
    metered: Charger, size: int
) -> None:
    """Whatever the size of pages, they hold the same values in order of time."""
    whole = listed(metered, size=1000)
    assert len(whole) == 40 * 5
    assert whole == listed(metered, size=size)
    places = [(one["timestamp"], one["connector_id"]) for one in whole]
    assert places == sorted(places)


def test_meter_values__measurands__are_chosen_by_name(metered: Charger) -> None:
    """One name or several with commas between, in any case; pages hold as many as asked for."""
    chosen = listed(metered, measurand="SoC", size=7)
    assert len(chosen) == 40
    assert {one["measurand"] for one in chosen} == {"SoC"}
    both = listed(metered, measurand="power.active.import, SoC")
    assert {one["measurand"] for one in both} == {"Power.Active.Import", "SoC"}
    assert len(both) == 80
    assert listed(metered, measurand="Current.Export") == []


def test_meter_values__connector_and_range__narrow_the_list(metered: Charger) -> None:
    """The connector is one of the device's; since is included, until is not."""
    whole = listed(metered, size=1000)
    second = [one for one in whole if one["connector_id"] == 2]
    assert listed(metered, connector_id=2) == second
    since, until = whole[60]["timestamp"], whole[120]["timestamp"]
    inside = [one for one in whole if since <= one["timestamp"] < until]
    assert listed(metered, since=since, until=until) == inside
    assert 0 < len(inside) < len(whole)


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ({}, 1002, "device_id"),
        ({"measurand": "SoC,Volt"}, 1001, "measurand"),
        ({"measurand": ""}, 1001, "measurand"),
        ({"size": 1001}, 1001, "size"),
        ({"cursor": "x"}, 1001, "cursor"),
        ({"since": "2025-01-02T00:00:00Z", "until": "2025-01-02T00:00:00Z"}, 1001, "since"),
        ({"connector_id": 9}, 3001, None),
        ({"device_id": "dvc_absent"}, 3001, None),
        ({"session_id": "ses_absent"}, 3001, None),
    ],
)
def test_meter_values__what_is_not_valid_or_there__is_refused(
    metered: Charger, query: dict[str, Any], code: int, field: str | None
) -> None:
    """Each fault is told with its code and the field."""
    needed = {"device_id": metered.device_id} if query else {}
    status = 404 if code == 3001 else 400
    reply = metered.operator.get(PATH, params=needed | query, expect=status, code=code)
    assert reply.details.get("field") == field


def test_meter_values__another_tenant__finds_nothing(metered: Charger, tenant: Tenant) -> None:
    """A device of another operator is as absent."""
    tenant.api.get(PATH, params={"device_id": metered.device_id}, expect=404, code=3001)


def test_meter_values__as_csv__are_the_whole_list(metered: Charger, server: RunningServer) -> None:
    """The file holds every value of the list in its order, whatever size says."""
    headers = {"authorization": f"Bearer {metered.operator._token}", "accept": "text/csv"}
    query = {"device_id": metered.device_id, "measurand": "SoC,Voltage", "size": "3"}
    answer = httpx.get(server.base_url + PATH, params=query, headers=headers, trust_env=False)
    assert answer.headers["content-disposition"].startswith('attachment; filename="meter-values-')
    rows = list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))
    expected = listed(metered, measurand="SoC,Voltage")
    assert len(rows) == len(expected) == 80
    for row, one in zip(rows, expected, strict=True):
        assert float(row.pop("value")) == one["value"]
        assert row == {name: str(one.get(name, "")) for name in row}
