"""Tables as CSV: RFC 4180, UTF-8 with a header row, safe to open in a spreadsheet."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO

from tellus.kernel.tables import Cell, Column, Kind, Row, guard_formula
from tellus.kernel.units import to_text


class CsvEncoder:
    """Writes rows as lines that end in CR LF; a cell without a value is empty.

    Text that a spreadsheet would take for a formula gets an apostrophe in front. Numbers are left
    alone, also below zero.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._texts = [n for n, column in enumerate(columns) if column.kind is Kind.TEXT]
        self._times = [n for n, column in enumerate(columns) if column.kind is Kind.TIME]

    def begin(self) -> bytes:
        """Return the header row."""
        return _write([[column.name for column in self._columns]])

    def add(self, rows: Iterable[Row]) -> bytes:
        """Return the lines of ``rows``."""
        return _write(map(self._to_line, rows))

    def end(self) -> bytes:
        """Return what follows the last row: nothing."""
        return b""

    def _to_line(self, row: Row) -> list[Cell]:
        line = list(row)
        for number in self._times:
            time_ms = line[number]
            if isinstance(time_ms, int):
                line[number] = to_text(time_ms)
        for number in self._texts:
            text = line[number]
            if isinstance(text, str):
                line[number] = guard_formula(text)
        return line


def _write(lines: Iterable[Iterable[Cell]]) -> bytes:
    text = StringIO(newline="")
    csv.writer(text).writerows(lines)
    return text.getvalue().encode()
