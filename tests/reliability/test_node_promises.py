"""What one node does holds on the others: within a second with the bus, within four without."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.databases import postgres_server
from tests.reliability.node_group import node_group, until
from tests.reliability.node_voices import Voices
from tests.server import Client, Device

FIRST, SECOND, THIRD = range(3)
CADENCE_S = 1.0
"""A stream has a device's next frame no sooner after its last."""
PATIENCE_S = 20.0
SITES = "/v1/operator/sites"
# With the bus heard, nothing else may be what tells of a command: nobody looks in the store.
POLL_S = {"heard": "0", "deaf": "2"}
PROGRAMS = {
    "heard": ("-m", "tellus"),
    "deaf": ("-m", "tests.reliability.skewed_node", "0", "deaf", "talkative"),
}

pytestmark = pytest.mark.slow


@dataclass
class World:
    """Three nodes, what speaks to them, a client, and how soon they are to agree."""

    voices: Voices
    client: Client
    within_s: float
    is_deaf: bool

    def follows(self, node: int, path: str, token: str, status: int) -> None:
        """Wait until a node answers a query so."""
        until(lambda: self.voices.status(node, path, token) == status, self.within_s)

    def charger(self, node: int) -> Device:
        """Register a charger on a node and wait until all show it."""
        device = self.voices.charger(node)
        path = f"/v1/operator/devices/{device.device_id}"
        for other in (FIRST, SECOND, THIRD):
            self.follows(other, path, self.client.token, 200)
        return device


@pytest.fixture(scope="module", params=["heard", "deaf"])
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """Nodes that hear each other, and nodes that hear nothing."""
    folder = tmp_path_factory.mktemp("nodes")
    url = postgres_server().make_database()
    programs = [PROGRAMS[request.param]] * 3
    with node_group(folder, url, programs, TELLUS_COMMANDS__POLL_S=POLL_S[request.param]) as group:
        voices = Voices(group)
        is_deaf = request.param == "deaf"
        yield World(voices, group.create_client(), 4.0 if is_deaf else 1.0, is_deaf)
        voices.close()


@pytest.fixture
def heard(world: World) -> World:
    """Nodes that hear each other, for what the bus alone can tell."""
    if world.is_deaf:
        pytest.skip("only the bus tells of it")
    return world


# --------------------------------------------------------------------------- principals


def test_device__registered_elsewhere_a_moment_ago__gets_a_token_and_is_heard(
    world: World,
) -> None:
    """A charger may register on one node, log in on the next and report to a third, at once."""
    voices = world.voices
    for _ in range(20):
        device = voices.register(FIRST)
        assert voices.log_in(SECOND, device).status_code == 200
        voices.beat(THIRD, device)
        voices.upload(FIRST, device, 11.0)


def test_device__registered_elsewhere_and_called_at_once__is_never_half_known(
    world: World,
) -> None:
    """While a node takes over a device that it did not know, no call finds a part of it."""
    voices = world.voices
    for _ in range(10):
        device = voices.charger(FIRST)
        calls = [voices.soon(voices.beat, SECOND, device) for _ in range(8)]
        assert [call.result() for call in calls] == [[]] * len(calls)


def test_client__secret_rotated_and_revoked_elsewhere__follows(world: World) -> None:
    """A new secret is good at once on every node; the tokens of a revoked one end."""
    voices, administration = world.voices, world.voices.group.administration
    client = administration.create_client()
    path = f"/v1/admin/clients/{client.client_id}"
    assert voices.status(SECOND, SITES, client.token) == 200
    shown = administration.admin("GET", path)
    fresh = administration.admin("POST", f"{path}/secrets", {})
    assert voices.client_token(THIRD, client, fresh["client_secret"]).status_code == 200
    old = shown["secrets"][0]["secret_id"]
    administration.admin("DELETE", f"{path}/secrets/{old}")
    world.follows(SECOND, SITES, client.token, 401)
    until(lambda: voices.client_token(THIRD, client).status_code == 401, world.within_s)


def test_client__revoked_elsewhere__ends_on_every_node(world: World) -> None:
    """A revoked client's token is refused everywhere."""
    voices, administration = world.voices, world.voices.group.administration
    client = administration.create_client()
    for node in (SECOND, THIRD):
        assert voices.status(node, SITES, client.token) == 200
    administration.admin("DELETE", f"/v1/admin/clients/{client.client_id}")
    for node in (SECOND, THIRD):
        world.follows(node, SITES, client.token, 401)


