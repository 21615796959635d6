"""Files in parts: whole or not at all, for a time, and for their operator alone."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tellus.kernel.errors import NotFound, PayloadTooLarge, TooManyRequests, Unavailable
from tellus.reports.files import UNFINISHED_MS
from tellus.reports.model import FILE_BYTES_LARGEST, PART_BYTES, StoredFile
from tellus.storage.database import Tx
from tests.unit.reports.conftest import DAY_MS, FileBench, Run

PARTS, FILES = "stored_file_parts", "stored_files"


@pytest.mark.parametrize("size", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 1_700_000])
def test_store__any_size__comes_back_byte_by_byte(run_files: Run[None], size: int) -> None:
    """However the content falls into pieces and parts, it is the same when it is read."""

    async def check(bench: FileBench) -> None:
        content = os.urandom(size)
        chunks = [content[at : at + 70_001] for at in range(0, size, 70_001)]
        file = await bench.store(*chunks)
        assert (file.size, file.sha256) == (size, hashlib.sha256(content).hexdigest())
        assert await bench.content(file.file_id) == content
        assert await bench.files.find(file.file_id, "opr_1") == file

    run_files(check)


def test_store__one_chunk_of_many_parts__is_cut(run_files: Run[None]) -> None:
    """No row holds more than a part, however large the pieces are."""

    async def check(bench: FileBench) -> None:
        file = await bench.store(bytes(3 * PART_BYTES + 5))
        assert await bench.count(PARTS) == 4
        assert [len(piece) async for piece in bench.files.open(file.file_id)][-1] == 5

    run_files(check)


def test_store__too_large__leaves_nothing(run_files: Run[None]) -> None:
    """What passes the bound is refused, and nothing of it stays."""

    async def check(bench: FileBench) -> None:
        block = bytes(1024 * 1024)
        chunks = [block] * (FILE_BYTES_LARGEST // len(block))
        with pytest.raises(PayloadTooLarge):
            await bench.store(*chunks, b"x")
        assert (await bench.count(PARTS), await bench.count(FILES)) == (0, 0)

    run_files(check)


def test_store__source_that_fails__leaves_nothing(run_files: Run[None]) -> None:
    """Whatever goes wrong on the way, no half file stays."""

    async def broken() -> AsyncIterator[bytes]:
        yield bytes(PART_BYTES * 2)
        raise LookupError

    async def check(bench: FileBench) -> None:
        with pytest.raises(LookupError):
            await bench.store(source=broken())
        assert (await bench.count(PARTS), await bench.count(FILES)) == (0, 0)

    run_files(check)


def test_store__cancelled__leaves_nothing(run_files: Run[None]) -> None:
    """An upload that is ended by a stop of the server leaves nothing either."""

    async def check(bench: FileBench) -> None:
        reached = asyncio.Event()

        async def hanging() -> AsyncIterator[bytes]:
            yield bytes(PART_BYTES)
            reached.set()
            await asyncio.sleep(60)

        task = asyncio.create_task(bench.store(source=hanging()))
        await reached.wait()
        assert await bench.count(PARTS) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await bench.count(PARTS), await bench.count(FILES)) == (0, 0)

    run_files(check)


def test_store__along_that_refuses__undoes_the_whole(run_files: Run[None]) -> None:
    """What is done along with a file decides whether there is one."""

    async def check(bench: FileBench) -> None:
        def refuse(tx: Tx, file: StoredFile) -> None:
            assert tx.row("SELECT size_bytes FROM stored_files WHERE file_id = $1", file.file_id)
            raise LookupError

        with pytest.raises(LookupError):
            await bench.store(b"x", along=refuse)
        assert await bench.count(FILES) == 0

    run_files(check)


def test_store__word_of_the_commit_lost__keeps_what_is_whole(run_files: Run[None]) -> None:
    """A file whose last commit went through, though nobody could say so, is not taken back."""

    async def check(bench: FileBench) -> None:
        write = bench.database.write

        async def lose(work: Any, *args: Any, **more: Any) -> Any:
            answer = await write(work, *args, **more)
            if work == bench.files._finish:
                message = "outcome unknown"
                raise Unavailable(message)
            return answer

        bench.database.write = lose  # type: ignore[method-assign]
        with pytest.raises(Unavailable):
            await bench.store(b"content")
        bench.database.write = write  # type: ignore[method-assign]
        row = await bench.database.read(lambda tx: tx.row("SELECT file_id FROM stored_files"))
        assert row is not None
        assert await bench.content(row[0]) == b"content"

    run_files(check)


def test_store__busy_database__waits_and_goes_on(
    run_files: Run[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A moment in which the store takes nothing costs an upload time, a long one its life."""
    monkeypatch.setattr("tellus.reports.files._PAUSES_S", (0.0, 0.0))

    async def check(bench: FileBench) -> None:
        write, refusals = bench.database.write, 2

        async def busy(work: Any, *args: Any, **more: Any) -> Any:
            nonlocal refusals
            if work == bench.files._append and refusals:
                refusals -= 1
                raise TooManyRequests(1)
            return await write(work, *args, **more)

        bench.database.write = busy  # type: ignore[method-assign]
        file = await bench.store(b"content")
        assert await bench.content(file.file_id) == b"content"
        refusals = 3
        with pytest.raises(TooManyRequests):
            await bench.store(b"content")
        assert await bench.count(FILES) == 1

    run_files(check)


