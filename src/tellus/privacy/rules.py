"""Whether the record of processing is whole, and what may be shown of a text."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from tellus.kernel.vins import hide_vin
from tellus.privacy.model import Exported, ProcessedTable

_MASKED: Final = re.compile(r"[A-Za-z0-9]{3}\*{10}[A-Za-z0-9]{4}")


def find_gaps(
    record: Iterable[ProcessedTable],
    schema: Mapping[str, Collection[str]],
    settings: Collection[str],
) -> list[str]:
    """Return what the record lacks, or has too much, against the columns of each table.

    ``settings`` are the names of all there are. An empty list says that the record is whole.
    """
    tables = list(record)
    known = {table.name: table for table in tables}
    gaps = [f"{name} is missing" for name in sorted(schema.keys() - known)]
    gaps += [f"{name} does not exist" for name in sorted(known.keys() - schema.keys())]
    if len(known) != len(tables):
        gaps.append("a table is there twice")
    for table in tables:
        gaps += [f"{table.name}: {gap}" for gap in _gaps_of(table, schema.get(table.name))]
        gaps += [
            f"{table.name}: no setting {name}" for name in table.settings if name not in settings
        ]
    return gaps


def _gaps_of(table: ProcessedTable, columns: Collection[str] | None) -> Iterable[str]:
    named = [name for group in table.groups for name in group.names]
    if columns is not None:
        yield from (f"{name} is missing" for name in sorted(set(columns) - set(named)))
        yield from (f"{name} does not exist" for name in sorted(set(named) - set(columns)))
    yield from (f"{name} is there twice" for name in sorted(_twice(named)))
    for group in table.groups:
        strange = set(group.texts.split()) - set(group.names)
        yield from (f"the text {name} is no column of its group" for name in sorted(strange))
    if table.is_of_vehicles and table.exported is Exported.NO and not table.why_not:
        yield "it is about vehicles, not exported, and does not say why not"


def _twice(names: list[str]) -> set[str]:
    return {name for name in names if names.count(name) > 1}


def hide_others(value: Any, mask: str) -> Any:
    """Return a JSON ``value`` in which masked numbers other than ``mask`` are stars altogether."""
    if isinstance(value, str):
        return _MASKED.sub(lambda found: _shown(found[0], mask), value)
    if isinstance(value, dict):
        return {hide_others(k, mask): hide_others(v, mask) for k, v in value.items()}
    if isinstance(value, list):
        return [hide_others(one, mask) for one in value]
    return value


def _shown(found: str, mask: str) -> str:
    return found if found.upper() == mask.upper() else hide_vin(found)
