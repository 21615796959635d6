"""Starting on PostgreSQL: refused where commits could be lost, migrated by one of many."""

import asyncio

import psycopg
import pytest

from tellus.storage.migrate import Migration, load_migrations
from tellus.storage.postgres import PostgresDatabase
from tellus.storage.postgres_connection import DatabaseUnreachable
from tellus.storage.postgres_examination import examine_postgres
from tellus.storage.refusals import DatabaseTooNew, MigrationChanged, NotDurable, StorageRefused
from tests.databases import PostgresServer, postgres_server
from tests.storage.conftest import PostgresBackend
from tests.storage.facts import FACTS, insert_fact


def test_start__commits_not_durable__is_refused() -> None:
    """A server that may lose what it has committed is not used."""
    server = PostgresServer(settings=("fsync=off",))
    server.start()
    try:
        database = PostgresDatabase.open(server.url(), migrations=(FACTS,))
        with pytest.raises(NotDurable, match="fsync=off"):
            asyncio.run(database.start())
    finally:
        server.remove()


def test_start__server_forgetful_by_default__sessions_are_durable_all_the_same(
    postgres: PostgresBackend,
) -> None:
    """What a session can set for itself is set, whatever the server's default."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")

    async def scenario() -> None:
        async with postgres.open() as database:
            for door in (database.read, database.write):
                row = await door(lambda tx: tx.row("SHOW synchronous_commit"))
                assert row == ("on",)

    asyncio.run(scenario())


def test_start__another_encoding__is_refused(postgres: PostgresBackend) -> None:
    """A database that cannot hold every text is not used."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS latin")
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    database = PostgresDatabase.open(postgres.server.url("latin"), migrations=(FACTS,))
    with pytest.raises(StorageRefused, match="LATIN1"):
        asyncio.run(database.start())


def test_start__no_such_database__is_refused_without_telling_the_password() -> None:
    """Who cannot get in is told where, and never with what."""
    server = postgres_server()
    url = f"postgresql://tellus:hush@127.0.0.1:{server.port}/nowhere"
    with pytest.raises(DatabaseUnreachable, match="nowhere") as refused:
        asyncio.run(PostgresDatabase.open(url).start())
    assert "hush" not in str(refused.value)


def test_start__newer_or_edited_schema__is_refused(postgres: PostgresBackend) -> None:
    """A database of a newer release, or of another text, is left alone."""

    async def start(*migrations: Migration) -> None:
        async with postgres.open(migrations=migrations):
            pass

    newer = Migration(2, "newer", "second", "CREATE TABLE newer (n BIGINT);")
    asyncio.run(start(FACTS, newer))
    with pytest.raises(DatabaseTooNew):
        asyncio.run(start(FACTS))
    edited = Migration(1, "facts", "other", FACTS.sql)
    with pytest.raises(MigrationChanged):
        asyncio.run(start(edited, newer))


def test_start__migration_fails_midway__nothing_of_it_stays(postgres: PostgresBackend) -> None:
    """A migration is applied whole or not at all."""
    broken = Migration(2, "broken", "x", "CREATE TABLE half (n BIGINT);\nSELECT nonsense;")

    async def scenario() -> None:
        with pytest.raises(psycopg.errors.UndefinedColumn):
            await postgres.open(migrations=(FACTS, broken)).start()
        assert postgres.peek("SELECT to_regclass('half')") == [(None,)]
        async with postgres.open() as database:
            await database.write(insert_fact, 1)

    asyncio.run(scenario())


def test_start__several_processes_at_once__one_migrates(postgres: PostgresBackend) -> None:
    """Nodes that start together agree on who migrates, and all of them serve."""

    async def scenario() -> None:
        stores = [postgres.open(migrations=None) for _ in range(4)]
        await asyncio.gather(*(store.start() for store in stores))
        await asyncio.gather(*(store.stop() for store in stores))
        applied = postgres.peek("SELECT version FROM schema_migrations ORDER BY version")
        assert applied == [(one.version,) for one in load_migrations(dialect="postgres")]

    asyncio.run(scenario())


def test_schema__of_every_migration__compares_text_by_its_bytes(postgres: PostgresBackend) -> None:
    """Order and uniqueness of text do not depend on the language of the database."""

    async def scenario() -> None:
        async with postgres.open(migrations=None):
            pass

    asyncio.run(scenario())
    otherwise = postgres.peek(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND data_type = 'text'"
        " AND table_name <> 'schema_migrations' AND collation_name IS DISTINCT FROM 'C'"
    )
    assert otherwise == []


def test_examine__empty_migrated_and_absent__says_what_it_found(postgres: PostgresBackend) -> None:
    """A look from outside tells the schema's version, what is pending, and what is wrong."""
    newest = len(load_migrations(dialect="postgres"))
    _, facts = examine_postgres(postgres.url)
    assert facts == (0, newest, None)

    async def scenario() -> None:
        async with postgres.open(migrations=None):
            pass

    asyncio.run(scenario())
    where, facts = examine_postgres(postgres.url)
    assert facts == (newest, 0, None)
    assert "127.0.0.1" in where
    where, facts = examine_postgres(postgres.server.url("nowhere").replace("@", ":hush@"))
    assert "nowhere" in (facts.problem or "")
    assert "hush" not in where + (facts.problem or "")
