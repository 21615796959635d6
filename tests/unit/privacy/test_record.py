"""The record of processing knows every table and column there is, and nothing else."""

import asyncio
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tellus.config import describe_settings
from tellus.kernel.clock import SystemClock
from tellus.privacy.model import About, ColumnGroup, Erased, Exported, ProcessedTable
from tellus.privacy.record import load_record
from tellus.privacy.rules import find_gaps, hide_others
from tellus.privacy.store_mentions import KEYS
from tellus.privacy.store_subjects import KEYED, OF_CHARGE, OF_RECORD, RECORDS
from tellus.storage.sqlite import SQLiteDatabase
from tests.architecture.test_store_sql import table_owners

_MIGRATIONS = Path(__file__).parents[3] / "src" / "tellus" / "storage" / "migrations"
_CREATE = re.compile(r"CREATE (?:UNLOGGED )?TABLE (\w+) \(\n(.*?)\n\)", re.DOTALL)
SETTINGS = {name for name, *_ in describe_settings()}

Schema = dict[str, set[str]]


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    """The columns of every table after all migrations, those of PostgreSQL alone among them."""
    path = tmp_path_factory.mktemp("record") / "tellus.db"
    asyncio.run(_migrate(path))
    with closing(sqlite3.connect(path)) as database:
        names = [
            name
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not name.startswith("sqlite_")
        ]
        found = {
            name: {row[1] for row in database.execute(f"PRAGMA table_info({name})")}
            for name in names
        }
    for file in sorted(_MIGRATIONS.glob("*.postgres.sql")):
        for name, body in _CREATE.findall(file.read_text("utf-8")):
            columns = {line.split()[0] for line in body.splitlines()} - {"PRIMARY", "UNIQUE"}
            found.setdefault(name, set()).update(columns)
    return found


async def _migrate(path: Path) -> None:
    async with SQLiteDatabase.open(path, clock=SystemClock()):
        pass


def test_record__against_all_migrations__is_whole(schema: Schema) -> None:
    """No table and no column is missing from the record, and none in it is made up."""
    assert find_gaps(load_record(), schema, SETTINGS) == []


def test_record__features__own_their_tables() -> None:
    """Each table is said to be of the feature that its migration names."""
    owners, _ = table_owners()
    owners |= {"rate_windows": "nodes", "schema_migrations": "storage"}
    wrong = [table.name for table in load_record() if table.feature != owners[table.name]]
    assert wrong == []


def test_record__planted_gaps__are_found(schema: Schema) -> None:
    """A new table, a new column, a dropped one, an unknown setting, a silence: each is named."""
    planted = {name: set(columns) for name, columns in schema.items()}
    planted["diary"] = {"driver", "written_ms"}
    planted["sites"].add("door_code")
    planted["reads"].remove("times")
    del planted["schema_migrations"]
    assert find_gaps(load_record(), planted, SETTINGS - {"alerts.kept_days"}) == [
        "diary is missing",
        "schema_migrations does not exist",
        "alert_notes: no setting alerts.kept_days",
        "alert_runs: no setting alerts.kept_days",
        "alerts: no setting alerts.kept_days",
        "reads: times does not exist",
        "sites: door_code is missing",
    ]


def test_record__entry_about_drivers_without_export__has_to_say_why_not() -> None:
    """Nothing about drivers is left out of exports in silence, and texts are columns."""
    table = ProcessedTable(
        name="diary", feature="fleet", purpose="Remembering.", kept="for good", receivers=(),
        erased=Erased.NEVER,
        groups=(ColumnGroup(About.DRIVER, "driver note note", "What was written.", "words"),),
    )  # fmt: skip
    assert find_gaps([table], {"diary": {"driver", "note"}}, ()) == [
        "diary: note is there twice",
        "diary: the text words is no column of its group",
        "diary: it is about vehicles, not exported, and does not say why not",
    ]
    assert load_record()
    assert {table.exported for table in load_record()} == set(Exported)


def test_record__what_it_says_of_exports_and_texts__is_what_is_done() -> None:
    """Each table that is said to be exported is, no other; each text has a key to find it by."""
    said = {table.name for table in load_record() if table.exported is not Exported.NO}
    parts = (RECORDS, *KEYED, *OF_RECORD, *OF_CHARGE)
    beside = {"subjects", "samples", "sample_hours"}
    assert said == {part.table for part in parts} | beside
    assert {table.name for table in load_record() if table.texts} == set(KEYS)
    for table in load_record():
        assert set(KEYS.get(table.name, "").split()) <= table.columns


def test_hide_others__masked_numbers__leaves_the_subjects_own() -> None:
    """What is left of other vehicles' numbers is taken out of what a subject is given."""
    mask = "WVW**********1234"
    told = {"note": f"{mask} beside WBA**********9999", mask: ["WBA**********9999"]}
    assert hide_others(told, mask) == {"note": f"{mask} beside {'*' * 17}", mask: ["*" * 17]}
