"""Diagnostics on the operator's surface."""

from typing import Final

from tellus.diagnostics import operator_api as diagnostics
from tellus.kernel.call import Audience
from tellus.kernel.paging import Page
from tellus.surfaces.routes import LimitClass, Route

OPERATOR_DIAGNOSTICS_ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "GET", "/v1/operator/faults", "listFaults", diagnostics.list_faults,
        Audience.OPERATOR, "Read the fault dictionary", "Operator: diagnostics",
        description="What each code means, how it shows, what causes it, what to do, and in which"
        " firmware it is known.",
        scope="read", limit=LimitClass.QUERIES, query=diagnostics.FaultsQuery,
        response=Page[diagnostics.FaultItem],
    ),
    Route(
        "GET", "/v1/operator/faults/{code}", "getFault", diagnostics.get_fault,
        Audience.OPERATOR, "Look a fault up", "Operator: diagnostics",
        description="One code of the dictionary; `F-0421`, `F0421` and `421` are the same.",
        scope="read", limit=LimitClass.QUERIES, response=diagnostics.FaultItem,
    ),
)  # fmt: skip
