"""Files: stored in parts, in the store that all nodes share, for a time and no longer.

A file is written part by part, each durable before more is taken, and seen by nobody before it is
whole. What breaks off leaves nothing: it is taken back at once, or where that cannot be done (the
process died) by the sweep.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Final

from tellus.kernel.clock import Clock
from tellus.kernel.errors import ApiError, NotFound, PayloadTooLarge, TooManyRequests
from tellus.kernel.files import FileAnswer
from tellus.kernel.ids import new_id
from tellus.kernel.retention import Step, timed
from tellus.kernel.units import MINUTE_MS
from tellus.reports import store_files
from tellus.reports.model import FILE_BYTES_LARGEST, PART_BYTES, Draft, StoredFile
from tellus.storage.database import Database, Tx

UNFINISHED_MS: Final = 15 * MINUTE_MS
"""How long nothing may come of a file that is not whole: longer than a part takes to arrive."""

_PARTS_AT_ONCE: Final = 4
_WRITES_AT_ONCE: Final = 2  # however many uploads go on, so that samples need not wait for them
_PAUSES_S: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
_FILES_AT_ONCE: Final = 20

Along = Callable[[Tx, StoredFile], None]
"""What else is to be done in the transaction that makes a file whole; it refuses by raising."""


class FileService:
    """Files of operators; ``sweep`` is to be called now and then on the node on duty."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._turns = asyncio.Semaphore(_WRITES_AT_ONCE)

    async def store(
        self,
        operator_id: str,
        kind: str,
        name: str,
        media_type: str,
        chunks: AsyncIterator[bytes],
        expires_ms: int,
        *,
        device_no: int | None = None,
        along: Along | None = None,
    ) -> StoredFile:
        """Store what ``chunks`` bring; return the file once it is durable and whole.

        ``device_no`` is the device that it goes with when that is erased. Whatever is raised leaves
        nothing of it.

        Raises:
            PayloadTooLarge: it exceeds 32 MiB.
            NotFound: it was erased meanwhile.
            TooManyRequests, Unavailable: the store cannot take it now.
        """
        now_ms = self._clock.now_ms()
        draft = Draft(
            new_id("fil"), operator_id, device_no, kind, name, media_type, now_ms, expires_ms
        )
        try:
            size, sha256 = await self._take_in(draft, chunks)
            file = StoredFile(
                draft.file_id, operator_id, kind, name, media_type, size, sha256, now_ms, expires_ms
            )
            await self._database.write(self._finish, file, along)
        except BaseException:
            await asyncio.shield(asyncio.ensure_future(self._take_back(draft.file_id)))
            raise
        return file

    async def _take_in(self, draft: Draft, chunks: AsyncIterator[bytes]) -> tuple[int, str]:
        """Store the parts as they fill up; return size (bytes) and SHA-256."""
        digest, size, part_no = hashlib.sha256(), 0, 0
        waiting = bytearray()
        async for chunk in chunks:
            size += len(chunk)
            if size > FILE_BYTES_LARGEST:
                raise PayloadTooLarge(FILE_BYTES_LARGEST)
            waiting += chunk
            while len(waiting) >= PART_BYTES:
                part = bytes(waiting[:PART_BYTES])
                del waiting[:PART_BYTES]
                await asyncio.to_thread(digest.update, part)
                await self._write_part(draft, part_no, part)
                part_no += 1
        digest.update(waiting)
        if waiting or not part_no:
            await self._write_part(draft, part_no, bytes(waiting))
        return size, digest.hexdigest()

    async def _write_part(self, draft: Draft, part_no: int, content: bytes) -> None:
        """Store a part; where the store is busy, it waits: nobody hurries but what chargers say."""
        async with self._turns:
            for pause_s in (*_PAUSES_S, None):
                try:
                    await self._database.write(self._append, draft, part_no, content)
                except TooManyRequests:
                    if pause_s is None:
                        raise
                    await asyncio.sleep(pause_s)
                else:
                    return

    def _append(self, tx: Tx, draft: Draft, part_no: int, content: bytes) -> None:
        now_ms = self._clock.now_ms()
        tx.lock(_lock_of(draft.file_id))
        if part_no == 0:
            store_files.append_draft(tx, draft, now_ms)
        elif not store_files.touch_draft(tx, draft.file_id, now_ms):
            raise NotFound
        store_files.append_part(tx, draft.file_id, part_no, content)

    def _finish(self, tx: Tx, file: StoredFile, along: Along | None) -> None:
        tx.lock(_lock_of(file.file_id))
        now_ms = self._clock.now_ms()
        if not store_files.finish(tx, file.file_id, file.size, file.sha256, now_ms):
            raise NotFound
        if along is not None:
            along(tx, file)

    async def _take_back(self, file_id: str) -> None:
        # It may be whole all the same, where only the word of the commit got lost: then it stays.
        with contextlib.suppress(ApiError):  # what cannot be removed now, the sweep removes
            removed = _PARTS_AT_ONCE
            while removed == _PARTS_AT_ONCE:
                removed = await self._database.write(_remove_draft, file_id, _PARTS_AT_ONCE)

    async def find(self, file_id: str, operator_id: str) -> StoredFile:
        """Return a file.

        Raises:
            NotFound: it is absent, expired or another operator's.
        """
        file = await self._database.read(store_files.find_file, file_id)
        if file is None or file.operator_id != operator_id:
            raise NotFound
        if file.expires_ms <= self._clock.now_ms():
            raise NotFound
        return file

    async def answer(self, file_id: str, operator_id: str) -> FileAnswer:
        """Return a file as what a download answers with; raises like ``find``."""
        file = await self.find(file_id, operator_id)
        return FileAnswer(file.name, file.media_type, file.size, self.open(file_id))

    async def open(self, file_id: str) -> AsyncIterator[bytes]:
        """Yield the content of a file, part by part.

        Raises:
            NotFound: it was removed meanwhile.
        """
        file = await self._database.read(store_files.find_file, file_id)
        if file is None:
            raise NotFound
        left, part_no = file.size, 0
        while left > 0:
            content = await self._database.read(store_files.find_part, file_id, part_no)
            if not content:
                raise NotFound
            left -= len(content)
            part_no += 1
            yield content

    async def remove(self, file_id: str) -> None:
        """Delete a file with all its parts; nothing happens where it is gone already."""
        more = True
        while more:
            removed = await self._database.write(_remove, file_id, _PARTS_AT_ONCE)
            more = removed == _PARTS_AT_ONCE

    async def sweep(self) -> None:
        """Delete what has expired, and what never became whole."""
        now_ms = self._clock.now_ms()
        ended = [""]
        while ended:
            ended = await self._database.read(
                store_files.list_ended, now_ms, now_ms - UNFINISHED_MS, _FILES_AT_ONCE
            )
            for file_id in ended:
                await self.remove(file_id)

    async def erase_some(self, device_no: int, limit: int) -> Step:
        """Delete some of what the files of a device hold; a part of erasing it."""
        removed, held_s = await self._database.write(
            timed(_remove_of), device_no, min(limit, _PARTS_AT_ONCE)
        )
        return Step(removed, held_s, removed > 0)


def _remove(tx: Tx, file_id: str, limit: int) -> int:
    tx.lock(_lock_of(file_id))
    return store_files.remove(tx, file_id, limit)


def _remove_draft(tx: Tx, file_id: str, limit: int) -> int:
    tx.lock(_lock_of(file_id))
    return store_files.remove(tx, file_id, limit) if store_files.is_draft(tx, file_id) else 0


def _remove_of(tx: Tx, device_no: int, limit: int) -> int:
    file_id = store_files.find_one_of(tx, device_no)
    return 0 if file_id is None else _remove(tx, file_id, limit)


def _lock_of(file_id: str) -> str:
    return f"file:{file_id}"
