"""Who may open a stream of what, and how one is refused or ended."""

import json
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tellus.surfaces.guard.limits import GuardLimits
from tests.api.stream.samples import register, sample, send
from tests.contract.client import ContractClient, Refused
from tests.contract.stream import open_stream
from tests.server import Client, Device, RunningServer, running_server

CLOSED_WITHIN_S = 5.0
PATH = "/v1/operator/stream"


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Client:
    """A client of the operator that new chargers belong to."""
    return server.create_client()


@pytest.fixture(scope="module")
def device(server: RunningServer) -> Device:
    """A charger of that operator."""
    return register(server)


def refused(server: RunningServer, devices: list[str], token: str | None) -> tuple[int, int | None]:
    """Return HTTP status and code that a handshake is refused with."""
    with pytest.raises(Refused) as refusal:
        open_stream(server.base_url, devices, token)
    return refusal.value.reply.status, refusal.value.reply.code


@pytest.mark.parametrize("in_query", [False, True])
def test_token__in_header_or_query__opens_the_stream(
    server: RunningServer, client: Client, device: Device, *, in_query: bool
) -> None:
    """A client that cannot set headers puts its token into the query."""
    devices = [device.device_id]
    with open_stream(server.base_url, devices, client.token, in_query=in_query) as stream:
        assert stream.read()["device_id"] == device.device_id


def test_token__in_the_query__is_in_no_log_line(
    server: RunningServer, client: Client, device: Device
) -> None:
    """What stands behind `?token=` is written nowhere."""
    with open_stream(server.base_url, [device.device_id], client.token, in_query=True) as stream:
        stream.read()
    assert refused(server, ["dvc_nowhere"], client.token) == (404, 3001)
    assert client.token not in "".join(server.stderr)


def test_token__missing_wrong_or_a_chargers__is_401(server: RunningServer, device: Device) -> None:
    """Only an operator's living token opens a stream."""
    for token in (None, "nonsense", device.token):
        assert refused(server, [device.device_id], token) == (401, 2001)


def test_token__in_the_header__goes_before_the_query(
    server: RunningServer, client: Client, device: Device
) -> None:
    """A header that is there is what counts."""
    with pytest.raises(Refused) as refusal:
        open_stream(
            server.base_url,
            [device.device_id],
            client.token,
            in_query=True,
            headers={"Authorization": "Bearer nonsense"},
        )
    assert refusal.value.reply.status == 401


def test_client__without_the_scope_read__is_403(server: RunningServer, device: Device) -> None:
    """The stream is reading."""
    writer = server.create_client(scopes=("write",))
    assert refused(server, [device.device_id], writer.token) == (403, 2003)


def test_device__foreign_or_absent__is_404_and_looks_the_same(
    server: RunningServer, client: Client, device: Device
) -> None:
    """Whether another operator's device exists cannot be told from the refusal."""
    stranger = server.create_client(server.create_operator("Stranger"))
    bodies = []
    for devices, token in (
        ([device.device_id], stranger.token),
        (["dvc_00000000000000000000"], client.token),
        ([device.device_id, "dvc_00000000000000000000"], client.token),
        (["not an id!"], client.token),
    ):
        with pytest.raises(Refused) as refusal:
            open_stream(server.base_url, devices, token)
        assert refusal.value.reply.status == 404
        bodies.append(refusal.value.reply.body)
    assert len(set(bodies)) == 1
    assert json.loads(bodies[0])["code"] == 3001


def test_devices__missing_empty_or_too_many__is_400(
    server: RunningServer, client: Client, contract: ContractClient
) -> None:
    """Which devices must be said, and no more than 1,000 of them."""
    assert refused(server, [], client.token) == (400, 1001)
    assert refused(server, [f"dvc_{n}" for n in range(1001)], client.token) == (400, 1001)
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    operator = contract.operator(client.token)
    reply = operator.raw("GET", PATH, headers=upgrade, expect=400, code=1002)
    assert reply.details["field"] == "devices"


def test_devices__a_thousand__are_all_in_the_snapshot(tmp_path: Path) -> None:
    """A stream takes 1,000 devices, named once or twice, and shows each once."""
    with running_server(tmp_path / "data") as own:
        client = own.create_client()
        with ContractClient(own.base_url) as contract:
            made = [contract.post("/v1/device/register", _registration(n)) for n in range(1000)]
        ids = [reply.data["device_id"] for reply in made]
        with open_stream(own.base_url, [*ids, ids[0]], client.token) as stream:
            assert sorted(stream.read()["device_id"] for _ in ids) == sorted(ids)


