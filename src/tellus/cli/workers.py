"""``tellus serve --workers N``: several nodes on this machine, on one port.

The parent keeps the port, starts the workers and starts anew what ends by itself. SIGTERM and
Ctrl-C stop them all in order; SIGHUP replaces them one after the other, so that the rest serve on.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Final

import click

from tellus.cli.notify import ReadySocket, tell_starter

_RESTART_FROM_S, _RESTART_TO_S = 0.5, 30.0
_STEADY_AFTER_S: Final = 60.0
_STOP_WITHIN_S: Final = 40.0
_POLL_S: Final = 0.05
_READY_POLLS: Final = 1_200


def reserve_port(host: str, port: int) -> socket.socket:
    """Return a socket that keeps ``port`` (0: a free one) for listeners that share it.

    Raises:
        OSError: somebody else has it.
    """
    family, kind, proto, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    kept = socket.socket(family, kind, proto)
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        kept.bind(address)
    except OSError:
        kept.close()
        raise
    return kept


def run_workers(count: int, arguments: Sequence[str], kept: socket.socket) -> int:
    """Run ``count`` times ``tellus`` with ``arguments`` until told to stop; return the exit code.

    Each has to listen with SO_REUSEPORT on the port that ``kept`` keeps.
    """
    try:
        return asyncio.run(_Crew(count, arguments).run())
    finally:
        kept.close()


class _Crew:
    """The workers by their places."""

    def __init__(self, count: int, arguments: Sequence[str]) -> None:
        self._arguments = tuple(arguments)
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._count = count
        self._stopping = asyncio.Event()
        self._replacing: asyncio.Task[None] | None = None
        self._failed = False
        self._ready = [ReadySocket(f"tellus-{os.getpid()}-{place}") for place in range(count)]
        self._unready = set(range(count))

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._replace_soon)
        places = [asyncio.create_task(self._keep(place)) for place in range(self._count)]
        listening = asyncio.create_task(self._hear())
        await self._stopping.wait()
        tell_starter("STOPPING=1")
        listening.cancel()
        if self._replacing is not None:
            self._replacing.cancel()
        for process in self._running.values():
            _tell(process, signal.SIGTERM)
        _, late = await asyncio.wait(places, timeout=_STOP_WITHIN_S)
        for process in tuple(self._running.values()) if late else ():
            _tell(process, signal.SIGKILL)
        if late:
            await asyncio.wait(late)
        return 1 if self._failed else 0

    async def _keep(self, place: int) -> None:
        """Keep a worker at ``place`` until the end; whoever fails again and again waits longer."""
        loop = asyncio.get_running_loop()
        pause_s = _RESTART_FROM_S
        while not self._stopping.is_set():
            began_s = loop.time()
            self._unready.add(place)
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tellus",
                *self._arguments,
                env=os.environ | self._ready[place].environment,
            )
            self._running[place] = process
            if self._stopping.is_set():  # it was told while this one was being started
                _tell(process, signal.SIGTERM)
            code = await process.wait()
            del self._running[place]
            if self._stopping.is_set():
                self._failed |= code != 0
                return
            if code == 0 or loop.time() - began_s > _STEADY_AFTER_S:
                pause_s = _RESTART_FROM_S
            if code != 0:
                click.echo(f"Worker {place + 1} ended with {code}; it is started anew.", err=True)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause_s)
                pause_s = min(_RESTART_TO_S, pause_s * 2)

    async def _hear(self) -> None:
        """Follow who is ready, and say so once all are."""
        told = False
        while True:
            await asyncio.sleep(_POLL_S)
            self._unready -= {place for place, ready in enumerate(self._ready) if ready.take()}
            if not told and not self._unready:
                told = True
                tell_starter("READY=1")

    def _replace_soon(self) -> None:
        if self._replacing is None or self._replacing.done():
            self._replacing = asyncio.create_task(self._replace_all())

    async def _replace_all(self) -> None:
        """Replace the workers one after the other; the next one goes when the new one is up."""
        for place in range(self._count):
            process = self._running.get(place)
            if process is None:
                continue
            self._unready.add(place)
            _tell(process, signal.SIGTERM)
            for _ in range(_READY_POLLS):
                await asyncio.sleep(_POLL_S)
                if place not in self._unready:
                    break


def _tell(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
