"""An import contract in the form of a table: one row per part, with all that it may import.

The built-in contracts name what is forbidden; here everything is forbidden that a row does not
allow, third parties and the impure half of the standard library included.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import cast

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

IMPURE = {
    *("time", "sched", "signal"),
    *("logging", "random", "secrets"),
    *("asyncio", "concurrent", "multiprocessing", "queue", "subprocess", "threading"),
    *("glob", "io", "os", "pathlib", "shutil", "sqlite3", "tempfile"),
    *("ftplib", "http", "select", "selectors", "smtplib", "socket", "socketserver", "ssl"),
}


@dataclass(frozen=True)
class Row:
    """One part of the house and the names that modules of it may import."""

    part: str
    allowed: tuple[str, ...]
    denied: tuple[str, ...]


@dataclass(frozen=True)
class Breach:
    """An import that its row does not allow, or (``imported`` empty) a module without a row."""

    importer: str
    imported: str
    part: str
    lines: tuple[int, ...] = ()


class Table:
    """The rows in their order, and the features from the lowest to the highest."""

    def __init__(self, features: list[str], rows: list[str]) -> None:
        storeys = [[name.strip() for name in storey.split("|")] for storey in features]
        self.features = [name for storey in storeys for name in storey]
        self.lower = {
            name: [below for storey in storeys[:level] for below in storey]
            for level, storey in enumerate(storeys)
            for name in storey
        }
        self.rows = [parse_row(text) for text in rows]

    def row_of(self, module: str) -> Row | None:
        """Return the first row whose part is ``module`` or lies above it."""
        for row in self.rows:
            for part in self.spell_out(row.part):
                if names_or_contains(part, module):
                    return row
        return None

    def spell_out(self, name: str, own: str = "") -> Iterator[str]:
        """Yield the names that ``name`` stands for in a row of the feature ``own``."""
        if "{feature}" in name:
            yield from (name.replace("{feature}", feature) for feature in self.features)
        elif "{lower}" in name:
            for feature in self.lower.get(own, ()):
                yield name.replace("{lower}", f"tellus.{feature}")
        else:
            yield name.replace("{own}", f"tellus.{own}")

    def allows(self, row: Row, importer: str, imported: str) -> bool:
        """Tell whether ``row`` lets ``importer`` import ``imported``."""
        own = importer.split(".")[1] if "." in importer else ""

        def fits(names: tuple[str, ...]) -> bool:
            return any(
                covers(spelt, imported) for name in names for spelt in self.spell_out(name, own)
            )

        return fits(row.allowed) and not fits(row.denied)


def parse_row(text: str) -> Row:
    """Read ``part -> name name !name``."""
    part, arrow, right = text.partition("->")
    if not arrow:
        message = f"a row reads 'part -> names', not {text!r}"
        raise fields.ValidationError(message)
    names = right.split()
    return Row(
        part=part.strip(),
        allowed=tuple(name for name in names if not name.startswith("!")),
        denied=tuple(name[1:] for name in names if name.startswith("!")),
    )


def names_or_contains(part: str, module: str) -> bool:
    """Tell whether ``part`` is ``module`` or a package above it; ``p.__init__`` is ``p`` alone."""
    if part.endswith(".__init__"):
        return module == part.removesuffix(".__init__")
    wanted, given = part.split("."), module.split(".")
    return len(given) >= len(wanted) and all(map(fnmatchcase, given, wanted))


def covers(name: str, imported: str) -> bool:
    """Tell whether the right-hand ``name`` of a row means ``imported``."""
    if name == "*":
        return True
    top = imported.partition(".")[0]
    if name == "stdlib":
        return top in sys.stdlib_module_names
    if name == "pure":
        return top in sys.stdlib_module_names and top not in IMPURE
    return names_or_contains(name, imported)


class PartTable(Contract):
    """Every module has a row, and imports only what its row allows."""

    features = fields.ListField(subfield=fields.StringField())
    rows = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: FBT001
        """Compare every direct import with the table."""
        table = Table(cast("list[str]", self.features), cast("list[str]", self.rows))
        breaches: list[Breach] = []
        for module in sorted(graph.modules):
            if module.partition(".")[0] != "tellus":
                continue
            row = table.row_of(module)
            if row is None:
                breaches.append(Breach(module, "", ""))
                continue
            for imported in sorted(graph.find_modules_directly_imported_by(module)):
                if not table.allows(row, module, imported):
                    details = graph.get_import_details(importer=module, imported=imported)
                    lines = tuple(detail["line_number"] for detail in details)
                    breaches.append(Breach(module, imported, row.part, lines))
        return ContractCheck(kept=not breaches, metadata={"breaches": breaches})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print one line per breach."""
        for breach in check.metadata["breaches"]:
            if not breach.imported:
                output.print_error(f"- {breach.importer} has no row in the table", bold=False)
                continue
            lines = ", ".join(f"l. {line}" for line in breach.lines)
            output.print_error(
                f"- {breach.importer} may not import {breach.imported} ({lines}): "
                f"the row of {breach.part} does not allow it",
                bold=False,
            )