def test_find__foreign_unfinished_or_expired__is_not_there(run_files: Run[None]) -> None:
    """Only its own operator finds a file, once it is whole and until it expires."""

    async def check(bench: FileBench) -> None:
        file = await bench.store(b"x")
        with pytest.raises(NotFound):
            await bench.files.find(file.file_id, "opr_2")
        bench.clock.advance(DAY_MS / 1000)
        with pytest.raises(NotFound):
            await bench.files.find(file.file_id, "opr_1")
        with pytest.raises(NotFound):
            await bench.content("fil_x")

    run_files(check)


def test_open__removed_while_it_is_read__breaks_off(run_files: Run[None]) -> None:
    """Nobody takes a part for the whole: reading on fails."""

    async def check(bench: FileBench) -> None:
        file = await bench.store(bytes(3 * PART_BYTES))
        reading = bench.files.open(file.file_id)
        await anext(reading)
        await bench.files.remove(file.file_id)
        with pytest.raises(NotFound):
            await anext(reading)
        assert (await bench.count(PARTS), await bench.count(FILES)) == (0, 0)

    run_files(check)


def test_sweep__expired_and_abandoned__go_and_others_stay(run_files: Run[None]) -> None:
    """What a dead process left goes after a while; what is under way and what is kept does not."""

    async def check(bench: FileBench) -> None:
        kept = await bench.store(bytes(9 * PART_BYTES))
        begun = asyncio.Event()

        async def hanging() -> AsyncIterator[bytes]:
            yield bytes(6 * PART_BYTES)
            begun.set()
            await asyncio.sleep(60)

        task = asyncio.create_task(bench.store(source=hanging()))
        await begun.wait()
        await bench.files.sweep()
        assert await bench.count(FILES) == 2
        bench.clock.advance(UNFINISHED_MS / 1000 + 1)
        await bench.files.sweep()
        assert (await bench.count(FILES), await bench.count(PARTS)) == (1, 9)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(await bench.content(kept.file_id)) == 9 * PART_BYTES
        bench.clock.advance(DAY_MS / 1000)
        await bench.files.sweep()
        assert (await bench.count(FILES), await bench.count(PARTS)) == (0, 0)

    run_files(check)


def test_store__swept_while_it_grows__fails_and_leaves_nothing(run_files: Run[None]) -> None:
    """An upload that was given up does not come back to life without its beginning."""

    async def check(bench: FileBench) -> None:
        async def slow() -> AsyncIterator[bytes]:
            yield bytes(PART_BYTES)
            bench.clock.advance(UNFINISHED_MS / 1000 + 1)
            await bench.files.sweep()
            yield bytes(PART_BYTES)

        with pytest.raises(NotFound):
            await bench.store(source=slow())
        assert (await bench.count(PARTS), await bench.count(FILES)) == (0, 0)

    run_files(check)


def test_erase_some__files_of_a_device__go_in_small_steps(run_files: Run[None]) -> None:
    """Erasing takes the files of one device, whole or not, and of no other."""

    async def check(bench: FileBench) -> None:
        await bench.store(bytes(9 * PART_BYTES), device_no=1)
        await bench.store(b"y", device_no=1)
        other = await bench.store(b"z", device_no=2)
        steps = 0
        while (await bench.files.erase_some(1, 64)).more:
            steps += 1
        assert steps >= 4
        assert (await bench.count(PARTS), await bench.count(FILES)) == (1, 1)
        assert await bench.content(other.file_id) == b"z"

    run_files(check)


def test_store__source_paused_by_a_slow_store__never_runs_ahead(run_files: Run[None]) -> None:
    """The next piece is asked for once the parts before it are durable: that is back-pressure."""

    async def check(bench: FileBench) -> None:
        taken, stored = 0, 0
        write = bench.database.write

        async def count(work: Any, *args: Any, **more: Any) -> Any:
            nonlocal stored
            answer = await write(work, *args, **more)
            stored += 1
            return answer

        async def source() -> AsyncIterator[bytes]:
            nonlocal taken
            for _ in range(8):
                assert taken - stored * PART_BYTES < 2 * PART_BYTES
                taken += PART_BYTES // 2
                yield bytes(PART_BYTES // 2)

        bench.database.write = count  # type: ignore[method-assign]
        await bench.store(source=source())
        assert taken == 4 * PART_BYTES

    run_files(check)
