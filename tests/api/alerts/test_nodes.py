"""Several nodes: an alert that one node takes in reaches the streams of another."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.alerts.test_stream import stream
from tests.api.alerts.world import AlertWorld
from tests.databases import POSTGRES, Choice, database_url
from tests.served import ServedPlatform


@pytest.fixture
def other_node(world: AlertWorld, tmp_path: Path) -> Iterator[str]:
    """The address of a second node over the world's database."""
    if Choice.kind != POSTGRES:
        pytest.skip("several nodes share a PostgreSQL")
    first = world.served.settings.data_dir
    node = ServedPlatform(
        tmp_path / "data", database={"url": database_url(first)}, keys_file=first / "keys.json"
    )
    yield node.start()
    node.stop()


def test_alert__taken_in_by_one_node__reaches_the_stream_of_another(
    world: AlertWorld, other_node: str
) -> None:
    """A client hears of an alert whichever node it is connected to."""
    with stream(world, world.tenant, "channels=alerts", other_node) as far:
        world.find(key="nodes:1")
        frame = json.loads(far.recv(timeout=5))
        assert (frame["change"], frame["alert"]["code"]) == ("opened", "F-0421")
        world.change(frame["alert"], status="resolved")
        assert json.loads(far.recv(timeout=5))["change"] == "closed"
