"""Limits over several nodes: exact in all where they are to be, each node's own where not."""

import itertools
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.databases import PostgresServer, postgres_server
from tests.reliability.arrivals import Arrival, contradictions, count_allowed
from tests.reliability.node_group import node_group, skewed, until
from tests.reliability.node_voices import Voices
from tests.server import Client

NODES = range(3)
MINUTE_S = 60.0
TOGETHER_AGAIN_AFTER_S = 5.0
SITES = "/v1/operator/sites"
PUBLISHED = ("--limit-scale", "1")
# Loopback is exempt from limits by address; a caller behind this proxy is not.
TRUSTED = {"TELLUS_SERVER__TRUSTED_PROXIES": "127.0.0.1"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Voices]:
    """Three nodes with the published limits."""
    url, folder = postgres_server().make_database(), tmp_path_factory.mktemp("limits")
    programs = skewed([0] * len(NODES), "patient")
    with node_group(folder, url, programs, PUBLISHED, **TRUSTED) as group:
        speaker = Voices(group)
        yield speaker
        speaker.close()


def _arrival(voices: Voices, node: int, client: Client) -> Arrival:
    sent_s = time.monotonic()
    answer = voices.ask(node, "GET", SITES, client.token)
    got_s = time.monotonic()
    assert answer.status_code in {200, 429}, answer.text
    details = answer.json().get("details") or {}
    retry_s = details.get("retry_after_seconds", 0)
    return Arrival(sent_s, got_s, answer.status_code == 200, retry_s)


def test_class_of_sixty_a_minute__calls_to_all_nodes__is_exact(voices: Voices) -> None:
    """Sixty a minute are let through and no other, whichever nodes are asked, as by the oracle."""
    client = voices.group.create_client()
    nodes = itertools.cycle(NODES)
    arrivals = [_arrival(voices, next(nodes), client) for _ in range(90)]
    assert count_allowed(arrivals) == 60
    assert contradictions(arrivals, 60, MINUTE_S) == []


def test_class_of_sixty_a_minute__calls_at_once_to_all_nodes__is_exact(voices: Voices) -> None:
    """However many calls are under way at once, sixty are let through."""
    client = voices.group.create_client()
    calls = [voices.soon(_arrival, voices, number % 3, client) for number in range(120)]
    assert count_allowed([call.result() for call in calls]) == 60


def test_failed_logins__on_all_nodes__are_counted_together(voices: Voices) -> None:
    """Ten wrong secrets a minute of one address and id are tried in all, and then none."""
    client = voices.group.create_client()
    body = {
        "client_id": client.client_id,
        "client_secret": "cs_wrong",
        "grant_type": "client_credentials",
    }
    statuses = []
    for number in range(16):
        port = voices.group.ports[number % 3]
        answer = httpx.post(
            f"http://127.0.0.1:{port}/v1/operator/oauth/token",
            json=body,
            headers={"x-forwarded-for": "203.0.113.9"},
        )
        statuses.append(answer.status_code)
    assert statuses == [401] * 10 + [429] * 6


def test_hot_class__calls_to_all_nodes__is_each_nodes_own(voices: Voices) -> None:
    """Ten uploads a second pass on each node: to count them together would cost too much."""
    device = voices.charger(0)
    for _ in range(3):
        began_s = time.monotonic()
        statuses = {
            node: [_upload(voices, node, device.token) for _ in range(13)] for node in NODES
        }
        if time.monotonic() - began_s < 1.0:
            break
        time.sleep(1.0)
    for passed in statuses.values():
        assert passed.count(200) == 10
        assert passed[10:] == [429] * 3


def _upload(voices: Voices, node: int, token: str) -> int:
    body = {
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "connector_id": 1,
        "state": "idle",
        "voltage": 0.0,
        "current": 0.0,
        "power": 0.0,
        "energy_delivered": 0.0,
    }
    return voices.ask(node, "POST", "/v1/device/telemetry", token, body).status_code


def test_registrations__of_one_serial_on_all_nodes__are_five_an_hour(voices: Voices) -> None:
    """A serial number registers five times an hour, wherever."""
    body = {"sn": "SN-OFTEN", "model": "TP-DC180", "manufacturer": "M", "firmware_version": "3.1.0"}
    statuses = [
        voices.ask(number % 3, "POST", "/v1/device/register", "", body).status_code
        for number in range(8)
    ]
    assert statuses.count(429) == 3
    assert statuses[-3:] == [429] * 3


def test_limits__database_away__are_counted_locally_and_back_together(tmp_path: Path) -> None:
    """Without the database a node counts alone; nobody is refused or kept waiting for that."""
    postgres = PostgresServer()
    try:
        postgres.start()
        programs = skewed([0, 0], "patient")
        url = postgres.make_database()
        with node_group(tmp_path, url, programs, PUBLISHED) as group, ExitStack() as closing:
            voices = Voices(group)
            closing.callback(voices.close)
            client = group.create_client()
            postgres.stop(at_once=True)
            answers = [voices.status(number % 2, SITES, client.token) for number in range(20)]
            assert 429 not in answers
            postgres.start()
            until(lambda: voices.status(0, SITES, client.token) == 200, 20.0)
            time.sleep(TOGETHER_AGAIN_AFTER_S)
            fresh = group.create_client()
            more = [_arrival(voices, number % 2, fresh) for number in range(80)]
            assert count_allowed(more) == 60
    finally:
        postgres.remove()
