"""Tables of a page that reckon: inputs, formulas over them, and the figures that are printed.

A table of inputs has the columns ``what``, ``name``, ``value``; one of results has ``what``,
``name``, ``formula`` and then ``value``, or one column for each size of fleet, which formulas know
as ``chargers``. Names and formulas are code spans.
"""

import ast
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

_OPERATORS = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
}
_FUNCTIONS = {"ceil": math.ceil, "max": max}
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


class Figure(NamedTuple):
    """A printed figure: its name, where it stands, how it is printed, and what it ought to be."""

    name: str
    column: str
    printed: str
    value: float

    @property
    def is_right(self) -> bool:
        """Tell whether it is printed as the value, rounded to the digits that are shown."""
        if not _NUMBER.fullmatch(self.printed):
            return False
        shown = Decimal(self.printed.replace(",", ""))
        step = Decimal(1).scaleb(int(shown.as_tuple().exponent))
        return abs(Decimal(self.value) - shown) <= step * Decimal("0.5000001")


def read_tables(text: str) -> Iterator[list[list[str]]]:
    """Yield the tables of a page, as rows of cells, the heading first."""
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        rows = [
            [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()
        ]
        yield [rows[0], *rows[2:]]


def read_inputs(text: str) -> dict[str, float]:
    """Return the inputs of a page by name."""
    return {
        row[1].strip("`"): float(row[2].replace(",", ""))
        for heading, *rows in read_tables(text)
        if heading[1:3] == ["name", "value"]
        for row in rows
        if row[2] != "?"
    }


def work_out(page: Path) -> list[Figure]:
    """Return every figure of a page that has a formula, with the value that follows."""
    text = page.read_text()
    inputs = read_inputs(text)
    known: dict[str, dict[str, float]] = {}
    figures: list[Figure] = []
    single: dict[str, float] = dict(inputs)
    for heading, *rows in read_tables(text):
        if heading[1:3] != ["name", "formula"]:
            continue
        columns = [cell for cell in heading[3:] if cell != "unit"]
        for row in rows:
            name, formula = row[1].strip("`"), row[2].strip("`")
            for column, printed in zip(columns, row[3:], strict=False):
                if column == "value":
                    names = single
                else:
                    held = known.setdefault(column, {"chargers": float(column.replace(",", ""))})
                    names = single | held
                value = evaluate(formula, names)
                figures.append(Figure(name, column, printed, value))
                (single if column == "value" else known[column])[name] = value
    return figures


def evaluate(formula: str, names: dict[str, float]) -> float:
    """Return what a formula of numbers, names, ``+ - * /``, ``ceil`` and ``max`` comes to."""
    return _evaluate(ast.parse(formula, mode="eval").body, names)


def _evaluate(node: ast.expr, names: dict[str, float]) -> float:
    if isinstance(node, ast.BinOp):
        left, right = _evaluate(node.left, names), _evaluate(node.right, names)
        return _OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _FUNCTIONS[node.func.id](*(_evaluate(one, names) for one in node.args))
    if isinstance(node, ast.Name):
        return names[node.id]
    if isinstance(node, ast.Constant):
        return float(node.value)
    raise ValueError(ast.dump(node))
