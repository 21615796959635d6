"""Rows per second through the writer's connection, by batch size and by what a batch does.

Three parts. First the statements alone, on one thread: samples, with RETURNING, with the live state
of connectors. Then the same while another thread keeps the interpreter busy, as an event loop under
load does: each SQLite step then waits for the interpreter lock, so few large statements win. Last
the whole path, ``submit`` from many tasks to durable and back.

    python -m bench.storage_rows [--seconds 0.5] [--folder DIR]
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop

from bench.figures import Figure
from tellus.kernel.clock import SystemClock
from tellus.storage.database import Tx
from tellus.storage.migrate import load_migrations
from tellus.storage.sqlite import SQLiteDatabase
from tellus.storage.sqlite_connection import Location, open_writer, require_durable
from tellus.storage.sqlite_schema import migrate
from tellus.storage.sqlite_tx import SQLiteTx

SAMPLES = "INSERT INTO samples (time_ms, device_no, connector_id, digest, received_ms, content)"
STATE = "INSERT INTO connector_state (device_no, connector_id, time_ms, state, content)"
NEWER = (
    "ON CONFLICT (device_no, connector_id) DO UPDATE SET time_ms = excluded.time_ms, "
    "state = excluded.state, content = excluded.content "
    "WHERE excluded.time_ms > connector_state.time_ms"
)
KEY = "time_ms, device_no, connector_id, digest"
SIZES = (1, 8, 64, 256, 512, 1_000)
DEVICES = 10_000
CONTENT_BYTES = 80

Sample = tuple[int, int, int, int, int, bytes]
Apply = Callable[[Tx, Sequence[Sample]], Any]


class Samples:
    """An endless fleet: each device once per round of 5 s."""

    def __init__(self) -> None:
        self._number = 0
        self._rng = random.Random(1)

    def take(self, count: int) -> list[Sample]:
        """Return the next ``count`` samples."""
        taken = []
        for _ in range(count):
            self._number += 1
            rounds, device_no = divmod(self._number, DEVICES)
            time_ms = 1_742_031_000_000 + rounds * 5_000 + device_no // 2
            digest = self._rng.getrandbits(62)
            content = self._rng.randbytes(CONTENT_BYTES)
            taken.append((time_ms, device_no, 1, digest, time_ms + 40, content))
        return taken


def store_samples(tx: Tx, samples: Sequence[Sample]) -> None:
    """Insert on the natural key."""
    tx.insert_many(SAMPLES, samples, "ON CONFLICT DO NOTHING")


def store_returning(tx: Tx, samples: Sequence[Sample]) -> None:
    """Likewise, and read back which were new."""
    tx.insert_returning(SAMPLES, samples, f"ON CONFLICT DO NOTHING RETURNING {KEY}")


def store_after_look(tx: Tx, samples: Sequence[Sample]) -> None:
    """Ask first which are known, then insert: few rows come back."""
    values: list[Any] = []
    marks = []
    for sample in samples:
        marks.append("(" + ",".join(f"${len(values) + n}" for n in (1, 2, 3, 4)) + ")")
        values += sample[:4]
    tx.rows(
        f"WITH wanted (t, d, c, g) AS (VALUES {','.join(marks)}) "
        "SELECT t, d, c, g FROM wanted CROSS JOIN samples "
        "ON time_ms = t AND device_no = d AND connector_id = c AND digest = g",
        *values,
    )
    store_samples(tx, samples)


def store_with_state(tx: Tx, samples: Sequence[Sample]) -> None:
    """Insert the samples and let the connectors' live state follow."""
    store_samples(tx, samples)
    states = [(d, c, t, "charging", content) for t, d, c, _, _, content in samples]
    tx.insert_many(STATE, states, NEWER)


VARIANTS: dict[str, Apply] = {
    "samples": store_samples,
    "samples RETURNING": store_returning,
    "look, then samples": store_after_look,
    "samples + live state": store_with_state,
}


@contextmanager
def busy_interpreter() -> Iterator[None]:
    """Keep a second thread in Python code all the time."""
    ended = threading.Event()

    def spin() -> None:
        while not ended.is_set():
            json.loads('{"power_kw": [1, 2, 3]}')

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def measure_batches(folder: Path, apply: Apply, size: int, seconds: float) -> tuple[float, float]:
    """Return rows per second and milliseconds per committed batch on a fresh database."""
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        connection = open_writer(Location(Path(fresh) / "bench.db"))
        require_durable(connection)
        connection.wal_autocheckpoint(1_000)
        migrate(connection, load_migrations(), SystemClock())
        tx = SQLiteTx(connection)
        samples = Samples()
        batches, spent_s = 0, 0.0
        while spent_s < seconds:
            batch = samples.take(size)
            begun_s = time.perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            apply(tx, batch)
            connection.execute("COMMIT")
            spent_s += time.perf_counter() - begun_s
            batches += 1
        stored = connection.execute("SELECT count(*) FROM samples").get
        assert stored == batches * size, (stored, batches, size)
        connection.close()
        return batches * size / spent_s, spent_s / batches * 1_000