def _registration(number: int) -> dict[str, str]:
    return {
        "sn": f"SN-{number}",
        "model": "Unlisted",
        "manufacturer": "X",
        "firmware_version": "1.0.0",
    }


def test_request__without_an_upgrade__is_426(
    contract: ContractClient, client: Client, device: Device
) -> None:
    """A plain GET of the stream is told what it takes."""
    reply = contract.operator(client.token).get(f"{PATH}?devices={device.device_id}", expect=426)
    assert reply.code == 1001
    assert reply.headers["upgrade"].lower() == "websocket"


def test_streams__a_client_opens_one_too_many__closes_it_with_4429(server: RunningServer) -> None:
    """Twenty streams of one client stand side by side; the next is closed, none of the others."""
    client = server.create_client()
    ids = [register(server).device_id for _ in range(21)]
    with ExitStack() as opened:
        for device_id in ids[:20]:
            stream = opened.enter_context(open_stream(server.base_url, [device_id], client.token))
            stream.read()
        extra = opened.enter_context(open_stream(server.base_url, [ids[20]], client.token))
        assert extra.closing()[0] == 4429
        newer = opened.enter_context(open_stream(server.base_url, [ids[0]], client.token))
        assert newer.read()["device_id"] == ids[0]


def test_same_set__in_another_order__replaces_the_older_with_4409(
    server: RunningServer, client: Client, device: Device
) -> None:
    """The newer connection wins, in whatever order the devices are named."""
    devices = [device.device_id, register(server).device_id]
    with open_stream(server.base_url, devices, client.token) as older:
        older.read()
        with open_stream(server.base_url, devices[::-1], client.token) as newer:
            assert older.closing()[0] == 4409
            assert {newer.read()["device_id"], newer.read()["device_id"]} == set(devices)


def test_client__revoked_in_mid_stream__closes_with_4401_in_time(
    server: RunningServer, device: Device
) -> None:
    """A revoked client's stream ends within 5 s, with the code of its token as reason."""
    client = server.create_client()
    with open_stream(server.base_url, [device.device_id], client.token) as stream:
        stream.read()
        server.admin("DELETE", f"/v1/admin/clients/{client.client_id}")
        assert stream.closing(CLOSED_WITHIN_S) == (4401, "2001")


def test_client__that_loses_its_scope__closes_with_4403_in_time(
    server: RunningServer, device: Device
) -> None:
    """A client that may no longer read has its streams closed within 5 s."""
    client = server.create_client()
    with open_stream(server.base_url, [device.device_id], client.token) as stream:
        stream.read()
        path = f"/v1/admin/clients/{client.client_id}"
        server.admin("PATCH", path, {"scopes": ["write"]})
        assert stream.closing(CLOSED_WITHIN_S) == (4403, "2003")


def test_message__larger_than_4_kib__ends_the_stream_with_1009(
    server: RunningServer, client: Client, device: Device
) -> None:
    """The stream speaks one way: small messages are dropped, a large one ends it."""
    with open_stream(server.base_url, [device.device_id], client.token) as stream:
        stream.read()
        stream.send("x" * 4096)
        stream.send("x" * 4097)
        assert stream.closing()[0] == 1009


def test_message__of_any_content__changes_nothing(
    server: RunningServer, client: Client, contract: ContractClient
) -> None:
    """What a client says on the stream is neither answered nor obeyed."""
    own = register(server)
    with open_stream(server.base_url, [own.device_id], client.token) as stream:
        stream.read()
        stream.send('{"devices": ["*"]}')
        stream.send(b"\x00\x01")
        time.sleep(1.0)
        send(contract, own, sample(5.0))
        assert stream.read()["device_id"] == own.device_id


def test_stop__of_the_server__closes_with_1012(tmp_path: Path) -> None:
    """A stream of a server that stops is told to come back."""
    with running_server(tmp_path / "data") as own:
        client, charger = own.create_client(), register(own)
        with open_stream(own.base_url, [charger.device_id], client.token) as stream:
            stream.read()
            own.process.terminate()
            assert stream.closing()[0] == 1012


def test_pings__by_default__come_every_20_seconds() -> None:
    """Dead peers are looked for three times a minute."""
    assert GuardLimits().stream_ping_s == 20.0
    assert GuardLimits().stream_message_bytes == 4096
