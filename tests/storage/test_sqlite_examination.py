"""A database is looked at without being changed, and its damage is told."""

import asyncio
from pathlib import Path

from tellus.storage.sqlite import SQLiteDatabase
from tellus.storage.sqlite_examination import examine_database, measure_commits_s


def make_database(path: Path) -> None:
    """Start a store once, so that the file has its schema."""

    async def once() -> None:
        database = SQLiteDatabase.open(path)
        await database.start()
        await database.stop()

    asyncio.run(once())


def test_examine_database__whole_one__has_no_problem(tmp_path: Path) -> None:
    """A database of this release is whole and fully migrated."""
    path = tmp_path / "tellus.db"
    make_database(path)
    facts = examine_database(path, deep=True)
    assert facts.problem is None
    assert facts.schema_version >= 1
    assert facts.pending_migrations == 0


def test_examine_database__pages_overwritten__is_damaged(tmp_path: Path) -> None:
    """Damage that only a full read can see is found with `deep`."""
    path = tmp_path / "tellus.db"
    make_database(path)
    content = bytearray(path.read_bytes())
    content[-8192:] = b"\xff" * 8192
    path.write_bytes(content)
    assert examine_database(path, deep=True).problem is not None


def test_examine_database__no_database__cannot_be_read(tmp_path: Path) -> None:
    """Another file is told as such and left as it is."""
    path = tmp_path / "tellus.db"
    path.write_bytes(b"not a database, but long enough to have a head" * 100)
    content = path.read_bytes()
    assert "cannot be read" in (examine_database(path).problem or "")
    assert path.read_bytes() == content


def test_measure_commits__local_folder__leaves_nothing_behind(tmp_path: Path) -> None:
    """The probe takes some time and removes its files."""
    assert measure_commits_s(tmp_path) > 0.0
    assert list(tmp_path.iterdir()) == []
