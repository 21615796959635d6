"""Aggregated energy on the operator's surface."""

from functools import partial
from typing import Final

from tellus.consent.model import Service
from tellus.energy import operator_api as energy
from tellus.energy import operator_api_export as energy_export
from tellus.kernel.call import Audience
from tellus.surfaces.routes import LimitClass, Route

_query = partial(
    Route, "GET", audience=Audience.OPERATOR, scope="read", limit=LimitClass.QUERIES,
    tag="Operator: energy",
)  # fmt: skip

OPERATOR_ENERGY_ROUTES: Final[tuple[Route, ...]] = (
    _query(
        "/v1/operator/aggregated/energy", "getAggregatedEnergy", energy.get_aggregated_energy,
        query=energy.EnergyQuery, response=energy.EnergyResponse,
        table=energy_export.tabulate_aggregated_energy,
        service=Service.ENERGY_REPORTING, sifts=True,
        summary="Get energy by hour, day or month",
        description="Energy in and out, mean and largest power by bucket: all buckets that meet the"
        " range, those without energy included, and of each only what lies in the range. Charging"
        " records settle the energy of their sessions. With `group_by` each bucket has a point for"
        " every site or for the operator. At most 20,000 points.",
    ),
)  # fmt: skip
