"""A file service over a real database, with a clock that tests move."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tellus.kernel.clock import ManualClock
from tellus.reports.files import FileService
from tellus.reports.model import StoredFile
from tellus.storage.database import Tx
from tests.databases import open_database

T = TypeVar("T")
DAY_MS = 86_400_000


class FileBench:
    """Service, store and clock of one test."""

    def __init__(self, path: Path) -> None:
        self.clock = ManualClock()
        self.database = open_database(path, self.clock)
        self.files = FileService(self.database, self.clock)

    async def store(self, *chunks: bytes, **more: Any) -> StoredFile:
        """Store a file of the operator opr_1 for a day."""
        expires_ms = self.clock.now_ms() + DAY_MS
        source = more.pop("source", None) or pieces(chunks)
        return await self.files.store(
            "opr_1", "test", "a.bin", "text/plain", source, expires_ms, **more
        )

    async def content(self, file_id: str) -> bytes:
        """All of a file."""
        return b"".join([piece async for piece in self.files.open(file_id)])

    async def count(self, table: str) -> int:
        """How many rows a table has."""
        row = await self.database.read(lambda tx: tx.row(f"SELECT count(*) FROM {table}"))
        assert row is not None
        return int(row[0])


async def pieces(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Chunks as a body brings them."""
    for chunk in chunks:
        yield chunk


Run = Callable[[Callable[[FileBench], Awaitable[T]]], T]


@pytest.fixture(scope="module")
def place(database_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database for all tests of a module: each finds it empty."""
    return tmp_path_factory.mktemp(f"files-{database_kind}") / "tellus.db"


@pytest.fixture
def run_files(place: Path) -> Run[Any]:
    """Run a coroutine function over a started bench and stop it afterwards."""

    def run(test: Callable[[FileBench], Awaitable[Any]]) -> Any:
        async def whole() -> Any:
            bench = FileBench(place)
            await bench.database.start()
            await bench.database.write(_empty)
            try:
                return await test(bench)
            finally:
                await bench.database.stop()

        return asyncio.run(whole())

    return run


def _empty(tx: Tx) -> None:
    for table in ("stored_file_parts", "stored_files"):
        tx.execute(f"DELETE FROM {table}")
