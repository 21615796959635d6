"""Opens what the settings name: the store, the bus, the keys."""

import contextlib
from collections.abc import Callable

from tellus.bus.memory import MemoryBus
from tellus.bus.postgres import PostgresBus
from tellus.config import CompatSettings, Settings
from tellus.identity.keys import KeyRing, create_key_file, load_key_file
from tellus.kernel.clock import Clock, FollowingClock, SystemClock
from tellus.storage.postgres import PostgresDatabase
from tellus.storage.postgres_windows import DatabaseWindows
from tellus.storage.sqlite import SQLiteDatabase


def open_clock(settings: Settings) -> Clock:
    """Return the machine's clock, or one that follows the database that several nodes share."""
    return SystemClock() if settings.database.url is None else FollowingClock(SystemClock())


def open_database(
    settings: Settings, clock: Clock, node_id: str
) -> PostgresDatabase | SQLiteDatabase:
    """Describe the store that the settings name: a server's, or a file in the data directory."""
    storage = settings.storage
    url = settings.database.url
    if url is not None:
        return PostgresDatabase.open(
            url.get_secret_value(),
            clock=clock,
            readers=storage.readers,
            queue_operations=storage.queue_operations,
            application_name=node_id,
        )
    return SQLiteDatabase.open(
        settings.database_file,
        clock=clock,
        readers=storage.readers,
        queue_operations=storage.queue_operations,
    )


def open_bus(settings: Settings, clock: Clock, node_id: str) -> PostgresBus | MemoryBus:
    """Return the bus between nodes, or the one of a process that is alone."""
    url = settings.database.url
    return MemoryBus() if url is None else PostgresBus(url.get_secret_value(), node_id, clock)


def open_windows(settings: Settings, clock: Clock, node_id: str) -> DatabaseWindows | None:
    """Return the rate windows of all nodes together; None for a process that is alone."""
    url = settings.database.url
    return None if url is None else DatabaseWindows(url.get_secret_value(), node_id, clock)


def open_keys(settings: Settings) -> KeyRing:
    """Return the instance's keys, made at the first start.

    They are on disk before the database is: where there is a database, a missing file was lost, and
    another one in its place would only hide that.
    """
    url = settings.database.url
    if settings.keys_file is None and (url is not None or not settings.database_file.exists()):
        with contextlib.suppress(FileExistsError):
            return create_key_file(settings.key_file)
    return load_key_file(settings.key_file)


def leniency(compat: CompatSettings) -> Callable[[str], bool]:
    """Return what tells of a model whether its known deviations are admitted."""
    models = frozenset(compat.lenient_models)
    return lambda model: compat.mode == "lenient" or model in models
