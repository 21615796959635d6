"""What was acknowledged survives a power cut; a store that only seems durable is caught."""

import asyncio
import os
import random
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest

from tellus.storage import sqlite_session
from tellus.storage.database import Tx
from tellus.storage.migrate import Migration
from tellus.storage.sqlite import SQLiteDatabase
from tests.reliability.power_cut import PowerCutVFS

CUTS_PER_STORE = 30
CUTS = int(os.environ.get("TELLUS_TEST_POWER_CUTS", "30"))
TABLE = Migration(1, "facts", "-", "CREATE TABLE facts (k BIGINT PRIMARY KEY, v TEXT NOT NULL);")
WORKERS = 24


class Facts:
    """A hot kind that stores numbers."""

    name = "facts"

    def apply_many(self, tx: Tx, operations: Sequence[Any]) -> list[Any]:
        tx.insert_many("INSERT INTO facts (k, v)", [(k, "hot" * 20) for k in operations])
        return list(operations)

    def after_commit(self, operations: Sequence[Any], outcomes: Sequence[Any]) -> None: ...


class RelaxedDatabase(SQLiteDatabase):
    """The negative control: a store that does not look whether its commits are durable."""

    _require_durable = staticmethod(lambda _connection: None)


def insert_fact(tx: Tx, k: int) -> None:
    """Insert one fact through the cold door."""
    tx.execute("INSERT INTO facts (k, v) VALUES ($1, $2)", k, "cold")


async def cut_under_load(
    store: type[SQLiteDatabase], synchronous: str, folder: Path, cuts: int, seed: int = 1
) -> tuple[int, int]:
    """Cut the power ``cuts`` times under load; return acknowledged writes seen and lost."""
    rng = random.Random(seed)
    vfs = PowerCutVFS()
    database = store.open(
        folder / "tellus.db", vfs=vfs.vfs_name, synchronous=synchronous, migrations=(TABLE,)
    )
    await database.start()
    acknowledged: set[int] = set()
    numbers = iter(range(1, 1 << 40))
    running = True

    async def work(hot: Facts) -> None:
        while running:
            k = next(numbers)
            if k % 5:
                await database.submit(hot, k)
            else:
                await database.write(insert_fact, k)
            acknowledged.add(k)

    hot = Facts()
    workers = [asyncio.create_task(work(hot)) for _ in range(WORKERS)]
    seen = lost = 0
    for number in range(cuts):
        await asyncio.sleep(rng.uniform(0.002, 0.03))
        # Nothing is acknowledged between these two lines: both run on the loop.
        promised = frozenset(acknowledged)
        left = Path(tempfile.mkdtemp(dir=folder))
        vfs.cut(left, rng, ("drop", "mix", "tear")[number % 3])
        seen += len(promised)
        lost += len(promised - await asyncio.to_thread(read_back, left / "tellus.db"))
        shutil.rmtree(left)
    running = False
    await asyncio.gather(*workers)
    await database.stop()
    vfs.unregister()
    return seen, lost


def read_back(path: Path) -> set[int]:
    """Recover the database and return what it holds; it must be whole."""
    connection = apsw.Connection(str(path))
    try:
        assert connection.pragma("integrity_check") == "ok"
        if not connection.table_exists(None, "facts"):
            return set()
        return {row[0] for row in connection.execute("SELECT k FROM facts")}
    finally:
        connection.close()


def test_store__power_cut_under_load__no_acknowledged_write_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever moment the power fails at, every acknowledged write is there afterwards."""
    monkeypatch.setattr(sqlite_session, "_CHECKPOINT_PAGES", 40)
    seen = lost = 0
    for first in range(0, CUTS, CUTS_PER_STORE):
        folder = tmp_path / f"from-{first}"
        folder.mkdir()
        cuts = min(CUTS_PER_STORE, CUTS - first)
        load = cut_under_load(SQLiteDatabase, "FULL", folder, cuts, seed=first)
        more_seen, more_lost = asyncio.run(load)
        seen, lost = seen + more_seen, lost + more_lost
        shutil.rmtree(folder)
    print(f"power cuts: {CUTS}, acknowledged writes looked for: {seen}, lost: {lost}")
    assert seen > CUTS
    assert lost == 0


def test_power_cut__store_that_syncs_lazily__is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The harness sees the loss where commits are not synced (synchronous=NORMAL)."""
    monkeypatch.setattr(sqlite_session, "_CHECKPOINT_PAGES", 40)
    seen, lost = asyncio.run(cut_under_load(RelaxedDatabase, "NORMAL", tmp_path, 9))
    print(f"negative control: acknowledged {seen}, lost {lost}")
    assert lost > 0
