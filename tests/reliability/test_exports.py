"""Files of 200,000 rows: bounded memory, no pinned snapshot, an end only where there is one."""

import csv
import os
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tellus.kernel.limits import FILES_PER_CLIENT
from tests.api.tenancy import Charger, Tenant, new_tenant, record, sample
from tests.contract.client import ContractClient
from tests.databases import POSTGRES, Choice, database_url
from tests.reliability.broken_server import start_broken
from tests.reliability.process_figures import resident_bytes
from tests.server import RunningServer, running_server

ROWS = int(os.environ.get("TELLUS_TEST_EXPORT_ROWS", "200000"))
PATH = "/v1/operator/charging-records"
GROWTH_BYTES = 48 * 1024 * 1024
SMALL_BUFFER_BYTES = 16 * 1024

_POWERS_KW = count(1)

_PAGES_WITHOUT_BOUND = """
from tellus.sessions import operator_api_export
operator_api_export.PAGE_ROWS = 10**9
"""
_SECOND_PAGE_FAILS = """
from tellus.sessions.service import RecordService
genuine = RecordService.read_part
async def read_part(self, wanted, vin_mode, *, limit, position):
    if position is not None:
        raise OSError("planted")
    return await genuine(self, wanted, vin_mode, limit=limit, position=position)
RecordService.read_part = read_part
"""


@dataclass
class Archive:
    """A tenant with a great many records of one charger."""

    server: RunningServer
    tenant: Tenant
    charger: Charger

    def head(self) -> dict[str, str]:
        """What a call for a file carries."""
        return {"authorization": f"Bearer {self.tenant.client.token}", "accept": "text/csv"}


def make_archive(server: RunningServer, contract: ContractClient, rows: int) -> Archive:
    """Store one record by the API and copy it in the database, to a connector left alone."""
    tenant = new_tenant(server, contract)
    charger = tenant.charger()
    charger.send("charging-records", record(stop_reason="user_request"))
    head = (
        "device_no, operator_id, site_id, device_id, energy_kwh,"
        " max_power_kw, meter_start_kwh, meter_end_kwh, flags, extras, fingerprint, received_ms"
    )
    copy = (
        f"INSERT INTO charging_records (record_id, connector_id, start_ms, end_ms, {head})"
        " SELECT 'copy-' || k, 2, start_ms - 3600000 * CAST(k / 3 AS BIGINT),"
        f" end_ms - 3600000 * CAST(k / 3 AS BIGINT), {head} FROM charging_records,"
        f" (WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < {rows - 1})"
        " SELECT k FROM n) AS numbers"
        f" WHERE operator_id = '{tenant.operator_id}' AND record_id NOT LIKE 'copy-%'"
    )
    if Choice.kind == POSTGRES:
        with psycopg.connect(database_url(server.data_dir)) as connection:
            connection.execute(copy)
    else:
        with closing(sqlite3.connect(server.data_dir / "tellus.db", timeout=30)) as store:
            store.execute(copy)
            store.commit()
    return Archive(server, tenant, charger)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """A platform with 200,000 records."""
    with (
        running_server(tmp_path_factory.mktemp("export") / "data") as server,
        ContractClient(server.base_url) as contract,
    ):
        yield make_archive(server, contract, ROWS)


@contextmanager
def broken_archive(folder: Path, source: str, rows: int) -> Iterator[Archive]:
    """The same on a platform that runs this Python first."""
    server = start_broken(folder / "data", source)
    try:
        with ContractClient(server.base_url) as contract:
            yield make_archive(server, contract, rows)
    finally:
        server.stop()


@contextmanager
def slow_reader(archive: Archive) -> Iterator[tuple[socket.socket, bytes]]:
    """A caller of the file that has read its first bytes, and reads no further by itself."""
    url = httpx.URL(archive.server.base_url)
    caller = socket.socket()
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
    with closing(caller):
        caller.connect((url.host, url.port))
        lines = [f"GET {PATH} HTTP/1.1", "host: localhost"]
        lines += [f"{name}: {value}" for name, value in archive.head().items()]
        caller.sendall("\r\n".join([*lines, "", ""]).encode())
        first = caller.recv(4096)
        assert first.startswith(b"HTTP/1.1 200")
        yield caller, first


def fetch(archive: Archive) -> tuple[int, int, bytes]:
    """Read a file; return rows (with the header), the server's memory at its largest, the end."""
    pid = archive.server.process.pid
    largest, rows, last = 0, 0, b""
    with httpx.stream(
        "GET", archive.server.base_url + PATH, headers=archive.head(), timeout=60, trust_env=False
    ) as answer:
        assert answer.status_code == 200
        for number, part in enumerate(answer.iter_bytes(65536)):
            rows += part.count(b"\n")
            last = part
            if number % 16 == 0:
                largest = max(largest, resident_bytes(pid))
    return rows, largest, last


def pinned_pages(archive: Archive) -> int:
    """How much of the log of writes is held back by readers: pages, or snapshots in PostgreSQL."""
    if Choice.kind == POSTGRES:
        with psycopg.connect(database_url(archive.server.data_dir)) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"
            ).fetchone()
            return int(row[0]) if row else 0
    with closing(sqlite3.connect(archive.server.data_dir / "tellus.db", timeout=30)) as store:
        _, pages, moved = store.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return int(pages - moved)


def write_samples(charger: Charger, samples: int) -> None:
    """Have a charger send samples, so that the log of writes grows."""
    for _ in range(0, samples, 500):
        times = [f"2025-07-01T00:{n // 60 % 60:02}:{n % 60:02}.{n:03}Z" for n in range(500)]
        items = [sample(timestamp=time, power=float(next(_POWERS_KW))) for time in times]
        charger.send("telemetry/batch", {"items": items})


