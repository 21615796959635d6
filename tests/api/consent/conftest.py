"""A platform that requires consent."""

from collections.abc import Iterator

import pytest

from tests.api.tenancy import Tenant, new_tenant
from tests.contract.client import ContractClient
from tests.server import RunningServer, start_server

REQUIRED = {"TELLUS_CONSENT__REQUIRED": "true"}


@pytest.fixture(scope="session")
def strict_server(
    database_kind: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """A platform that requires consent, for all tests of consent on one database."""
    del database_kind
    data_dir = tmp_path_factory.mktemp("strict") / "data"
    running = start_server(data_dir, environment=REQUIRED)
    try:
        yield running
    finally:
        code = running.stop()
    assert code == 0, "".join(running.stderr[-40:])


@pytest.fixture(scope="session")
def strict_contract(strict_server: RunningServer) -> Iterator[ContractClient]:
    """A client without a token that checks every answer against the contract."""
    with ContractClient(strict_server.base_url) as client:
        yield client


@pytest.fixture
def tenant(strict_server: RunningServer, strict_contract: ContractClient) -> Tenant:
    """A tenant of the test's own where consent is required."""
    return new_tenant(strict_server, strict_contract)
