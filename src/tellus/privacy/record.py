"""The record of processing of the package, read and checked."""

from functools import cache
from importlib import resources

import msgspec

from tellus.privacy.model import ProcessedTable


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of the catalogue."""

    tables: tuple[ProcessedTable, ...]


@cache
def load_record() -> tuple[ProcessedTable, ...]:
    """Return all tables of the record, by feature and name.

    Raises:
        msgspec.ValidationError: an entry lacks something, or has something unknown.
    """
    folder = resources.files("tellus.privacy.catalogue")
    found = [
        table
        for file in folder.iterdir()
        if file.name.endswith(".toml")
        for table in msgspec.toml.decode(file.read_bytes(), type=_File).tables
    ]
    return tuple(sorted(found, key=lambda table: (table.feature, table.name)))


class ProcessingRecord:
    """Shows the record of processing, with how long things are kept here.

    ``days`` tells the present value of a setting, in days; 0 is for ever.
    """

    def __init__(self, days: dict[str, int]) -> None:
        self.tables = load_record()
        self._days = days

    def days_of(self, table: ProcessedTable) -> dict[str, int]:
        """Return the settings (days) that say how long the rows of a table are kept."""
        return {name: self._days[name] for name in table.settings}
