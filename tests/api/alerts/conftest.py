"""A world for each module, and a receiver of webhooks for each test."""

from collections.abc import Iterator

import pytest

from tests.api.alerts.world import AlertWorld, Receiver


@pytest.fixture(scope="module")
def world(database_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertWorld]:
    """A platform of this module's own, on the chosen database."""
    del database_kind
    made = AlertWorld(tmp_path_factory.mktemp("alerts") / "data")
    yield made
    made.stop()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server on a free port that keeps what it is sent."""
    made = Receiver()
    yield made
    made.stop()
