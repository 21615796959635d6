"""Whether the record of processing is whole, and what may be shown of a text."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import msgspec

from tellus.kernel.units import to_text
from tellus.kernel.vins import hide_vin, replace_vins
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


def spans_without(
    span: tuple[int, int], others: Iterable[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Return what is left of ``span`` (from, to) once ``others`` are taken out of it."""
    left = [span]
    for other_from, other_to in others:
        left = [
            part
            for start, end in left
            for part in ((start, min(end, other_from)), (max(start, other_to), end))
            if part[0] < part[1]
        ]
    return left


def hide_strangers(value: Any, vin: str) -> Any:
    """Return a JSON ``value`` in which numbers of vehicles other than ``vin`` are stars."""
    own = vin.strip().upper()
    return replace_vins(value, lambda found: found if found.upper() == own else hide_vin(found))


def hide_mask(text: str, mask: str) -> str:
    """Return ``text`` with stars in the place of ``mask``, however it is spelled."""
    return re.sub(re.escape(mask), hide_vin(mask), text, flags=re.IGNORECASE)


def read_row(row: Mapping[str, Any], vin: str, mask: str) -> dict[str, Any]:
    """Return a row as it is exported: instants as text, JSON as JSON, strangers hidden.

    What has no value is left out.
    """
    shown = {}
    for name, value in row.items():
        if value is None or value == "" or name == "device_no":
            continue
        if name.endswith("_ms"):
            shown[f"{name.removesuffix('_ms')}_at"] = to_text(value)
        elif isinstance(value, str) and value[:1] in ("{", "["):
            shown[name] = _read_json(value)
        else:
            shown[name] = value
    return dict(hide_others(hide_strangers(shown, vin), mask))


def _read_json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
