"""A tenant with a partner platform, one per module."""

import pytest

from tests.api.legacy.partner import Partner, new_partner
from tests.api.tenancy import Tenant, new_tenant
from tests.contract.client import ContractClient
from tests.server import RunningServer


@pytest.fixture(scope="module")
def own(server: RunningServer, contract: ContractClient) -> Tenant:
    """A tenant of this module alone."""
    return new_tenant(server, contract)


@pytest.fixture(scope="module")
def partner(own: Tenant) -> Partner:
    """Its partner, which sees its one site."""
    return new_partner(own, timezone="Asia/Shanghai")