class SampleKind:
    """The hot kind of the whole path."""

    name = "bench-samples"

    def __init__(self, apply: Apply) -> None:
        self._apply = apply

    def apply_many(self, tx: Tx, operations: Sequence[Any]) -> list[Any]:
        """Store the samples; every outcome is "stored"."""
        self._apply(tx, operations)
        return [True] * len(operations)

    def after_commit(self, operations: Sequence[Any], outcomes: Sequence[Any]) -> None:
        """Nothing follows."""


async def measure_path(folder: Path, apply: Apply, tasks: int, seconds: float) -> tuple[float, ...]:
    """Return what ``tasks`` submitters see.

    Operations per second, p50 and p99 in milliseconds, operations per batch, milliseconds per
    checkpoint.
    """
    with tempfile.TemporaryDirectory(dir=folder) as fresh:
        async with SQLiteDatabase.open(Path(fresh) / "bench.db") as database:
            samples, kind = Samples(), SampleKind(apply)
            waits_s: list[float] = []
            deadline_s = time.perf_counter() + seconds

            async def work() -> None:
                while (begun_s := time.perf_counter()) < deadline_s:
                    await database.submit(kind, samples.take(1)[0])
                    waits_s.append(time.perf_counter() - begun_s)

            begun_s = time.perf_counter()
            await asyncio.gather(*(work() for _ in range(tasks)))
            took_s = time.perf_counter() - begun_s
            stored = await database.read(lambda tx: tx.rows("SELECT count(*) FROM samples"))
            assert stored == [(len(waits_s),)]
            stats = database.stats
            copied_ms = 1_000 * stats.checkpoint_seconds.total / max(1, stats.checkpoints)
            batch = len(waits_s) / stats.batches
            waits_s.sort()
            p50_s, p99_s = (waits_s[int(len(waits_s) * share)] for share in (0.5, 0.99))
            return len(waits_s) / took_s, p50_s * 1_000, p99_s * 1_000, batch, copied_ms


def report(folder: Path, seconds: float) -> None:
    """Run all parts and print them."""
    print(f"{'':24}" + "".join(f"{size:>16}" for size in SIZES))
    for busy in (False, True):
        print("rows/s (ms per batch), " + ("interpreter busy" if busy else "interpreter idle"))
        for name, apply in VARIANTS.items():
            cells = []
            for size in SIZES:
                if busy:
                    with busy_interpreter():
                        rate, batch_ms = measure_batches(folder, apply, size, seconds)
                else:
                    rate, batch_ms = measure_batches(folder, apply, size, seconds)
                cells.append(f"{rate:9,.0f} ({batch_ms:4.1f})")
            print(f"  {name:22}" + "".join(f"{cell:>16}" for cell in cells))
    print("whole path: operations/s, p50 ms, p99 ms, operations/batch, ms/checkpoint")
    for name in ("samples", "samples + live state"):
        for tasks in (1, 64, 256, 1_000):
            path = measure_path(folder, VARIANTS[name], tasks, max(seconds, 1.0))
            figures = "".join(f"{figure:12,.2f}" for figure in uvloop.run(path))
            print(f"  {name:22}{tasks:6} tasks{figures}")


def measure(seconds: float = 0.3) -> list[Figure]:
    """Return the rows that matter most, for the table of the whole programme."""
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)
    folder = Path(tempfile.gettempdir())
    figures = []
    try:
        for size in (1, 64, 512):
            rate, batch_ms = measure_batches(folder, store_with_state, size, seconds)
            name = f"samples + live state, {size} in a batch"
            figures.append(Figure("storage_rows", name, rate, "rows/s"))
            figures.append(Figure("storage_rows", f"{name}, each batch", batch_ms, "ms"))
        for tasks in (64, 256):
            path = measure_path(folder, store_with_state, tasks, max(seconds, 1.0))
            rate, _, p99_ms, *_ = uvloop.run(path)
            name = f"submit to durable, {tasks} tasks"
            figures.append(Figure("storage_rows", name, rate, "operations/s"))
            figures.append(Figure("storage_rows", f"{name}, p99", p99_ms, "ms"))
    finally:
        sys.setswitchinterval(interval_s)
    return figures


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=float, default=0.5, help="per cell")
    parser.add_argument("--folder", type=Path, help="on the disk to measure")
    arguments = parser.parse_args()
    sys.setswitchinterval(0.0005)
    report(arguments.folder or Path(tempfile.gettempdir()), arguments.seconds)


if __name__ == "__main__":
    main()
