"""Of several nodes one does what is to be done once, and another does when that one goes."""

import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.databases import postgres_server
from tests.reliability.node_group import node_group, skewed, until
from tests.reliability.node_voices import Voices
from tests.server import Client, Device

NODES = range(3)
PATIENCE_S = 20.0
TAKEN_OVER_WITHIN_S = 16.0
HANDED_OVER_WITHIN_S = 6.0
OFFLINE_AFTER_S = 5
"""The shortest there is; the nodes of this file tell each other every 2 seconds whom they hear."""
LOST_WITHIN_S = 30.0
"""That is 5 s and 2 s and 5 s more, by when what another node heard is surely known."""
BESIDE_S = 5.0

pytestmark = pytest.mark.slow


@contextmanager
def voices_of(folder: Path, **environment: str) -> Iterator[Voices]:
    """Three nodes for the length of a block."""
    url = postgres_server().make_database()
    with node_group(folder, url, skewed([0] * len(NODES), "talkative"), **environment) as group:
        until(lambda: group.number_on_duty() is not None, PATIENCE_S)
        voices = Voices(group)
        try:
            yield voices
        finally:
            voices.close()


def successor(voices: Voices, gone: int) -> bool:
    """Tell whether another node than this one has the duty."""
    return voices.group.number_on_duty() not in {None, gone}


def limit_on_way(voices: Voices, node: int, token: str, site_id: str) -> None:
    """Issue a control on a node."""
    body = {
        "target_type": "site",
        "target_ids": [site_id],
        "command": "set_power_limit",
        "params": {"power_limit_percent": 50, "duration": 600},
    }
    voices.get(node, "POST", "/v1/operator/control/flexibility", token, body)


def test_duty__its_node_is_killed__passes_to_another_that_goes_on(tmp_path: Path) -> None:
    """A node that dies is followed within its lease; controls are carried out again then."""
    with voices_of(tmp_path) as voices:
        group = voices.group
        client = group.create_client()
        gone = group.number_on_duty()
        assert gone is not None
        here, there = (node for node in NODES if node != gone)
        device = voices.charger(here)
        voices.upload(here, device, 50.0)
        site_id = voices.seen(here, device, client.token)["site_id"]
        group.kill(gone)
        began_s = time.monotonic()
        limit_on_way(voices, here, client.token, site_id)
        told = voices.soon(voices.poll, there, device, 1, 60)
        until(lambda: successor(voices, gone), TAKEN_OVER_WITHIN_S)
        taken_over_s = time.monotonic() - began_s
        assert told.result(PATIENCE_S)["command"] == "set_power_limit"
        group.restart(gone)
        until(lambda: len(group.nodes()) == len(NODES), PATIENCE_S)
        print(f"the duty was taken over {taken_over_s:.1f} s after a kill")


def known_on(voices: Voices, node: int, device: Device, client: Client) -> None:
    """Wait until a node shows a device."""
    path = f"/v1/operator/devices/{device.device_id}"
    until(lambda: voices.status(node, path, client.token) == 200, PATIENCE_S)


def park(voices: Voices, node: int, device: Device) -> "Future[Any]":
    """Wait on a node for a command; return once the poll is parked there."""
    poll = voices.soon(voices.poll, node, device, 1, 60)
    until(lambda: voices.parked(node) == 1, PATIENCE_S)
    return poll


def stop_under_a_stream(voices: Voices, gone: int, device: Device, client: Client) -> None:
    """Stop a node in order; the stream on it ends with 1012 and the process with 0."""
    url = f"ws://127.0.0.1:{voices.group.ports[gone]}/v1/operator/stream"
    head = {"Authorization": f"Bearer {client.token}"}
    url = f"{url}?devices={device.device_id}"
    with connect(url, additional_headers=head, compression=None, proxy=None) as stream:
        stream.recv(timeout=PATIENCE_S)
        stopping = voices.soon(voices.group.servers[gone].stop)
        with pytest.raises(ConnectionClosed) as closed:
            stream.recv(timeout=PATIENCE_S)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    assert stopping.result(PATIENCE_S) == 0


def test_stop__node_on_duty__answers_its_polls_ends_its_streams_and_hands_over(
    tmp_path: Path,
) -> None:
    """An ordered stop costs nothing: null, 1012, and another is on duty at its next beat."""
    with voices_of(tmp_path) as voices:
        client = voices.group.create_client()
        gone = voices.group.number_on_duty()
        assert gone is not None
        other, third = (node for node in NODES if node != gone)
        device = voices.charger(gone)
        for node in NODES:
            known_on(voices, node, device, client)
        poll = park(voices, gone, device)
        stop_under_a_stream(voices, gone, device, client)
        assert poll.result(PATIENCE_S) is None
        took_s = until(lambda: successor(voices, gone), HANDED_OVER_WITHIN_S)
        assert len(voices.group.nodes()) == len(NODES) - 1
        again = park(voices, other, device)
        command_id = voices.command(third, device, client.token)
        assert again.result(PATIENCE_S)["command_id"] == command_id
        print(f"the duty was taken over {took_s:.1f} s after a stop")


def test_presence__device_of_one_node__goes_offline_once_and_only_when_silent(
    tmp_path: Path,
) -> None:
    """Whoever is on duty, a device that some node hears is online, and is lost once."""
    settings = {
        "TELLUS_PRESENCE__OFFLINE_AFTER_S": str(OFFLINE_AFTER_S),
        "TELLUS_PRESENCE__START_GRACE_S": "0",
    }
    with voices_of(tmp_path, **settings) as voices:
        client = voices.group.create_client()
        on_duty = voices.group.number_on_duty()
        assert on_duty is not None
        node = (on_duty + 1) % len(NODES)
        heard, silent = voices.charger(node), voices.charger(node)
        voices.beat(node, heard)
        voices.beat(node, silent)
        known_on(voices, on_duty, silent, client)
        until(lambda: voices.seen(node, heard, client.token)["status"] == "online", PATIENCE_S)

        def is_lost() -> bool:
            voices.beat(node, heard)
            return voices.faults(on_duty, silent, client.token) != []

        lost_s = until(is_lost, LOST_WITHIN_S, 1.0)
        until_s = time.monotonic() + BESIDE_S
        while time.monotonic() < until_s:
            voices.beat(node, heard)
            time.sleep(1.0)
        print(f"a silent device of another node was lost after {lost_s:.0f} s")
        lost = {other: voices.faults(other, silent, client.token) for other in NODES}
        assert lost == {other: ["F-0301"] for other in NODES}
        assert voices.faults(on_duty, heard, client.token) == []
        for other in NODES:
            assert voices.seen(other, silent, client.token)["status"] == "offline"
        voices.beat(node, silent)
        for other in NODES:
            until(
                lambda other=other: voices.seen(other, silent, client.token)["status"] == "online",
                PATIENCE_S,
            )
