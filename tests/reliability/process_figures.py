"""What a process holds and waits for, from /proc: memory, open files, a turn on a processor."""

from pathlib import Path

import pytest


def resident_bytes(pid: int) -> int:
    """Return the resident set of a process in bytes; skips the test where /proc is not there."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("this system has no /proc to read a process's memory from")
    for line in status.read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


def open_handles(pid: int) -> int:
    """Return how many files, sockets and the like a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def waited_for_processor_s(pid: int) -> float:
    """Return for how long a process could have run and others did; 0 where that is not told.

    That is what a busy machine adds to any time, whatever the process does.
    """
    file = Path(f"/proc/{pid}/schedstat")
    return int(file.read_text().split()[1]) / 1e9 if file.exists() else 0.0
