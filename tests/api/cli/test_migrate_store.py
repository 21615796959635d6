"""``tellus migrate-store``: everything of a SQLite installation is there again on PostgreSQL."""

import re
import secrets
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterable
from contextlib import closing
from copy import copy
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tellus.kernel.clock import SystemClock
from tellus.storage.moving import Table
from tellus.storage.postgres_target import PostgresTarget
from tests.api.cli.console import TELLUS, Console, clean_environment, wait_until
from tests.api.cli.diagnosed import let_time_pass
from tests.api.cli.installation import Installation, pack, report
from tests.api.tenancy import new_tenant
from tests.contract.client import ContractClient
from tests.databases import SQLITE, Choice, postgres_server
from tests.server import RunningServer, start_server

EMPTY = {
    "signed_answers", "request_keys", "energy_marks", "past_places",
    "sample_minutes", "late_hours", "erasures",
    "component_hours", "component_folders", "component_late", "destination_regions",
    "transfer_grants",
}  # fmt: skip
"""Tables of which the installation has nothing to move."""
QUEUES = {"component_due", "diagnostic_inbox"}
"""Tables that hold what is to be done, and may be done with it when the installation stops."""
OWN = ("schema_migrations", "nodes", "leases", "changes")


@pytest.fixture(autouse=True)
def _on_sqlite(monkeypatch: pytest.MonkeyPatch) -> None:
    """What moves is on SQLite, whichever database other tests run on."""
    monkeypatch.setattr(Choice, "kind", SQLITE)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation on SQLite that was stopped."""
    data_dir = tmp_path_factory.mktemp("original") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Choice, "kind", SQLITE)
        server = start_server(data_dir)
        try:
            made = Installation(data_dir, server)
        finally:
            assert server.stop() == 0
        let_time_pass(data_dir, made.chargers[0])
        pack(data_dir)
    return made


@pytest.fixture
def installation(original: Installation, tmp_path: Path) -> Installation:
    """A copy of it for one test."""
    copied = copy(original)
    copied.data_dir = tmp_path / "data"
    shutil.copytree(original.data_dir, copied.data_dir)
    return copied


@pytest.fixture
def url() -> str:
    """An empty database."""
    return postgres_server().make_database(f"moved_{secrets.token_hex(4)}")


@pytest.fixture
def console(tmp_path: Path) -> Console:
    """Commands in an empty folder."""
    return Console(tmp_path)


def counts_of(url: str) -> dict[str, int]:
    """The rows of each table of a PostgreSQL database."""
    with psycopg.connect(url) as connection:
        names = connection.execute(
            "SELECT c.relname FROM pg_class c WHERE c.relkind IN ('r', 'p')"
            " AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace"
        ).fetchall()
        return {
            name: connection.execute(f'SELECT count(*) FROM "{name}"'.encode()).fetchall()[0][0]
            for (name,) in names
        }


def indexes_of(url: str) -> set[str]:
    """The definitions of all indexes and triggers of a database that are there and in force."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' UNION ALL"
            " SELECT tgenabled::text || pg_get_triggerdef(oid) FROM pg_trigger"
            " WHERE NOT tgisinternal"
        ).fetchall()
    # Pieces of tables are named for their days.
    return {definition for (definition,) in rows if not re.search(r"_20\d{6}", definition)}


def held_by(data_dir: Path) -> dict[str, int]:
    """The rows of each table of a SQLite store that are to be moved."""
    with closing(sqlite3.connect(data_dir / "tellus.db")) as store:
        names = store.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        return {
            name: store.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for (name,) in names
            if name not in OWN
        }


def migrate(console: Console, data_dir: Path, url: str) -> Any:
    """Move it; return what the command says."""
    return console.json("migrate-store", "--data-dir", str(data_dir), "--database-url", url)


def test_migrate_store__everything_in_it__is_answered_alike_on_postgresql(
    console: Console, installation: Installation, url: str
) -> None:
    """Counts of all tables and the answers of all readers are the same before and after."""
    data_dir = installation.data_dir
    before_dir = data_dir.with_name("before")
    shutil.copytree(data_dir, before_dir)
    before = start_server(before_dir)
    try:
        expected = installation.answers(before)
    finally:
        assert before.stop() == 0
    with PostgresTarget(url, SystemClock()):
        pass  # makes the tables
    indexes = indexes_of(url)
    summary = migrate(console, data_dir, url)
    assert indexes_of(url) == indexes
    held = held_by(data_dir)
    assert {name for name, rows in held.items() if rows == 0} | QUEUES == EMPTY | QUEUES
    assert {one["name"]: one["rows"] for one in summary["tables"]} == held
    assert {name: rows for name, rows in counts_of(url).items() if name in held} == held
    assert counts_of(url)["changes"] == 0
    assert "password" not in summary["to"]
    after = start_server(data_dir, "--database-url", url)
    try:
        assert installation.answers(after) == expected
        _go_on(after, url)
    finally:
        assert after.stop() == 0


