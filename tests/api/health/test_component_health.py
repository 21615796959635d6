"""Component health from the charger's upload to the operator's screen, on a server of its own."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.tenancy import Charger, Tenant, moment, new_tenant, sample
from tests.contract.client import ContractClient
from tests.contract.exchange_log import SESSION
from tests.contract.stream import open_stream
from tests.databases import SQLITE
from tests.server import RunningServer, start_server

QUICK = {
    "TELLUS_HEALTH__FLUSH_S": "0.2",
    "TELLUS_HEALTH__PATIENCE_S": "0",
    "TELLUS_HEALTH__UPKEEP_S": "0.5",
}
WHOLE: dict[str, Any] = {
    "contactor_cycles": 41_250,
    "contactor_max_cycles": 100_000,
    "cooling_fan_rpm": 1_790,
    "cooling_fan_status": "ok",
    "internal_temps": {
        "power_module": 51.5, "control_board": 39.5, "ac_inlet": 33.0, "dc_outlet": 44.5,
    },
    "relay_state": "closed",
    "isolation_test_kohms": 1_520,
    "last_isolation_test": "2026-03-14T09:00:00Z",
    "inverter_sync_status": "synced",
    "inverter_health_pct": 97.5,
    "modules": [{"index": 0, "status": "ok"}, {"index": 1, "status": "degraded"}],
    "bidirectional_inverter_cycles": 800,
    "bidirectional_inverter_max_cycles": 20_000,
    "harmonic_distortion_v2g_pct": 2.5,
    "discharge_contactor_cycles": 700,
}  # fmt: skip


@pytest.fixture(scope="module")
def quick_server(
    database_kind: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """A platform that stores component health at once."""
    del database_kind
    running = start_server(tmp_path_factory.mktemp("health") / "data", environment=QUICK)
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def tenant(quick_server: RunningServer) -> Iterator[Tenant]:
    """An operator of that platform."""
    with ContractClient(quick_server.base_url, log=SESSION) as client:
        yield new_tenant(quick_server, client)


def read(charger: Charger) -> dict[str, Any]:
    """The device's component health."""
    path = f"/v1/operator/devices/{charger.device_id}/component-health"
    data: dict[str, Any] = charger.operator.get(path, expect=200).data
    return data


def history(charger: Charger, **query: Any) -> dict[str, Any]:
    """A metric over time."""
    path = f"/v1/operator/devices/{charger.device_id}/component-health/history"
    data: dict[str, Any] = charger.operator.get(path, params=query, expect=200).data
    return data


def wait_for(found: Callable[[], bool]) -> None:
    """Wait until something is stored."""
    until_s = time.monotonic() + 10
    while not found():
        assert time.monotonic() < until_s, "it was not stored in time"
        time.sleep(0.05)


def test_health__all_of_it__is_shown_wherever_the_sample_is(charger: Charger) -> None:
    """What a charger told is on its connector, in its samples, and among its parts."""
    charger.send("telemetry", sample(component_health=WHOLE, temperature=31.5))
    assert charger.connector()["component_health"] == WHOLE
    assert charger.samples()[0]["component_health"] == WHOLE
    charger.send("telemetry", sample())
    assert charger.connector()["component_health"] == WHOLE
    wait_for(lambda: bool(read(charger)["connectors"]))
    (connector,) = read(charger)["connectors"]
    values = {name: one["value"] for name, one in connector["metrics"].items()}
    assert values == {
        "contactor_cycles": 41_250, "contactor_max_cycles": 100_000, "cooling_fan_rpm": 1_790,
        "temp_power_module_c": 51.5, "temp_control_board_c": 39.5, "temp_ac_inlet_c": 33.0,
        "temp_dc_outlet_c": 44.5, "isolation_test_kohms": 1_520, "inverter_health_pct": 97.5,
        "inverter_cycles": 800, "inverter_max_cycles": 20_000, "harmonic_distortion_pct": 2.5,
        "discharge_contactor_cycles": 700, "temperature_c": 31.5,
    }  # fmt: skip
    words = {name: one["value"] for name, one in connector["statuses"].items()}
    assert words == {
        "cooling_fan_status": "ok", "relay_state": "closed", "inverter_sync_status": "synced",
        "module_0": "ok", "module_1": "degraded", "last_isolation_test": "2026-03-14T09:00:00Z",
    }  # fmt: skip
    assert set(connector["wear"]) == {"contactor", "inverter", "discharge_contactor"}
    assert connector["wear"]["contactor"]["reason"] == "too_little_data"


def test_health__stream__shows_the_newest(tenant: Tenant, charger: Charger) -> None:
    """A frame has what its connector told last of its parts."""
    charger.send("telemetry", sample(component_health={"cooling_fan_rpm": 1_234}))
    base_url = tenant.server.base_url
    with open_stream(base_url, [charger.device_id], tenant.client.token) as stream:
        frame = stream.read()
    assert frame["connectors"][0]["component_health"] == {"cooling_fan_rpm": 1_234}


