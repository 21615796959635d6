"""Fifteen months of a real charger: no question loses or invents a kilowatt-hour."""

from itertools import pairwise
from pathlib import Path

import pytest

from tellus.cli.recordfile import read_records
from tests.api.operator.energy_depot import ask, send
from tests.api.tenancy import Tenant, new_tenant
from tests.contract.client import ContractClient
from tests.server import RunningServer

FILE = Path(__file__).parents[4] / "shared" / "data" / "epfl_dc_sessions" / "charging_records.jsonl"
TOTAL_KWH = 60_441.935575
SPAN = ("2022-04-12T00:00:00Z", "2023-07-06T00:00:00Z")
ZONES = ({}, {"timezone": "Europe/Zurich"})
GROUPS = ({}, {"group_by": "site"}, {"group_by": "operator"})


@pytest.fixture(scope="module")
def depot(server: RunningServer, contract: ContractClient) -> Tenant:
    """The charger's 1,878 records."""
    if not FILE.exists():
        pytest.skip(f"{FILE} is not here")
    made = new_tenant(server, contract)
    (device,) = read_records(FILE)
    assert len(device.records) == 1_878
    send(made.charger(model="TP-DC180"), "charging-records", device.records)
    return made


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("grouping", GROUPS)
@pytest.mark.parametrize("granularity", ["hour", "day", "month"])
def test_energy__of_real_records__is_their_sum(
    depot: Tenant, granularity: str, grouping: dict[str, str], zone: dict[str, str]
) -> None:
    """Every granularity, grouping and zone totals what the records say, and so do its points."""
    found = ask(depot, *SPAN, granularity, **grouping, **zone)
    assert found.total["charge_energy"] == pytest.approx(TOTAL_KWH, abs=1e-6)
    assert sum(found.charge) == pytest.approx(TOTAL_KWH, abs=1e-6)
    assert found.total["discharge_energy"] == 0.0
    assert [group["total"] for group in found.groups] == [found.total] * len(grouping)


def test_energy__of_parts_of_real_records__adds_up(depot: Tenant) -> None:
    """Ranges that adjoin at any instant hold together what the whole holds."""
    cuts = ["2022-09-01T11:07:00Z", "2022-12-31T23:00:00Z", "2023-03-26T01:23:45Z"]
    edges = [SPAN[0], *cuts, SPAN[1]]
    parts = [
        ask(depot, start, end, "month").total["charge_energy"] for start, end in pairwise(edges)
    ]
    assert sum(parts) == pytest.approx(TOTAL_KWH, abs=1e-6)
