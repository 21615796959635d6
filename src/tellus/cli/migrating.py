"""``tellus migrate-store``: move an installation from its SQLite file to PostgreSQL."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from tellus.app import Platform
from tellus.cli.client import CommandFailed, ExitCode
from tellus.cli.output import hint, json_option, print_json, show_table
from tellus.cli.recordfile import progress
from tellus.config import ConfigurationError, DatabaseSettings, Settings, load_configuration
from tellus.fleet.directory import Directory
from tellus.identity.keys import KeyFileRefused
from tellus.kernel.clock import SystemClock
from tellus.logs import LogRecorder
from tellus.storage.moving import MovedTable, find_moved, move_store
from tellus.storage.postgres_connection import Address
from tellus.storage.postgres_target import PostgresTarget
from tellus.storage.refusals import DatabaseInUse, StorageRefused
from tellus.storage.sqlite_source import SQLiteSource

_STATES_AT_ONCE: Final = 500
_SIDES: Final = 2

State = tuple[int, int, int, str, bytes]


@click.command("migrate-store")
@click.option(
    "--config", "file", type=click.Path(path_type=Path), help="Configuration file (TOML)."
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Data directory to move; the configured one by default.",
)
@click.option("--database-url", help="PostgreSQL to move to (postgresql://...).")
@json_option
def migrate_store(
    file: Path | None, data_dir: Path | None, database_url: str | None, *, as_json: bool
) -> None:
    """Copy the SQLite store of a stopped platform to an empty PostgreSQL database.

    All of it or nothing: rows are counted and compared on both sides before anything is kept. The
    SQLite file stays as it is.
    """
    settings, url = _settle(file, data_dir, database_url)
    began_s = time.monotonic()
    try:
        asyncio.run(_write_states(settings))
        moved = _move(settings, url)
    except DatabaseInUse as error:
        raise CommandFailed(str(error), ExitCode.CONFLICT) from None
    except (StorageRefused, KeyFileRefused) as error:
        raise CommandFailed(str(error)) from None
    _tell(settings, url, moved, time.monotonic() - began_s, as_json=as_json)


def _settle(
    file: Path | None, data_dir: Path | None, database_url: str | None
) -> tuple[Settings, str]:
    """Return the settings of the platform on SQLite, and where it is to go."""
    flags = {"data_dir": data_dir, "database.url": database_url}
    try:
        settings = load_configuration(flags, file=file).settings
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    url = settings.database.url
    if url is None:
        raise click.UsageError("Say where to: --database-url postgresql://...")
    if not settings.database_file.exists():
        raise click.UsageError(f"There is no database {settings.database_file} to be moved")
    source = settings.model_copy(update={"database": DatabaseSettings()})
    return source, url.get_secret_value()


async def _write_states(settings: Settings) -> None:
    """Let the store say how connectors are: on SQLite the newest of it is in the log of samples.

    It is recovered, migrated and matched with its key file on the way.
    """
    platform = Platform(settings, LogRecorder())
    await platform.database.start()
    try:
        await platform.identity.start()
        await platform.loader.load()
        await platform.telemetry.start()
        states = list(_list_states(platform.directory))
        for start in range(0, len(states), _STATES_AT_ONCE):
            part = states[start : start + _STATES_AT_ONCE]
            await platform.database.write(platform.fleet.advance_connectors, part)
    finally:
        await platform.database.stop()


def _list_states(directory: Directory) -> Iterator[State]:
    for device in directory:
        for connector in device.connectors.values():
            reading = connector.reading
            if reading is not None:
                place = (device.device_no, connector.connector_id, connector.time_ms)
                yield *place, reading.state, connector.content


def _move(settings: Settings, url: str) -> list[MovedTable]:
    with SQLiteSource(settings.database_file) as source, PostgresTarget(url, SystemClock()) as to:
        tables = find_moved(source, to)
        rows = sum(source.count(table) for table in tables)
        with progress(_SIDES * rows, "rows copied and compared") as bar:
            return move_store(source, to, tables, bar.update)


def _tell(
    settings: Settings, url: str, moved: list[MovedTable], took_s: float, *, as_json: bool
) -> None:
    rows = sum(table.rows for table in moved)
    summary: dict[str, Any] = {
        "from": str(settings.database_file),
        "to": str(Address(url)),
        "rows": rows,
        "took_s": round(took_s, 2),
        "rows_per_s": round(rows / took_s),
        "keys_file": str(settings.key_file),
        "tables": [table._asdict() for table in moved],
    }
    if as_json:
        print_json(summary)
    else:
        titles = ("TABLE", "ROWS", "CHECKSUM")
        show_table(titles, [[one.name, str(one.rows), one.checksum] for one in moved])
        click.echo(f"{rows} rows in {took_s:.1f} s ({summary['rows_per_s']} a second), all equal.")
    hint(
        f"Start it with: tellus serve --data-dir {settings.data_dir} --database-url ..."
        f"\nThe keys stay in {settings.key_file}. Every further node needs a copy of that file:"
        " TELLUS_KEYS_FILE."
        f"\nMove {settings.database_file.name} away, so that nobody starts on it again."
    )
