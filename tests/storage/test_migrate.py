"""Migrations as files: their names, their tokens, and what is pending."""

from pathlib import Path

import apsw
import pytest

from tellus.kernel.clock import ManualClock
from tellus.storage.migrate import fill_tokens, find_pending, load_migrations
from tellus.storage.refusals import DatabaseTooNew, MigrationChanged
from tellus.storage.sqlite_schema import migrate, sqlite_statements


def write_files(folder: Path, *names: str) -> Path:
    """Write a migration of one table under each name."""
    for name in names:
        (folder / name).write_text(f"CREATE TABLE t{name[:4]} (n BIGINT);\n")
    return folder


def test_load_migrations__of_the_package__apply_to_an_empty_database() -> None:
    """What is shipped can be applied, once."""
    connection = apsw.Connection(":memory:")
    known = load_migrations()
    names = migrate(connection, known, ManualClock())
    assert names[0] == "0001_first_release"
    assert migrate(connection, known, ManualClock()) == []
    tables = connection.execute("SELECT name, strict FROM pragma_table_list WHERE schema='main'")
    strict = {name: bool(flag) for name, flag in tables}
    assert strict["samples"]
    assert strict["devices"]
    assert [name for name, flag in strict.items() if not flag] == [
        name for name in strict if name in {"schema_migrations", "sqlite_schema", "sqlite_sequence"}
    ]
    connection.close()


def test_load_migrations__out_of_order__come_by_number(tmp_path: Path) -> None:
    """Files are applied in the order of their numbers."""
    folder = write_files(tmp_path, "0002_b.sql", "0001_a.sql", "0003_c.sql")
    assert [migration.name for migration in load_migrations(folder)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "names",
    [
        ("0001_a.sql", "0003_b.sql"),
        ("0001_a.sql", "0001_b.sql"),
        ("1_a.sql",),
        ("0001_a.sql", "0001_a.sqllite.sql"),
        ("0001_a.sql", "0002_b.sqlite.sql"),
    ],
)
def test_load_migrations__gap_double_or_misnamed__is_an_error(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    """A slip in numbering stops the start, not a customer's upgrade."""
    with pytest.raises(ValueError, match="Migration"):
        load_migrations(write_files(tmp_path, *names))


def test_load_migrations__addition_of_one_database__is_part_of_the_migration(
    tmp_path: Path,
) -> None:
    """What only one database says is run by that one, and the checksum covers it."""
    folder = write_files(tmp_path, "0001_a.sql")
    (plain,) = load_migrations(folder)
    (folder / "0001_a.sqlite.sql").write_text("CREATE INDEX i ON t0001 (n);\n")
    (here,) = load_migrations(folder)
    (elsewhere,) = load_migrations(folder, "postgres")
    assert here.sql.splitlines() == [
        "CREATE TABLE t0001 (n BIGINT);",
        "",
        "CREATE INDEX i ON t0001 (n);",
    ]
    assert here.checksum != plain.checksum
    assert elsewhere == plain


def test_fill_tokens__unknown_token__is_an_error() -> None:
    """A misspelt token never reaches the database."""
    with pytest.raises(ValueError, match="serail"):
        fill_tokens("n {{serail}}", {"serial": "INTEGER"})


def test_find_pending__some_applied__returns_the_rest(tmp_path: Path) -> None:
    """Only what was not applied is pending; unknown and edited ones are refused."""
    known = load_migrations(write_files(tmp_path, "0001_a.sql", "0002_b.sql"))
    first, second = known
    assert find_pending([], known) == known
    assert find_pending([(1, first.checksum)], known) == (second,)
    with pytest.raises(MigrationChanged):
        find_pending([(1, second.checksum)], known)
    with pytest.raises(DatabaseTooNew, match="at schema version 7, this release knows up to 2"):
        find_pending([(1, first.checksum), (2, second.checksum), (3, "x"), (7, "y")], known)


def test_sqlite_statements__portable_types__become_strict_tables() -> None:
    """Tables are STRICT in SQLite's own type names; other statements stay."""
    sql = (
        "-- owner: a; b\nCREATE TABLE t (\n n BIGINT PRIMARY KEY,\n"
        " r DOUBLE PRECISION\n){{clustered}};\n"
        "CREATE INDEX t_r ON t (r);\n"
    )
    table, index = sqlite_statements(sql)
    assert "n INTEGER PRIMARY KEY" in table
    assert "r REAL" in table
    assert table.rstrip().endswith("WITHOUT ROWID, STRICT")
    assert index.strip() == "CREATE INDEX t_r ON t (r);"


def test_sqlite_statements__cut_off__is_an_error() -> None:
    """A statement without its end is told, not skipped."""
    with pytest.raises(ValueError, match="middle"):
        list(sqlite_statements("CREATE TABLE t (n BIGINT)"))
