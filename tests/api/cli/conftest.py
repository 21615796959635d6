from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.cli.console import Console, Served


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A platform for all tests of a file."""
    place = Served(tmp_path_factory.mktemp("served") / "data", "--limit-scale", "50")
    try:
        place.await_ready()
        yield place
    finally:
        assert place.stop() == 0


@pytest.fixture
def console(served: Served, tmp_path: Path) -> Console:
    """Commands of its administrator, in an empty folder."""
    return Console(tmp_path, options=("--data-dir", str(served.data_dir)))


@pytest.fixture
def operator_id(console: Console) -> str:
    """An operator of the test's own."""
    made: str = console.json("operators", "create", "ACME Energy")["operator_id"]
    return made


@pytest.fixture
def site_id(console: Console, operator_id: str) -> str:
    """A site of that operator."""
    words = ("sites", "create", "--operator", operator_id, "--name", "North")
    made: str = console.json(*words)["site_id"]
    return made
