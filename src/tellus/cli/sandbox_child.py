"""One side of the sandbox in a process of its own, which ends with its parent, however that ends.

The standard input is a pipe that only the parent holds: lines on it are what the parent says, its
end means that the parent is gone. Run as ``python -m tellus.cli.sandbox_child platform|fleet …``.
"""

import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Final

_PATIENCE_S: Final = 15.0
_GONE: Final = 1
_FROM_PARENT: Final = 0
_READ_BYTES: Final = 65_536


def follow_parent() -> "queue.Queue[bytes]":
    """End this process once the parent is gone; return the lines that the parent says."""
    said: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_follow, args=(said,), name="parent", daemon=True).start()
    return said


def _follow(said: "queue.Queue[bytes]") -> None:
    # Not by sys.stdin: its lock, held by this thread, would spoil the end of the interpreter.
    unfinished = b""
    while heard := os.read(_FROM_PARENT, _READ_BYTES):
        *lines, unfinished = (unfinished + heard).split(b"\n")
        for line in lines:
            said.put(line)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE_S)
    os._exit(_GONE)


def main() -> None:
    """Run the side that the arguments name."""
    side, *arguments = sys.argv[1:]
    said = follow_parent()
    if side == "platform":
        from tellus.cli import main as tellus

        tellus(["serve", *arguments], prog_name="tellus")
    else:
        from tellus.cli.sandbox_fleet import run_demo_fleet

        sys.exit(run_demo_fleet(Path(arguments[0]), said))


if __name__ == "__main__":
    main()
