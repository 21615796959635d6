"""A tenant on the session's server, and a fresh charger for whoever wants one."""

import pytest

from tests.api.tenancy import Charger, Tenant, new_tenant
from tests.contract.client import ContractClient
from tests.server import RunningServer


@pytest.fixture(scope="module")
def tenant(server: RunningServer, contract: ContractClient) -> Tenant:
    """An operator of this module's own."""
    return new_tenant(server, contract)


@pytest.fixture
def charger(tenant: Tenant) -> Charger:
    """A charger of the module's tenant, fresh for each test."""
    return tenant.charger()
