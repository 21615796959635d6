"""A disk that can be told to be full or broken: an apsw VFS over the system's."""

import itertools
from typing import Any

import apsw

_numbers = itertools.count(1)


class FaultyVFS(apsw.VFS):
    """The VFS; set ``fault`` to what goes wrong, and to None when all is well again.

    ``full`` refuses to write at all and ``growth`` to make a file longer (both SQLITE_FULL);
    ``write`` and ``sync`` are I/O errors of that call.
    """

    def __init__(self) -> None:
        self.vfs_name = f"faulty-{next(_numbers)}"
        self.fault: str | None = None
        self.refused = 0
        super().__init__(self.vfs_name, "")

    def xOpen(self, name: Any, flags: Any) -> "FaultyFile":  # noqa: N802 - SQLite's name
        return FaultyFile(self, name, flags)


class FaultyFile(apsw.VFSFile):
    """A file that asks its VFS whether it may."""

    def __init__(self, vfs: FaultyVFS, name: Any, flags: Any) -> None:
        super().__init__("", name, flags)
        self._vfs = vfs

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        fault = self._vfs.fault
        grows = fault == "growth" and offset + len(data) > self.xFileSize()
        if fault == "full" or grows:
            self._vfs.refused += 1
            raise apsw.FullError("the disk is full")
        if fault == "write":
            self._vfs.refused += 1
            raise apsw.exception_for(apsw.SQLITE_IOERR_WRITE)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        if self._vfs.fault == "sync":
            self._vfs.refused += 1
            raise apsw.exception_for(apsw.SQLITE_IOERR_FSYNC)
        super().xSync(flags)