def test_device__moved_elsewhere__changes_hands_on_every_node(world: World) -> None:
    """A device that another operator gets is shown to that one alone, on every node."""
    administration = world.voices.group.administration
    other = administration.create_operator()
    site_id = administration.create_site(other)
    new_owner = administration.create_client(other)
    device = world.charger(SECOND)
    path = f"/v1/operator/devices/{device.device_id}"
    administration.admin("PATCH", f"/v1/admin/devices/{device.device_id}", {"site_id": site_id})
    for node in (SECOND, THIRD):
        world.follows(node, path, new_owner.token, 200)
        world.follows(node, path, world.client.token, 404)


def test_device__deleted_elsewhere__is_gone_on_every_node(world: World) -> None:
    """A deleted device is shown no more, and its token is refused."""
    voices = world.voices
    device = world.charger(SECOND)
    path = f"/v1/operator/devices/{device.device_id}"
    administration = voices.group.administration
    administration.admin("DELETE", f"/v1/admin/devices/{device.device_id}")
    for node in (SECOND, THIRD):
        world.follows(node, path, world.client.token, 404)
        poll = "/v1/device/commands?connector_id=1&wait=1"
        world.follows(node, poll, device.token, 401)


# --------------------------------------------------------------------------- readings


def _power(world: World, node: int, device: Device) -> float | None:
    found = world.voices.seen(node, device, world.client.token)["connectors"]
    return found[0].get("power") if found else None


def test_sample__taken_in_on_one_node__is_shown_by_another(world: World) -> None:
    """A device query on any node shows the newest sample."""
    device = world.charger(FIRST)
    for power_kw in (11.0, 22.0):
        world.voices.upload(FIRST, device, power_kw)
        until(lambda power_kw=power_kw: _power(world, SECOND, device) == power_kw, world.within_s)


def test_configuration__said_on_one_node_then_another__is_the_last_word(world: World) -> None:
    """A word that comes back to a node is compared with what others wrote, not with memory."""
    voices, device = world.voices, world.charger(FIRST)
    path = f"/v1/operator/devices/{device.device_id}"

    def shows(config_hash: str, kind: str) -> bool:
        token = world.client.token
        config = voices.get(THIRD, "GET", f"{path}/config-profile", token)
        metadata = voices.get(THIRD, "GET", f"{path}?include=connectivity", token)
        return (
            config.get("reported", {}).get("running_config_hash"),
            metadata["connectivity"].get("type"),
        ) == (config_hash, kind)

    def says(node: int, config_hash: str, kind: str) -> bool:
        more = {"running_config_hash": config_hash, "connectivity": {"type": kind}}
        voices.beat(node, device, **more)
        return shows(config_hash, kind)

    for node, word in ((FIRST, ("aa", "wifi")), (SECOND, ("bb", "ethernet"))):
        assert says(node, *word)
    # Until the first has heard of it, it holds its own word for the newest, and writes nothing.
    until(lambda: says(FIRST, "aa", "wifi"), world.within_s)


def _open(world: World, node: int, *devices: Device) -> Any:
    names = ",".join(device.device_id for device in devices)
    return connect(
        f"ws://127.0.0.1:{world.voices.group.ports[node]}/v1/operator/stream?devices={names}",
        additional_headers={"Authorization": f"Bearer {world.client.token}"},
        compression=None,
        proxy=None,
    )


def test_stream__sample_taken_in_on_another_node__gets_its_frame(world: World) -> None:
    """A stream carries samples that arrive on any node."""
    device = world.charger(FIRST)
    with _open(world, SECOND, device) as stream:
        stream.recv(timeout=PATIENCE_S)
        world.voices.upload(FIRST, device, 33.0)
        frame = json.loads(stream.recv(timeout=world.within_s + CADENCE_S))
    assert frame["connectors"][0]["power"] == 33.0


def test_stream__same_opened_on_another_node__replaces_the_older(heard: World) -> None:
    """Of two streams of one client and the same devices the newer stands, wherever it is."""
    device = heard.charger(FIRST)
    with _open(heard, FIRST, device) as older:
        older.recv(timeout=PATIENCE_S)
        with _open(heard, SECOND, device) as newer:
            newer.recv(timeout=PATIENCE_S)
            with pytest.raises(ConnectionClosed) as closed:
                older.recv(timeout=PATIENCE_S)
            heard.voices.upload(THIRD, device, 44.0)
            assert json.loads(newer.recv(timeout=PATIENCE_S))["connectors"][0]["power"] == 44.0
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4409


# --------------------------------------------------------------------------- commands