def _go_on(server: RunningServer, url: str) -> None:
    """New rows get numbers of their own, and what writes tell other nodes is told again."""
    with ContractClient(server.base_url) as contract:
        tenant = new_tenant(server, contract)
        charger = tenant.charger()
        report(charger)
        assert len(charger.records()) == 3
    assert counts_of(url)["changes"] > 0
    with pytest.raises(psycopg.errors.RaiseException), psycopg.connect(url) as connection:
        connection.execute("DELETE FROM audit_log")


def test_migrate_store__state_only_in_the_log__is_in_the_table_after(
    console: Console, installation: Installation, url: str
) -> None:
    """What a connector last said is written where other nodes look for it."""
    migrate(console, installation.data_dir, url)
    with psycopg.connect(url) as connection:
        states = connection.execute("SELECT state FROM connector_state").fetchall()
    assert [state for (state,) in states] == ["fault"] * 6


def test_migrate_store__platform_runs__is_refused(
    console: Console, tmp_path: Path, url: str
) -> None:
    """A store that somebody writes to is not copied."""
    server = start_server(tmp_path / "data")
    try:
        words = ("migrate-store", "--data-dir", str(server.data_dir), "--database-url", url)
        ended = console.run(*words)
    finally:
        assert server.stop() == 0
    assert (ended.code, "in use by process" in ended.err) == (6, True), ended.err


def test_migrate_store__target_with_rows__is_refused_and_stays(
    console: Console, installation: Installation, url: str
) -> None:
    """A second run finds what the first one made, and leaves it alone."""
    migrate(console, installation.data_dir, url)
    before = counts_of(url)
    words = ("migrate-store", "--data-dir", str(installation.data_dir), "--database-url", url)
    ended = console.run(*words)
    assert ended.code == 1
    assert "not empty" in ended.err
    assert counts_of(url) == before


def test_migrate_store__keys_of_another_installation__is_refused(
    console: Console, installation: Installation, url: str
) -> None:
    """Without the keys that it was written with the store would be worth nothing."""
    keys = installation.data_dir / "keys.json"
    keys.unlink()
    assert console.run("keys", "create", str(keys)).code == 0
    words = ("migrate-store", "--data-dir", str(installation.data_dir), "--database-url", url)
    ended = console.run(*words)
    assert ended.code == 1
    assert "key" in ended.err


def _lose_a_row(rows: list[bytes]) -> list[bytes]:
    return rows[:-1]


def _change_a_bit(rows: list[bytes]) -> list[bytes]:
    return [*rows[:-1], rows[-1][:-1] + bytes([rows[-1][-1] ^ 1])]


@pytest.mark.parametrize(
    ("table", "spoil"),
    [("samples", _lose_a_row), ("samples", _change_a_bit), ("audit_log", _change_a_bit),
     ("signing_keys", _lose_a_row)],
)  # fmt: skip
def test_migrate_store__copy_that_is_not_the_same__is_found_and_not_kept(
    console: Console,
    installation: Installation,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    table: str,
    spoil: Callable[[list[bytes]], list[bytes]],
) -> None:
    """A row that is lost or changed on the way is found, and the target stays empty."""
    copy_well = PostgresTarget.copy

    def copy_badly(self: PostgresTarget, into: Table, rows: Iterable[bytes]) -> None:
        copy_well(self, into, spoil(list(rows)) if into.name == table else rows)

    monkeypatch.setattr(PostgresTarget, "copy", copy_badly)
    words = ("migrate-store", "--data-dir", str(installation.data_dir), "--database-url", url)
    ended = console.run(*words)
    assert ended.code == 1, ended.out
    assert f"The copy of {table} differs" in ended.err
    assert {rows for name, rows in counts_of(url).items() if name not in OWN} == {0}
    monkeypatch.undo()
    assert migrate(console, installation.data_dir, url)["rows"] > 0


def test_migrate_store__killed_half_way__leaves_nothing_and_can_be_run_again(
    console: Console, installation: Installation, url: str
) -> None:
    """Half a copy is no copy: the target is empty until all of it is there."""
    words = ["migrate-store", "--data-dir", str(installation.data_dir), "--database-url", url]
    with PostgresTarget(url, SystemClock()):
        pass  # makes the tables
    with psycopg.connect(url) as connection:
        connection.execute("LOCK TABLE instance IN SHARE MODE")
        process = subprocess.Popen([*TELLUS, *words], env=clean_environment())

        def waits() -> bool:
            with psycopg.connect(url) as other:
                found = other.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND wait_event_type = 'Lock' AND query LIKE 'COPY instance%'"
                ).fetchall()
                return bool(found[0][0])

        wait_until(waits, "the copy of a table in the middle")
        process.kill()
        process.wait()
    # The server may still be about to notice; then the next run waits for it.
    assert {rows for name, rows in counts_of(url).items() if name not in OWN} == {0}
    assert migrate(console, installation.data_dir, url)["rows"] > 0
