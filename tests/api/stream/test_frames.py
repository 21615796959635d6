"""What a subscriber is sent, over real sockets."""

import json
import time

import pytest

from tests.api.stream.samples import register, sample, send
from tests.contract.client import ContractClient
from tests.contract.stream import FrameReader, open_stream
from tests.server import Client, RunningServer

CADENCE_S = 1.0
QUIET_S = 1.6  # longer than the cadence of a second and a tick of the hub
VIN = "TESTVEHKL00000042"


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Client:
    """A client of the operator that new chargers belong to."""
    return server.create_client()


def powers(frame: dict[str, object]) -> list[float]:
    """Return the power of every connector in a frame, kW."""
    connectors = frame["connectors"]
    assert isinstance(connectors, list)
    return [connector["power"] for connector in connectors]


def assert_silent(stream: FrameReader) -> None:
    """Check that nothing comes for longer than a cadence."""
    with pytest.raises(TimeoutError):
        stream.read(QUIET_S)


def test_stream__opened__sends_a_snapshot_then_changes(
    server: RunningServer, contract: ContractClient, client: Client
) -> None:
    """First comes each device as it is, then what changes, with all connectors in every frame."""
    known, new = register(server), register(server)
    send(contract, known, sample(7.0))
    send(contract, known, sample(8.0, connector_id=2))
    with open_stream(server.base_url, [known.device_id, new.device_id], client.token) as stream:
        first = {frame["device_id"]: frame for frame in (stream.read(), stream.read())}
        assert powers(first[known.device_id]) == [7.0, 8.0]
        assert first[new.device_id]["connectors"] == []
        assert_silent(stream)
        send(contract, known, sample(9.0))
        assert powers(stream.read()) == [9.0, 8.0]


def test_stream__of_samples_in_quick_succession__sends_the_latest_alone(
    server: RunningServer, contract: ContractClient, client: Client
) -> None:
    """Within a cadence there is one frame per device, and it is the newest."""
    device = register(server)
    send(contract, device, sample(0.0))
    with open_stream(server.base_url, [device.device_id], client.token) as stream:
        stream.read()
        began_s = time.monotonic()
        for power_kw in range(1, 21):
            send(contract, device, sample(float(power_kw)))
        while powers(stream.read()) != [20.0]:
            pass
        took_s = time.monotonic() - began_s
        assert len(stream.frames) - 1 <= 1 + took_s / CADENCE_S
        assert_silent(stream)


def test_stream__of_a_batch__sends_one_frame(
    server: RunningServer, contract: ContractClient, client: Client
) -> None:
    """A batch that moves the state forward many times is one frame of where it ends."""
    device = register(server)
    send(contract, device, sample(0.0, age_s=60))
    with open_stream(server.base_url, [device.device_id], client.token) as stream:
        stream.read()
        items = [sample(float(step), age_s=50 - step) for step in range(50)]
        charger = contract.device(device.token)
        charger.post("/v1/device/telemetry/batch", {"items": items}, expect=200)
        assert powers(stream.read()) == [49.0]
        assert_silent(stream)


def test_stream__of_late_future_and_repeated_samples__sends_nothing(
    server: RunningServer, contract: ContractClient, client: Client
) -> None:
    """What is back-filled, from a suspect clock, or a repeat is stored and not streamed."""
    device = register(server)
    newest = sample(5.0)
    send(contract, device, newest)
    with open_stream(server.base_url, [device.device_id], client.token) as stream:
        assert powers(stream.read()) == [5.0]
        time.sleep(1.0)
        send(contract, device, sample(1.0, age_s=3600))
        send(contract, device, sample(2.0, age_s=-3600))
        send(contract, device, newest)
        assert_silent(stream)
        send(contract, device, sample(6.0))
        assert powers(stream.read()) == [6.0]


def test_stream__of_a_device_with_a_known_vehicle__never_names_it(
    server: RunningServer, contract: ContractClient, client: Client
) -> None:
    """The vehicle's VIN is in no frame, wherever the charger has sent it."""
    device = register(server)
    charger = contract.device(device.token)
    with open_stream(server.base_url, [device.device_id], client.token) as stream:
        stream.read()
        now = sample(1.0)["timestamp"]
        record = {
            "record_id": "with-vin", "connector_id": 1, "start_time": now, "end_time": now,
            "energy": 1.0, "max_power": 1.0, "avg_power": 1.0, "meter_start": 0.0,
            "meter_end": 1.0, "vehicle_info": {"vin": VIN},
        }  # fmt: skip
        charger.post("/v1/device/charging-records", record, expect=200)
        event = {"timestamp": now, "event_type": "plug_in", "connector_id": 1, "data": {"vin": VIN}}
        charger.post("/v1/device/events", event, expect=200)
        time.sleep(1.0)
        odd = sample(2.0) | {"vin": VIN, "detail_state": VIN, "vehicle_info": {"vin": VIN}}
        send(contract, device, odd)
        while stream.read()["connectors"] == [] or powers(stream.frames[-1]) != [2.0]:
            pass
        assert VIN not in json.dumps(stream.frames)


def test_stream__two_clients_of_one_operator__both_see_the_device(
    server: RunningServer, contract: ContractClient, client: Client
) -> None:
    """A frame goes to every subscriber."""
    device, other = register(server), server.create_client()
    devices = [device.device_id]
    with (
        open_stream(server.base_url, devices, client.token) as one,
        open_stream(server.base_url, devices, other.token) as two,
    ):
        one.read()
        two.read()
        time.sleep(1.0)
        send(contract, device, sample(3.0))
        assert one.read() == two.read()


def test_stream__of_a_device_that_moves_away__goes_silent(
    server: RunningServer, contract: ContractClient, client: Client
) -> None:
    """A device that goes over to another operator is not seen by its former one any more."""
    device = register(server)
    elsewhere = server.create_site(server.create_operator("Elsewhere"))
    with open_stream(server.base_url, [device.device_id], client.token) as stream:
        stream.read()
        path = f"/v1/admin/devices/{device.device_id}"
        server.admin("PATCH", path, {"site_id": elsewhere})
        send(contract, device, sample(4.0))
        assert_silent(stream)
