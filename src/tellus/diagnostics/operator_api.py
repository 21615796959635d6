"""The fault dictionary as operators read it."""

from typing import TypeAlias

from msgspec import UNSET, UnsetType

from tellus.diagnostics.catalogue.faults import Category, Fault, FaultDictionary, Severity
from tellus.kernel.call import Call, Nothing
from tellus.kernel.errors import NotFound
from tellus.kernel.paging import Page, PageQuery

FaultItem: TypeAlias = Fault
"""A code of the dictionary goes out as it stands there."""


class FaultsQuery(PageQuery, frozen=True):
    """Which faults to list; what is left out admits all."""

    severity: Severity | UnsetType = UNSET
    category: Category | UnsetType = UNSET


async def list_faults(faults: FaultDictionary, call: Call[Nothing, FaultsQuery]) -> Page[Fault]:
    """Return the codes of the dictionary, in their order."""
    query = call.query
    found = [
        fault
        for fault in faults
        if query.severity in (UNSET, fault.severity) and query.category in (UNSET, fault.category)
    ]
    page = found[query.offset : query.offset + query.size]
    return Page(len(found), query.page, query.size, page)


async def get_fault(faults: FaultDictionary, call: Call[Nothing, Nothing]) -> Fault:
    """Return one code, in whatever spelling it was asked for.

    Raises:
        NotFound: the dictionary has no such code.
    """
    fault = faults.find(call.path["code"])
    if fault is None:
        raise NotFound
    return fault
