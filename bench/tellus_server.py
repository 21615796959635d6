"""The platform as a user starts it, with chargers registered and a client made over its API."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import msgspec

from bench.processes import SERVER_CORE, Server, free_port, serving
from bench.wire import HttpConnection, call, get, post

# Enough for any load here; the windows of a device then hold up to ten times as many instants.
LIMIT_SCALE = 1_000
MODEL = "TP-DC180"
PROGRAM = [str(Path(sys.executable).with_name("tellus"))]
_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Charger:
    """A registered charger."""

    device_id: str
    token: str


@contextlib.contextmanager
def tellus(
    folder: Path,
    *,
    core: int | None = SERVER_CORE,
    limit_scale: int = LIMIT_SCALE,
    environment: dict[str, str] | None = None,
    program: Sequence[str] | None = None,
    arguments: Sequence[str] = (),
) -> Iterator[Server]:
    """Run ``tellus serve`` in its default configuration, registration open, limits scaled."""
    port = free_port()
    command = [
        *(program or PROGRAM), "serve",
        "--data-dir", str(folder / "data"), "--host", "127.0.0.1", "--port", str(port),
        "--registration", "open", "--limit-scale", str(limit_scale), *arguments,
    ]  # fmt: skip
    with serving(
        command,
        port,
        folder / "tellus.log",
        core=core,
        environment=environment,
        ready_path="/readyz",
        within_s=60,
    ) as server:
        yield server


async def register(port: int, count: int, prefix: str = "BENCH") -> list[Charger]:
    """Register ``count`` chargers through the public API and get each a token."""
    numbers = iter(range(count))
    chargers: list[Charger] = []

    async def work() -> None:
        connection = await HttpConnection.open(port)
        for number in numbers:
            charger = await _register(connection, f"{prefix}-{number:05d}")
            chargers.append(charger)
        connection.close()

    await asyncio.gather(*(work() for _ in range(min(_AT_ONCE, count))))
    return chargers


async def _register(connection: HttpConnection, sn: str) -> Charger:
    identity = {
        "sn": sn,
        "model": MODEL,
        "manufacturer": "Bench",
        "firmware_version": "4.1.0",
    }
    made = await call(connection, post("/v1/device/register", "", encode(identity)))
    credentials = {
        "device_id": made["device_id"],
        "device_secret": made["device_secret"],
        "grant_type": "client_credentials",
    }
    got = await call(connection, post("/v1/device/token", "", encode(credentials)))
    return Charger(made["device_id"], got["access_token"])


async def client_tokens(folder: Path, port: int, count: int = 1) -> list[str]:
    """Return access tokens of ``count`` new clients of the operator that open devices fall to."""
    admin = json.loads((folder / "data" / "admin.json").read_text())
    connection = await HttpConnection.open(port)
    credentials = {
        "client_id": admin["service_account_id"],
        "client_secret": admin["service_account_secret"],
        "grant_type": "client_credentials",
    }
    got = await call(connection, post("/v1/admin/oauth/token", "", encode(credentials)))
    token = got["access_token"]
    page = await call(connection, get("/v1/admin/operators", token))
    operator_id = page["items"][0]["operator_id"]
    tokens = []
    for _ in range(count):
        wish = {"operator_id": operator_id, "scopes": ["read", "write"]}
        made = await call(connection, post("/v1/admin/clients", token, encode(wish)))
        login = {
            "client_id": made["client_id"],
            "client_secret": made["client_secret"],
            "grant_type": "client_credentials",
        }
        got = await call(connection, post("/v1/operator/oauth/token", "", encode(login)))
        tokens.append(got["access_token"])
    connection.close()
    return tokens


def open_store(folder: Path) -> apsw.Connection:
    """Open the platform's database for reading."""
    path = folder / "data" / "tellus.db"
    return apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)


def stored_samples(folder: Path) -> int:
    """Return how many samples the store holds, in the recent log and in packed hours."""
    with contextlib.closing(open_store(folder)) as store:
        recent: int = store.execute("SELECT count(*) FROM samples").get
        packed: int = store.execute("SELECT coalesce(sum(samples), 0) FROM sample_hours").get
        return recent + packed


def encode(value: Any) -> bytes:
    """Return ``value`` as JSON."""
    return msgspec.json.encode(value)
