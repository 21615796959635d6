"""Fixtures that many tests share: one server per session, and clients that check every answer."""

from collections.abc import Iterator

import pytest

from tests.contract.client import ContractClient
from tests.contract.exchange_log import SESSION
from tests.contract.session_report import pytest_terminal_summary
from tests.server import RunningServer, running_server

__all__ = ["pytest_terminal_summary"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A platform with open registration and generous limits, shared by the whole session."""
    with running_server(tmp_path_factory.mktemp("platform") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def contract(server: RunningServer) -> Iterator[ContractClient]:
    """A client without a token that checks every answer against the contract."""
    with ContractClient(server.base_url, log=SESSION) as client:
        yield client