def test_health__thirty_days_told_at_once__has_trends_and_a_forecast(tenant: Tenant) -> None:
    """A charger that was offline tells a month in batches; its wear and its fan's decline show."""
    charger = tenant.charger(model="TP-DC180")
    begin = datetime.now(UTC).replace(minute=30, second=0, microsecond=0) - timedelta(days=20)
    items = [
        sample(
            timestamp=(begin + timedelta(hours=2 * k)).isoformat(),
            component_health={"contactor_cycles": 50_000 + 5 * k, "cooling_fan_rpm": 1_800 - k},
        )
        for k in range(240)
    ]
    assert {one["outcome"] for one in _batch(charger, items)} == {"stored"}
    wait_for(lambda: len(history(charger, metric="contactor_cycles", **_month())["items"]) == 240)
    wait_for(lambda: bool(read(charger)["connectors"]))
    (connector,) = read(charger)["connectors"]
    wear = connector["wear"]["contactor"]
    assert (wear["cycles"], wear["rated_cycles"], wear["rated_by"]) == (51_195, 100_000, "model")
    assert wear["rate"]["cycles_per_day"] == pytest.approx(60.0)
    expected = datetime.fromisoformat(wear["forecast"]["expected_at"])
    at = datetime.fromisoformat(wear["observed_at"])
    assert (expected - at).total_seconds() / 86_400 == pytest.approx(48_805 / 60, rel=1e-6)
    trends = connector["metrics"]["cooling_fan_rpm"]["trends"]
    assert trends["30d"]["slope_per_day"] == pytest.approx(-12.0)
    assert trends["7d"]["slope_per_day"] == pytest.approx(-12.0)
    assert {one["outcome"] for one in _batch(charger, items[:50])} == {"duplicate"}
    assert read(charger)["connectors"][0]["wear"] == connector["wear"]


def test_history__pages_and_resolutions__join_whole(charger: Charger) -> None:
    """Minutes and hours of a number and of a status, in pages of any size."""
    for ago_s in (7_200, 600, 300, 0):
        health = {"cooling_fan_rpm": 1_000 + ago_s, "relay_state": "open" if ago_s else "closed"}
        charger.send("telemetry", sample(timestamp=moment(ago_s), component_health=health))
    query = {"metric": "cooling_fan_rpm", "start_time": moment(9_000), "resolution": "minute"}
    wait_for(lambda: len(history(charger, **query)["items"]) == 4)
    whole = history(charger, **query)
    assert [one["last"] for one in whole["items"]] == [8_200, 1_600, 1_300, 1_000]
    items, cursor = [], None
    while cursor != "":
        page = history(charger, **query, size=1, **({"cursor": cursor} if cursor else {}))
        items += page["items"]
        cursor = page.get("next_cursor", "")
    assert items == whole["items"]
    hours = history(charger, metric="cooling_fan_rpm")
    assert (hours["resolution"], max(one["high"] for one in hours["items"])) == ("hour", 8_200)
    words = history(charger, metric="relay_state", start_time=moment(900))
    assert [one["value"] for one in words["items"]] == ["open", "open", "closed"]
    assert history(charger, metric="module_7")["items"] == []


def test_history__what_is_no_metric_or_no_connector__is_refused(charger: Charger) -> None:
    """An unknown metric, a range that ends before it begins, a connector that is not there."""
    path = f"/v1/operator/devices/{charger.device_id}/component-health/history"
    get = charger.operator.get
    assert get(path, expect=400).json["code"] == 1002
    assert get(path, params={"metric": "mood"}, expect=400).json["details"]["field"] == "metric"
    turned = {"metric": "relay_state", "start_time": moment(0), "end_time": moment(60)}
    get(path, params=turned, expect=400)
    get(path, params={"metric": "relay_state", "connector_id": 9}, expect=404)


def test_health__server_is_killed_before_it_stores__has_it_after_the_start(
    database_kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What was acknowledged is among the minutes once the platform is back, late samples too."""
    if database_kind != SQLITE:
        pytest.skip("where others may live, a process is taken to be dead after a minute only")
    data_dir = tmp_path_factory.mktemp("killed") / "data"
    slow = QUICK | {"TELLUS_HEALTH__FLUSH_S": "30"}
    first = start_server(data_dir, environment=QUICK)
    try:
        with ContractClient(first.base_url, log=SESSION) as client:
            tenant = new_tenant(first, client)
            charger = tenant.charger()
            charger.send("telemetry", sample(component_health={"contactor_cycles": 1}))
            wait_for(lambda: bool(read(charger)["connectors"]))
        assert first.stop() == 0
        second = start_server(data_dir, environment=slow)
        try:
            told = [(0, 5), (30, 0), (8_000, 3)]
            with ContractClient(second.base_url, log=SESSION) as client:
                own = client.device(charger.token)
                for ago_s, cycles in told:
                    health = {"contactor_cycles": cycles}
                    body = sample(timestamp=moment(ago_s), component_health=health)
                    own.post("/v1/device/telemetry", body, expect=200)
        finally:
            second.kill()
        third = start_server(data_dir, environment=QUICK)
        try:
            with ContractClient(third.base_url, log=SESSION) as client:
                again = replace(charger, operator=client.operator(tenant.client.token))
                wait_for(lambda: _cycles(again) >= {0, 3, 5})
        finally:
            third.stop()
    finally:
        first.stop()


def _cycles(charger: Charger) -> set[float]:
    found = history(
        charger, metric="contactor_cycles", resolution="minute", start_time=moment(9_000)
    )
    return {value for one in found["items"] for value in (one["low"], one["high"])}


def _month() -> dict[str, Any]:
    return {"start_time": moment(30 * 86_400), "resolution": "hour", "size": 1_000}


def _batch(charger: Charger, items: list[Any]) -> list[Any]:
    found: list[Any] = charger.send("telemetry/batch", {"items": items}).data["items"]
    return found
