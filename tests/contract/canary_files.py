"""Looks for canaries in files and folders: raw bytes, packed content, cells of SQLite tables."""

import gzip
import shutil
import sqlite3
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from tests.contract.canaries import Canary, Hit, scan_bytes

_SQLITE_MAGIC = b"SQLite format 3\x00"
_SIDE_FILES = ("-wal", "-journal")
_UNPACKED_LIMIT = 200_000_000


def scan_paths(paths: Iterable[Path], canaries: Sequence[Canary]) -> list[Hit]:
    """Every canary in the given files, and in all files below the given folders.

    A database may be open in another process: its file and log are copied and the copy is read.
    """
    return [hit for path in paths for file in _files(path) for hit in scan_file(file, canaries)]


def scan_file(path: Path, canaries: Sequence[Canary]) -> list[Hit]:
    """Every canary in one file: as it lies there, unpacked, and cell by cell."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    found = scan_packed(data, canaries, str(path))
    if data.startswith(_SQLITE_MAGIC):
        for where, cell in _cells(path):
            found.extend(scan_packed(cell, canaries, f"{path} {where}"))
    return found


def scan_packed(data: bytes, canaries: Sequence[Canary], where: str) -> list[Hit]:
    """Every canary in some bytes, also when these are gzip or zlib."""
    found = scan_bytes(data, canaries, where)
    unpacked = _unpack(data)
    if unpacked:
        found.extend(scan_bytes(unpacked, canaries, f"{where} (unpacked)"))
    return found


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from sorted(file for file in path.rglob("*") if file.is_file())
    elif path.is_file():
        yield path


def _unpack(data: bytes) -> bytes:
    try:
        if data.startswith(b"\x1f\x8b"):
            return gzip.decompress(data)
        if data[:1] == b"\x78":
            return zlib.decompressobj().decompress(data, _UNPACKED_LIMIT)
    except (OSError, EOFError, zlib.error):
        pass
    return b""


def _cells(path: Path) -> Iterator[tuple[str, bytes]]:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.db"
        shutil.copyfile(path, copy)
        for suffix in _SIDE_FILES:
            side = path.with_name(path.name + suffix)
            if side.exists():
                shutil.copyfile(side, copy.with_name(copy.name + suffix))
        with closing(sqlite3.connect(copy)) as database:
            database.text_factory = bytes
            yield from _cells_of(database)


def _cells_of(database: sqlite3.Connection) -> Iterator[tuple[str, bytes]]:
    tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (name,) in tables:
        table = name.decode()
        rows = database.execute(f'SELECT * FROM "{table}"')
        columns = [column[0] for column in rows.description]
        for row in rows:
            for column, cell in zip(columns, row, strict=True):
                if isinstance(cell, bytes):
                    yield f"table {table}, column {column}", cell
