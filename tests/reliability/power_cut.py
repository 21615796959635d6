"""A disk that forgets what was not synced: an apsw VFS that can be cut off at any moment.

Everything is passed through to real files, so the store runs as always; beside them the shim keeps
what each file would hold if the power failed now. ``cut`` writes that state into another folder:
what was synced is whole, and of the rest each write is kept, dropped or torn, as a disk may do.
"""

import itertools
import random
import threading
from pathlib import Path
from typing import Any

import apsw

_SECTOR_BYTES = 512
_numbers = itertools.count(1)

# What may be pending for a file: bytes at an offset, or (no bytes) a new length.
Change = tuple[int, bytes | None]


class Platter:
    """One file as the disk holds it: what was synced, and what was not yet."""

    def __init__(self) -> None:
        self.synced = bytearray()
        self.pending: list[Change] = []

    def sync(self) -> None:
        """Make everything pending durable."""
        for change in self.pending:
            _apply(self.synced, change)
        self.pending.clear()

    def after_cut(self, rng: random.Random, mode: str) -> bytes:
        """Return the content after a power cut; ``mode`` is ``drop``, ``mix`` or ``tear``."""
        content = bytearray(self.synced)
        for offset, data in self.pending:
            fate = "drop" if mode == "drop" else rng.choice(("keep", "drop", mode))
            if fate == "drop":
                continue
            if fate == "tear" and data is not None:
                for start in range(0, len(data), _SECTOR_BYTES):
                    if rng.random() < 0.5:
                        _apply(content, (offset + start, data[start : start + _SECTOR_BYTES]))
                continue
            _apply(content, (offset, data))
        return bytes(content)


def _apply(content: bytearray, change: Change) -> None:
    offset, data = change
    if data is None:
        del content[offset:]
        return
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


class PowerCutVFS(apsw.VFS):
    """The VFS; pass ``vfs.vfs_name`` to the store."""

    def __init__(self) -> None:
        self.vfs_name = f"power-cut-{next(_numbers)}"
        self.platters: dict[str, Platter] = {}
        self.lock = threading.Lock()
        self.syncs = 0
        super().__init__(self.vfs_name, "")

    def xOpen(self, name: Any, flags: Any) -> "PowerCutFile":  # noqa: N802 - SQLite's name
        return PowerCutFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001, N802 - SQLite's
        with self.lock:
            self.platters.pop(filename, None)
        super().xDelete(filename, syncdir)

    def cut(self, folder: Path, rng: random.Random, mode: str) -> list[Path]:
        """Write into ``folder`` what a power cut at this moment would leave; return the files."""
        with self.lock:
            left = {name: disk.after_cut(rng, mode) for name, disk in self.platters.items()}
        files = []
        for name, content in left.items():
            file = folder / Path(name).name
            file.write_bytes(content)
            files.append(file)
        return files


class PowerCutFile(apsw.VFSFile):
    """A file whose changes are noted before they are passed on."""

    def __init__(self, vfs: PowerCutVFS, name: Any, flags: Any) -> None:
        super().__init__("", name, flags)
        self._vfs = vfs
        self._platter = Platter()
        if isinstance(name, apsw.URIFilename):
            name = name.filename()
        if name and flags[0] & (apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_WAL):
            with vfs.lock:
                self._platter = vfs.platters.setdefault(name, self._platter)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        with self._vfs.lock:
            self._platter.pending.append((offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        with self._vfs.lock:
            self._platter.pending.append((newsize, None))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        with self._vfs.lock:
            self._platter.sync()
            self._vfs.syncs += 1
