"""A platform whose agents look every second."""

from collections.abc import Iterator

import pytest

from tests.api.tenancy import Tenant, new_tenant
from tests.contract.client import ContractClient
from tests.server import RunningServer, start_server

EAGER = {"TELLUS_AGENTS__EVERY_S": "1", "TELLUS_HEALTH__FLUSH_S": "0.2"}


@pytest.fixture(scope="session")
def eager_server(
    database_kind: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """A platform whose agents look every second."""
    del database_kind
    running = start_server(tmp_path_factory.mktemp("eager") / "data", environment=EAGER)
    try:
        yield running
    finally:
        code = running.stop()
    assert code == 0, "".join(running.stderr[-40:])


@pytest.fixture(scope="session")
def eager_contract(eager_server: RunningServer) -> Iterator[ContractClient]:
    """A client without a token that checks every answer against the contract."""
    with ContractClient(eager_server.base_url) as client:
        yield client


@pytest.fixture
def tenant(eager_server: RunningServer, eager_contract: ContractClient) -> Tenant:
    """A tenant of the test's own."""
    return new_tenant(eager_server, eager_contract)