def join_chunks(body: bytes) -> bytes:
    """The body that came in chunks (RFC 9112, section 7.1)."""
    joined, place, size = bytearray(), 0, 1
    while size:
        line_end = body.index(b"\r\n", place)
        size = int(body[place:line_end], 16)
        joined += body[line_end + 2 : line_end + 2 + size]
        place = line_end + 2 + size + 2
    return bytes(joined)


def wait_until(holds: Any, within_s: float = 10.0) -> None:
    """Wait until something holds, or fail."""
    until_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until_s, "it does not come true"
        time.sleep(0.05)


def test_export__of_200_000_rows__takes_bounded_memory(archive: Archive) -> None:
    """All rows come, each once, and the platform never holds more than a few pages of them."""
    fetch(make_archive(archive.server, archive.tenant.contract, 10_000))  # what a first file keeps
    before = resident_bytes(archive.server.process.pid)
    began_s = time.monotonic()
    rows, largest, last = fetch(archive)
    took_s = time.monotonic() - began_s
    grown = largest - before
    print(f"{rows - 1} rows in {took_s:.1f} s, memory grew by {grown / 2**20:.1f} MiB")
    assert rows == ROWS + 1
    assert last.endswith(b"\r\n")
    assert grown < GROWTH_BYTES


def test_export__of_a_platform_that_holds_it_all__is_seen_to_grow(tmp_path: Path) -> None:
    """The measurement bites: a platform that reads the whole list first holds far more."""
    number = min(ROWS, 60_000)
    with broken_archive(tmp_path, _PAGES_WITHOUT_BOUND, number) as archive:
        fetch(make_archive(archive.server, archive.tenant.contract, 10_000))
        before = resident_bytes(archive.server.process.pid)
        rows, largest, _ = fetch(archive)
    print(f"without pages: {number} rows, memory grew by {(largest - before) / 2**20:.1f} MiB")
    assert rows == number + 1
    assert largest - before > GROWTH_BYTES


def test_export__slow_reader__pins_nothing_and_holds_up_nobody(archive: Archive) -> None:
    """While a caller does not read on, others write and the log of writes can be folded."""
    with slow_reader(archive):
        write_samples(archive.charger, 2_000)
        wait_until(lambda: pinned_pages(archive) == 0)
        reply = archive.tenant.api.get(PATH, params={"size": 1}, expect=200)
        assert reply.data["total"] == ROWS


def test_pinned_pages__beside_a_reader_that_holds_its_snapshot__are_counted(
    archive: Archive,
) -> None:
    """The measurement bites: a snapshot that stays open holds the log of writes back."""
    if Choice.kind == POSTGRES:
        holder: Any = psycopg.connect(database_url(archive.server.data_dir))
    else:
        holder = sqlite3.connect(archive.server.data_dir / "tellus.db", isolation_level=None)
        holder.execute("BEGIN")
    with closing(holder):
        holder.execute("SELECT count(*) FROM devices").fetchall()
        write_samples(archive.charger, 1_000)
        assert pinned_pages(archive) > 0


def test_export__slow_reader__gets_all_of_it_once_it_reads(archive: Archive) -> None:
    """Whoever pauses and reads on has the same file as everybody else."""
    some = make_archive(archive.server, archive.tenant.contract, 20_000)
    with slow_reader(some) as (caller, first):
        time.sleep(1.0)
        received = bytearray(first)
        while not received.endswith(b"\r\n0\r\n\r\n"):
            part = caller.recv(1 << 20)
            assert part, "the connection ended before the file"
            received += part
    body = join_chunks(bytes(received).partition(b"\r\n\r\n")[2])
    assert body.count(b"user_request") == 20_000


def test_export__caller_who_leaves__is_read_for_no_longer(archive: Archive) -> None:
    """A client may take four files at a time; those that it gave up are none of them."""
    with ExitStack() as held:
        for _ in range(FILES_PER_CLIENT):
            held.enter_context(slow_reader(archive))
        url = archive.server.base_url + PATH
        answer = httpx.get(url, headers=archive.head(), trust_env=False)
        assert (answer.status_code, answer.json()["code"]) == (429, 5001)
    wait_until(lambda: _begins(archive))


def _begins(archive: Archive) -> bool:
    with httpx.stream(
        "GET", archive.server.base_url + PATH, headers=archive.head(), trust_env=False
    ) as answer:
        return answer.status_code == 200


def test_export__client_revoked_on_the_way__gets_no_end(archive: Archive) -> None:
    """A file that its client may no longer have breaks off."""
    client = archive.tenant.client_with()
    headers = archive.head() | {"authorization": f"Bearer {client.token}"}
    url = archive.server.base_url + PATH
    with httpx.stream("GET", url, headers=headers, trust_env=False) as answer:
        parts = answer.iter_bytes(65536)
        next(parts)
        archive.server.admin("DELETE", f"/v1/admin/clients/{client.client_id}")
        with pytest.raises(httpx.RemoteProtocolError):
            list(parts)


def test_export__failure_on_the_way__ends_without_an_end(tmp_path: Path) -> None:
    """A page that cannot be read breaks the connection: nobody takes a part for the whole."""
    with broken_archive(tmp_path, _SECOND_PAGE_FAILS, 12_000) as archive:
        with pytest.raises(httpx.RemoteProtocolError):
            fetch(archive)
        url, query = archive.server.base_url + PATH, {"start_time": "2025-06-02T09:00:00Z"}
        short = httpx.get(url, params=query, headers=archive.head(), trust_env=False)
        assert len(list(csv.reader(short.text.splitlines()))) == 1 + 3
