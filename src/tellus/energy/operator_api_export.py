"""Aggregated energy as a table: a row for each bucket and group."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Final

from msgspec import UNSET

from tellus.energy.model_series import Aggregate
from tellus.energy.operator_api import EnergyQuery, to_wanted
from tellus.energy.queries import EnergyQueries
from tellus.kernel.call import Call, Nothing
from tellus.kernel.tables import PAGE_ROWS, Column, Kind, Row, Table

_NUMBERS: Final = ("charge_energy", "discharge_energy", "max_power", "avg_power")

Bucket = tuple[Aggregate, int]
"""All that was found, and the number of one bucket of it."""


async def tabulate_aggregated_energy(
    energy: EnergyQueries, call: Call[Nothing, EnergyQuery]
) -> Table[Bucket]:
    """Return the operator's energy by hours, days or months, in the order of the answer's series.

    ``time`` is the bucket's label; where points are grouped, a column says by what.
    """
    query = call.query
    found = await energy.aggregate(to_wanted(call), _keep)
    names = () if query.group_by is UNSET else (f"{query.group_by}_id",)
    columns = (
        Column("time"),
        *map(Column, names),
        *(Column(name, Kind.NUMBER) for name in _NUMBERS),
    )

    def to_rows(bucket: Bucket) -> Iterator[Row]:
        found, number = bucket
        for group in found.groups:
            yield (
                found.labels[number],
                *([group.group_id] if names else []),
                group.charge_kwh[number],
                group.discharge_kwh[number],
                group.max_power_kw[number],
                group.avg_power_kw[number],
            )

    return Table("energy", columns, _cut(found), to_rows)


async def _cut(found: Aggregate) -> AsyncGenerator[Sequence[Bucket], None]:
    """Yield the buckets of about a page of rows at a time; they are in memory already."""
    at_once = max(1, PAGE_ROWS // max(1, len(found.groups)))
    for start in range(0, len(found.labels), at_once):
        numbers = range(start, min(start + at_once, len(found.labels)))
        yield [(found, number) for number in numbers]


def _keep(found: Aggregate) -> Aggregate:
    return found
