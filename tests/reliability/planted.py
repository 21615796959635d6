"""Starts the platform with a planted fault: what the harnesses of this folder must find.

`python planted.py FAULT serve ...` patches one thing, then runs the command `tellus`.
"""

import asyncio
import itertools
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from tellus import app
from tellus.bus.memory import MemoryBus
from tellus.cli import main, serve
from tellus.commands import service
from tellus.commands.service import CommandService
from tellus.delivery.model import Attempt, Outcome
from tellus.fleet import events
from tellus.legacy.outbox import PeerOutbox
from tellus.storage import sqlite_connection
from tellus.storage.batch import Queued, apply_batch
from tellus.storage.writer import Writer, WriterSession
from tellus.surfaces import http, hub
from tellus.telemetry import store


def replace_part(owner: Any, name: str, part: Any) -> None:
    """Put `part` in the place of something that is there; a plant that misses is an error."""
    getattr(owner, name)
    setattr(owner, name, part)


def answer_before_commit() -> None:
    """Release the callers while the transaction is still open."""

    def commit(writer: Any, session: WriterSession, taken: list[Queued]) -> None:
        batch = apply_batch(session, taken, 0.005)
        writer._left = batch.left
        writer._call(writer._release, batch)
        time.sleep(0.02)
        session.commit()

    replace_part(Writer, "_commit", commit)


def compact_often() -> None:
    """Pack aged samples and prune five times a second instead of once a minute; no fault."""
    replace_part(app, "_TIDY_EVERY_S", 0.2)


def crash_without_connector() -> None:
    """Fail on events of no connector, as a handler would that looks it up unasked."""
    genuine: Callable[..., Any] = events.EventService.report

    async def report(service: Any, reported: Sequence[Any]) -> Any:
        for event in reported:
            if event.connector_id == 0:
                raise KeyError(event.connector_id)
        return await genuine(service, reported)

    replace_part(events.EventService, "report", report)


def queue_for_the_slow() -> None:
    """Write frames whether or not the peer takes them, and never close a slow one."""
    replace_part(hub.StreamPeer, "is_writable", hub.StreamPeer.is_open)


def cache_little() -> None:
    """Give SQLite 2 MiB of pages instead of 64, so that it fills at once; this is no fault."""
    replace_part(sqlite_connection, "_WRITER_CACHE_KIB", 2048)
    replace_part(sqlite_connection, "_READER_CACHE_KIB", 2048)


def ping_often() -> None:
    """Ping streams every second instead of every 20; this is no fault."""
    genuine = serve._limits
    often = partial(replace, stream_ping_s=1.0)
    replace_part(serve, "_limits", lambda settings: often(genuine(settings)))


def forget_the_polls() -> None:
    """Leave parked polls parked when the server stops."""

    async def release(platform: Any) -> None:
        await asyncio.sleep(0)

    replace_part(app.Platform, "_release_polls", release)


def start_slowly() -> None:
    """Take five seconds longer to start."""
    genuine = app.Platform._load

    async def load(platform: Any) -> None:
        await asyncio.sleep(5.0)
        await genuine(platform)

    replace_part(app.Platform, "_load", load)


def wear_out() -> None:
    """Keep 32 KiB of each request, a file of every fiftieth, and every tenth for ever longer."""
    kept: list[Any] = []
    began_s = time.monotonic()
    genuine = http.Pipeline.__call__

    async def serve(pipeline: Any, scope: Any, receive: Any, send: Any) -> None:
        kept.append(bytearray(b"x" * 32768))
        if len(kept) % 50 == 0:
            kept.append(os.open(os.devnull, os.O_RDONLY))
        if len(kept) % 10 == 0:
            await asyncio.sleep(min(5.0, 0.008 * (time.monotonic() - began_s) ** 3))
        await genuine(pipeline, scope, receive, send)

    replace_part(http.Pipeline, "__call__", serve)


def drop_samples() -> None:
    """Store all but every twentieth sample, and say nothing."""
    numbers = itertools.count()

    def forgetful(genuine: Callable[..., Any]) -> Callable[..., Any]:
        def append(tx: Any, samples: Sequence[Any], *counted: Any) -> Any:
            return genuine(tx, [one for one in samples if next(numbers) % 20], *counted)

        return append

    for name in ("append_samples", "append_samples_told"):
        replace_part(store, name, forgetful(getattr(store, name)))


def look_at_the_clock_late() -> None:
    """Look for polls whose time has come every four seconds instead of four times a second."""
    replace_part(service, "SLOT_S", 4.0)


def mute_the_bus() -> None:
    """Take every message for the bus and deliver none."""
    replace_part(MemoryBus, "publish", lambda _bus, _topic, _keys: None)


def issue_elsewhere() -> None:
    """Let commands be issued by another service over the same store, with no word to this one.

    So it is between two processes whose bus is silent: neither shares memory with the other.
    """
    mute_the_bus()
    genuine = app.Platform._build_features

    def build(platform: Any) -> None:
        genuine(platform)
        here = platform.commands
        elsewhere = CommandService(
            here._database,
            here._directory,
            here._fleet,
            here._presence,
            here._catalogue,
            platform.bus,
            here._clock,
        )
        here.issue_command = elsewhere.issue_command

    replace_part(app.Platform, "_build_features", build)


def accept_before_sending() -> None:
    """Take a push for accepted a moment before it is sent."""

    async def send(outbox: Any, to: Any, push: Any, lease_id: str, _began_s: float) -> None:
        try:
            accepted = Attempt(outbox._clock.now_ms(), Outcome.ACCEPTED)
            await outbox._note(push, lease_id, accepted)
            await asyncio.sleep(0.03)
            await outbox._courier.send(to, push)
        finally:
            outbox._sending.pop(push.push_no, None)
            outbox.wake()

    replace_part(PeerOutbox, "_send", send)


FAULTS = {
    plant.__name__: plant
    for plant in (
        answer_before_commit,
        compact_often,
        crash_without_connector,
        queue_for_the_slow,
        cache_little,
        ping_often,
        wear_out,
        drop_samples,
        forget_the_polls,
        start_slowly,
        look_at_the_clock_late,
        mute_the_bus,
        issue_elsewhere,
        accept_before_sending,
    )
}

if __name__ == "__main__":
    fault = sys.argv.pop(1)
    FAULTS[fault]()
    main(prog_name="tellus")
