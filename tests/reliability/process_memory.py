"""How much memory a process holds, from /proc."""

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
