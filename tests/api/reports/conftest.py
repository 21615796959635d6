"""Two operators, for what one must not see of the other."""

import pytest

from tests.api.tenancy import Charger, Tenant, new_tenant
from tests.contract.client import ContractClient
from tests.server import RunningServer


@pytest.fixture
def server_tenants(
    server: RunningServer, contract: ContractClient, charger: Charger
) -> tuple[Charger, Tenant]:
    """A charger, and an operator whose it is not."""
    return charger, new_tenant(server, contract)
