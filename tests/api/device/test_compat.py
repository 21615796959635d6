"""Chargers that deviate: refused by default, admitted where an operator says so, and counted."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.tenancy import Charger, Tenant, event, heartbeat, new_tenant, record, sample, without
from tests.contract.client import ContractClient
from tests.server import start_server

DEVIATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "heartbeat without fault code": ("heartbeat", without(heartbeat(), "fault_code")),
    "record without mean power": ("charging-records", without(record(), "avg_power")),
    "record without first reading": ("charging-records", without(record(), "meter_start")),
    "record without last reading": ("charging-records", without(record(), "meter_end")),
    "status for state": ("telemetry", without(sample(), "state") | {"status": "charging"}),
    "fractional state of charge": ("telemetry", sample(soc=55.6)),
    "fractional at the start": ("charging-records", record(vehicle_info={"soc_start": 20.4})),
}
BEYOND: dict[str, tuple[str, dict[str, Any]]] = {
    "neither status nor state": ("telemetry", without(sample(), "state")),
    "no energy": ("charging-records", without(record(), "energy")),
    "no status": ("heartbeat", without(heartbeat(), "status")),
    "null fault code": ("heartbeat", heartbeat(fault_code=None)),
    "state of charge over 100": ("telemetry", sample(soc=100.5)),
    "power as text": ("telemetry", sample(power="40")),
    "no data": ("events", without(event(), "data")),
}


@pytest.fixture(scope="module", params=["mode", "model"])
def lenient(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tenant]:
    """A tenant on a server that is lenient altogether, or to one model."""
    by = request.param
    values = {"mode": {"MODE": "lenient"}, "model": {"LENIENT_MODELS": "OLD-1,TP-DC180"}}[by]
    environment = {f"TELLUS_COMPAT__{name}": value for name, value in values.items()}
    data_dir = tmp_path_factory.mktemp("lenient") / "data"
    server = start_server(data_dir, environment=environment)
    with ContractClient(server.base_url) as contract:
        yield new_tenant(server, contract)
    assert server.stop() == 0


@pytest.mark.parametrize("what", DEVIATIONS)
def test_strict__known_deviation__is_refused(charger: Charger, what: str) -> None:
    """By default the published contract holds as it stands."""
    path, body = DEVIATIONS[what]
    charger.send(path, body, expect=400)


@pytest.mark.parametrize("what", DEVIATIONS)
def test_lenient__known_deviation__is_admitted_alone_and_in_a_batch(
    lenient: Tenant, what: str
) -> None:
    """Each known deviation is taken, once, wherever the operation is lenient."""
    path, body = DEVIATIONS[what]
    charger = lenient.charger()
    charger.send(path, body)
    if path != "heartbeat":
        found = charger.send(f"{path}/batch", {"items": [body]}).data["items"]
        assert found == [{"outcome": "duplicate"}]


@pytest.mark.parametrize("what", BEYOND)
def test_lenient__any_other_deviation__is_refused(lenient: Tenant, what: str) -> None:
    """Lenient is no licence: what is not on the list stays wrong."""
    path, body = BEYOND[what]
    lenient.charger().send(path, body, expect=400)


def test_lenient__admitted_values__are_read_as_meant(lenient: Tenant) -> None:
    """`status` counts as `state`, fractions of a percent are rounded, absent figures left out."""
    charger = lenient.charger()
    charger.send("telemetry", without(sample(soc=55.6), "state") | {"status": "discharging"})
    connector = charger.connector()
    assert (connector["status"], connector["soc"]) == ("discharging", 56)
    body = without(without(record(vehicle_info={"soc_end": 79.5}), "avg_power"), "meter_end")
    charger.send("charging-records", body)
    (item,) = charger.records()
    assert not {"avg_power", "meter_end"} & item.keys()
    assert item["vehicle_info"] == {"soc_end": 80}
    charger.send("heartbeat", without(heartbeat(status="fault"), "fault_code"))
    assert charger.seen()["health"] == "fault"


def test_lenient__admissions__are_counted_by_model(lenient: Tenant) -> None:
    """An operator sees which firmware deviates."""
    charger = lenient.charger()
    for _, body in (DEVIATIONS["heartbeat without fault code"],) * 3:
        charger.send("heartbeat", body)
    charger.send("events", without(event(), "connector_id"))
    page = lenient.contract.get("/metrics", expect=200).body.decode()
    line = next(
        one
        for one in page.splitlines()
        if one.startswith("tellus_lenient_admissions_total") and 'model="TP-DC180"' in one
    )
    assert float(line.split()[-1]) >= 4


def test_lenient__after_a_restart__holds_still(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Devices read back from the store are as lenient as before, and other models as strict."""
    data_dir = tmp_path_factory.mktemp("again") / "data"
    environment = {"TELLUS_COMPAT__LENIENT_MODELS": "OLD-1"}
    server = start_server(data_dir, environment=environment)
    old, new = server.register(model="OLD-1"), server.register(model="NEW-1")
    assert server.stop() == 0
    server = start_server(data_dir, environment=environment)
    body = without(heartbeat(), "fault_code")
    with ContractClient(server.base_url) as contract:
        contract.device(old.token).post("/v1/device/heartbeat", body, expect=200)
        contract.device(new.token).post("/v1/device/heartbeat", body, expect=400, code=1002)
    assert server.stop() == 0