def _park(world: World, node: int, device: Device, connector_id: int, wait_s: int) -> Any:
    before = world.voices.parked(node)
    poll = world.voices.soon(world.voices.poll, node, device, connector_id, wait_s)
    until(lambda: world.voices.parked(node) > before, PATIENCE_S)
    return poll


def test_command__issued_on_one_node__leaves_by_a_poll_parked_on_another(world: World) -> None:
    """A parked poll is woken by what another node was told."""
    voices = world.voices
    device = world.charger(SECOND)
    poll = _park(world, SECOND, device, 1, 30)
    command_id = voices.command(FIRST, device, world.client.token)
    assert poll.result(world.within_s)["command_id"] == command_id


def test_command__polls_parked_on_all_nodes__leaves_by_exactly_one(world: World) -> None:
    """However many polls a command may leave by, it leaves once."""
    voices = world.voices
    wait_s = 8
    devices = [world.charger(FIRST) for _ in range(6)]
    # All are parked before any is told something: the count of the parked only grows meanwhile.
    polls = {
        device.device_id: [
            _park(world, node, device, node + 1, wait_s) for node in (FIRST, SECOND, THIRD)
        ]
        for device in devices
    }
    issued = {
        device.device_id: voices.command(FIRST, device, world.client.token) for device in devices
    }
    for device_id, parked in polls.items():
        got = [poll.result(PATIENCE_S) for poll in parked]
        assert [one["command_id"] for one in got if one is not None] == [issued[device_id]]


def test_poll__newer_on_another_node__ends_the_older(heard: World) -> None:
    """One poll per place is parked among all nodes, the newest."""
    device = heard.charger(FIRST)
    older = _park(heard, FIRST, device, 1, 60)
    time.sleep(0.3)  # the other nodes have heard of it
    newer = _park(heard, SECOND, device, 1, 60)
    assert older.result(PATIENCE_S) is None
    command_id = heard.voices.command(THIRD, device, heard.client.token)
    assert newer.result(PATIENCE_S)["command_id"] == command_id


def test_control__issued_on_a_node_that_is_not_on_duty__is_carried_out(world: World) -> None:
    """Whoever is on duty looks after a control, whoever was told of it."""
    voices = world.voices
    until(lambda: voices.group.number_on_duty() in (FIRST, SECOND, THIRD), PATIENCE_S)
    on_duty = voices.group.number_on_duty()
    elsewhere, third = (node for node in (FIRST, SECOND, THIRD) if node != on_duty)
    operator = voices.group.administration.create_operator()
    site_id = voices.group.administration.create_site(operator)
    client = voices.group.administration.create_client(operator)
    device = world.charger(third)
    voices.upload(third, device, 50.0)
    path = f"/v1/admin/devices/{device.device_id}"
    voices.group.administration.admin("PATCH", path, {"site_id": site_id})
    world.follows(elsewhere, f"/v1/operator/devices/{device.device_id}", client.token, 200)
    poll = _park(world, third, device, 1, 30)
    body = {
        "target_type": "site",
        "target_ids": [site_id],
        "command": "set_power_limit",
        "params": {"power_limit_percent": 50, "duration": 600},
    }
    voices.get(elsewhere, "POST", "/v1/operator/control/flexibility", client.token, body)
    told = poll.result(PATIENCE_S)
    assert told["command"] == "set_power_limit"
    assert told["params"]["limits"][0]["power_limit_kw"] == 45.0  # half of a connector's 90 kW


# --------------------------------------------------------------------------- presence


def test_device__heard_by_one_node__is_online_on_the_others(world: World) -> None:
    """Presence is the fleet's, not a node's."""
    device = world.charger(FIRST)
    world.voices.beat(FIRST, device)
    for node in (SECOND, THIRD):
        until(
            lambda node=node: (
                world.voices.seen(node, device, world.client.token)["status"] == "online"
            ),
            PATIENCE_S,
        )


def test_device__reconnects_on_one_node_after_another__raises_one_storm(heard: World) -> None:
    """Reconnects are counted over all nodes, and the fault is raised once."""
    voices = heard.voices
    device = heard.charger(FIRST)
    for number in range(9):
        assert voices.log_in(number % 3, device).status_code == 200
    until(lambda: voices.faults(FIRST, device, heard.client.token) != [], PATIENCE_S)
    voices.beat(SECOND, device)
    until(lambda: voices.seen(THIRD, device, heard.client.token)["status"] == "online", PATIENCE_S)
    assert voices.faults(SECOND, device, heard.client.token) == ["F-0302"]
