"""A server whose chargers boot in a second, and a tenant on it whose client may do all."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.api.runbooks.field import Field, run_field
from tests.api.runbooks.playing import Stage
from tests.api.tenancy import new_tenant
from tests.contract.client import ContractClient
from tests.contract.exchange_log import SESSION
from tests.server import RunningServer, start_server

BOOT = {
    "TELLUS_RUNBOOKS__BOOT_S": "1",
    "TELLUS_RUNBOOKS__RETURN_S": "0",
    "TELLUS_RUNBOOKS__RESET_S": "0",
    "TELLUS_RUNBOOKS__TURN_S": "0.1",
}


@pytest.fixture(scope="session")
def quick_server(
    database_kind: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """A server of these tests' own; ``database_kind`` says over which database."""
    del database_kind
    server = start_server(tmp_path_factory.mktemp("runbooks") / "data", environment=BOOT)
    yield server
    assert server.stop() == 0, "".join(server.stderr[-40:])


@pytest.fixture(scope="session")
def stage(quick_server: RunningServer) -> Iterator[Stage]:
    """An operator with a client of all scopes."""
    with ContractClient(quick_server.base_url, log=SESSION) as contract:
        tenant = new_tenant(quick_server, contract)
        client = tenant.client_with(scopes=["read", "write", "diagnostics"])
        yield Stage(replace(tenant, client=client))


@pytest.fixture(scope="session")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    """Simulated chargers at a server of their own."""
    yield from run_field(tmp_path_factory.mktemp("field"))
