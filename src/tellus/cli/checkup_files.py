"""Checks of this machine: interpreter, files and their modes, database, disk."""

import os
import resource
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tellus.cli.checkup import Finding, Subject, skipped, well, wrong
from tellus.cli.client import ADMIN_FILE, CommandFailed, find_access
from tellus.identity.keys import KeyFileRefused, load_key_file
from tellus.storage.postgres_examination import examine_postgres
from tellus.storage.refusals import StorageRefused
from tellus.storage.sqlite_examination import examine_database, measure_commits_s, sqlite_version

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_SLOW_COMMIT_S: Final = 0.02
_LEAST_FREE_BYTES: Final = 1 << 30
_LEAST_FREE_RATIO: Final = 0.05
_LEAST_OPEN_FILES: Final = 4_096
_NOT_STARTED: Final = "there is none yet: the first start makes it"


def check_python(_subject: Subject) -> Iterator[Finding]:
    """Say what runs; the package does not install on older interpreters."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield well("runtime", f"Python {version}, SQLite {sqlite_version()}")


def check_data_folder(subject: Subject) -> Iterator[Finding]:
    """The data directory belongs to this user alone and can be written."""
    folder = subject.settings.data_dir
    name = "data_dir"
    if not folder.exists():
        yield skipped(name, f"{folder}: {_NOT_STARTED}")
        return
    status = folder.stat()
    mode = f"{stat.S_IMODE(status.st_mode):04o}"
    if not os.access(folder, os.W_OK | os.X_OK):
        advice = "Run as its owner, or give this user the directory."
        yield wrong(name, f"{folder} cannot be written by this user", advice)
    elif status.st_mode & _OTHERS:
        yield wrong(name, f"{folder} is open to others (mode {mode})", f"chmod 700 {folder}")
    else:
        yield well(name, f"{folder}, mode {mode}")


def check_key_file(subject: Subject) -> Iterator[Finding]:
    """The key file can be read, by its owner alone, and holds keys."""
    path = subject.settings.key_file
    if not path.exists() and not subject.settings.database_file.exists():
        yield skipped("key_file", f"{path}: {_NOT_STARTED}")
        return
    try:
        load_key_file(path)
    except KeyFileRefused as error:
        advice = "Without its own key file the database cannot be used: restore it from a backup."
        yield wrong("key_file", str(error), advice)
    else:
        yield well("key_file", str(path))


def check_admin_file(subject: Subject) -> Iterator[Finding]:
    """The file of the first service account is its owner's alone, where it is still kept there."""
    path = subject.settings.data_dir / ADMIN_FILE
    if not path.exists():
        yield skipped("admin_file", f"{path} is not there")
        return
    if path.stat().st_mode & _OTHERS:
        yield wrong("admin_file", f"{path} is open to others", f"chmod 600 {path}")
        return
    try:
        find_access(subject.settings.data_dir)
    except CommandFailed as error:
        yield wrong("admin_file", error.message, "Restore it, or move it away.")
    else:
        yield well("admin_file", str(path))


def check_database(subject: Subject) -> Iterator[Finding]:
    """This release can read the database, and it is nobody else's to read."""
    url = subject.settings.database.url
    if url is not None:
        yield from _check_postgres(url.get_secret_value())
        return
    path = subject.settings.database_file
    if not path.exists():
        yield skipped("database", f"{path}: {_NOT_STARTED}")
        return
    if path.stat().st_mode & _OTHERS:
        yield wrong("database", f"{path} is open to others", f"chmod 600 {path}")
        return
    facts = examine_database(path, deep=subject.deep)
    if facts.problem is not None:
        yield wrong("database", facts.problem, "Restore a backup, or run the release that fits.")
        return
    size_mib = path.stat().st_size / (1 << 20)
    waiting = facts.pending_migrations
    later = f", {waiting} migrations at the next start" if waiting else ""
    yield well("database", f"{size_mib:.1f} MiB, schema version {facts.schema_version}{later}")


def _check_postgres(url: str) -> Iterator[Finding]:
    where, facts = examine_postgres(url)
    if facts.problem is not None:
        advice = "See that the server runs, that this machine may connect, and its settings."
        yield wrong("database", f"{where}: {facts.problem}", advice)
        return
    waiting = facts.pending_migrations
    later = f", {waiting} migrations at the next start" if waiting else ""
    yield well("database", f"{where}, durable, schema version {facts.schema_version}{later}")


def check_commits(subject: Subject) -> Iterator[Finding]:
    """Commits can be made durable in the data directory, and that is quick."""
    if subject.settings.database.url is not None:
        yield skipped("durability", "the server's settings were looked at with the database")
        return
    folder = subject.settings.data_dir
    if not folder.is_dir():
        yield skipped("durability", f"{folder}: {_NOT_STARTED}")
        return
    try:
        taken_s = measure_commits_s(folder)
    except (StorageRefused, OSError) as error:
        advice = "Put the data directory on a local disk that this user can write."
        yield wrong("durability", str(error), advice)
        return
    detail = f"synchronous=FULL, {1000 * taken_s:.1f} ms a commit"
    if taken_s > _SLOW_COMMIT_S:
        advice = "Every acknowledged write waits for this: use a faster disk."
        yield wrong("durability", detail, advice)
    else:
        yield well("durability", detail)


def check_disk_space(subject: Subject) -> Iterator[Finding]:
    """There is space to write."""
    folder = _nearest(subject.settings.data_dir)
    usage = shutil.disk_usage(folder)
    detail = f"{usage.free / (1 << 30):.1f} GiB free of {usage.total / (1 << 30):.1f}"
    if usage.free < max(_LEAST_FREE_BYTES, _LEAST_FREE_RATIO * usage.total):
        advice = "On a full disk writes are refused: make space."
        yield wrong("disk_space", detail, advice)
    else:
        yield well("disk_space", detail)


def check_open_files(_subject: Subject) -> Iterator[Finding]:
    """Enough connections may be open at once: each takes a file descriptor."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _LEAST_OPEN_FILES:
        advice = f"Each charger holds a few connections: ulimit -n {_LEAST_OPEN_FILES} or more."
        yield wrong("open_files", f"at most {soft}", advice)
    else:
        yield well("open_files", f"at most {soft}")


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder
