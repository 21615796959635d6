"""A child process that is told things, watched, and ended for certain."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Final, Self

_TAIL_LINES: Final = 15


class Child:
    """One side of the sandbox; start it with ``Child.start``."""

    def __init__(self, side: str, process: asyncio.subprocess.Process, log: Path | None) -> None:
        self.side = side
        self._process = process
        self._log = log

    @classmethod
    async def start(cls, side: str, *arguments: str, log: Path | None = None) -> Self:
        """Start a side; what it writes goes to ``log``, or to this process's error stream.

        It is in a session of its own, so that Ctrl-C at the terminal reaches this process alone,
        which then ends both sides in order.
        """
        with contextlib.ExitStack() as opened:
            errors = None
            if log is not None:
                handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                errors = opened.enter_context(os.fdopen(handle, "ab"))
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tellus.cli.sandbox_child",
                side,
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        return cls(side, process, log)

    @property
    def has_ended(self) -> bool:
        """Tell whether it runs no more."""
        return self._process.returncode is not None

    @property
    def exit_code(self) -> int:
        """Return how it ended, a signal as shells count it; 1 where it should not have ended."""
        code = self._process.returncode or 1
        return 128 - code if code < 0 else code

    def say(self, line: bytes) -> None:
        """Tell it a line; one that has ended does not hear it."""
        if self._process.stdin is not None and not self.has_ended:
            self._process.stdin.write(line + b"\n")

    async def wait(self) -> None:
        """Return once it has ended."""
        await self._process.wait()

    async def stop(self, patience_s: float) -> None:
        """End it: kindly first, after ``patience_s`` without mercy."""
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), patience_s)
        except TimeoutError:
            self.kill()
            await self._process.wait()

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)

    def tail(self) -> str:
        """Return the last lines of its log."""
        if self._log is None:
            return ""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
