"""How quickly another operator's platform is answered while thousands of chargers are parked.

python -m bench.legacy [--parked 5000] [--seconds 10]
"""

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from bench.figures import Figure, at_most, format_figures, percentile
from bench.idle_connections import raise_file_limit
from bench.polling_fleet import PollingFleet
from bench.processes import Server
from bench.tellus_server import Charger, encode, register, tellus
from bench.wire import HttpConnection, call, get, post

RUNNER = "legacy"
CALLS_PER_S = 50
_START_GOAL_MS = 500
_STOP_GOAL_MS = 300
_NOWHERE = "https://127.0.0.1:9/v1"
_PATIENCE_S = 60.0


def _patch(path: str, token: str, body: bytes) -> bytes:
    return b"PATCH" + post(path, token, body).removeprefix(b"POST")


async def _make_peer(folder: Path, connection: HttpConnection) -> str:
    """Share the whole fleet with a peer whose own server is down; return the peer's token."""
    held = json.loads((folder / "data" / "admin.json").read_text())
    token = await _token(
        connection, "admin", held["service_account_id"], held["service_account_secret"]
    )
    page = await call(connection, get("/v1/admin/sites", token))
    site = page["items"][0]
    place = encode({"location": {"lat": 52.1, "lng": 5.1}})
    await call(connection, _patch(f"/v1/admin/sites/{site['site_id']}", token, place))
    wish = {"operator_id": site["operator_id"], "name": "bench", "push_url": _NOWHERE}
    made = await call(connection, post("/v1/admin/peers", token, encode(wish)))
    path = f"/v1/admin/peers/{made['peer_id']}/shares"
    await call(connection, post(path, token, encode({"site_id": site["site_id"]})))
    return await _token(connection, "operator", made["peer_id"], made["peer_secret"])


async def _token(connection: HttpConnection, surface: str, name: str, secret: str) -> str:
    login = {"client_id": name, "client_secret": secret, "grant_type": "client_credentials"}
    got = await call(connection, post(f"/v1/{surface}/oauth/token", "", encode(login)))
    return str(got["access_token"])


async def _ask(connection: HttpConnection, path: str, token: str, body: Any, word: str) -> float:
    """Make a call that has to be answered with ``word``; return how long it took (ms)."""
    began_s = time.perf_counter()
    status, answer = await connection.ask(post(path, token, encode(body)))
    took_ms = (time.perf_counter() - began_s) * 1e3
    if status != 200 or json.loads(answer)["Status"] != word:
        raise RuntimeError(f"{path} was answered {status}: {answer[:300]!r}")
    return took_ms


async def _drive(
    connection: HttpConnection, token: str, chargers: list[Charger], seconds: float
) -> tuple[list[float], list[float]]:
    """Start a charger and stop another, so many times a second; return what each took (ms)."""
    starts_ms: list[float] = []
    stops_ms: list[float] = []
    began_s = time.perf_counter()
    count = min(len(chargers), round(CALLS_PER_S * seconds))
    for number, charger in enumerate(chargers[:count]):
        await asyncio.sleep(began_s + number / CALLS_PER_S - time.perf_counter())
        place = {"ChargePointId": charger.device_id, "ConnectorId": 1}
        order = {"OrderId": f"bench-{charger.device_id}", **place}
        start, stop = "/v1/cp/start_charging", "/v1/cp/stop_charging"
        starts_ms.append(await _ask(connection, start, token, order, "STARTING"))
        stops_ms.append(await _ask(connection, stop, token, place, "Accept"))
    return starts_ms, stops_ms


async def _measure(folder: Path, server: Server, parked: int, seconds: float) -> list[Figure]:
    chargers = await register(server.port, parked)
    connection = await HttpConnection.open(server.port)
    token = await _make_peer(folder, connection)
    fleet = PollingFleet(chargers, reports=False)
    await fleet.connect(server.port)
    await fleet.park()
    await _drive(connection, token, chargers[:CALLS_PER_S], 1.0)
    starts_ms, stops_ms = await _drive(connection, token, chargers[CALLS_PER_S:], seconds)
    # Each start and each stop has reached its charger.
    await fleet.wait_for_commands(2 * (CALLS_PER_S + len(starts_ms)), _PATIENCE_S)
    fleet.leave()
    connection.close()
    what = f"{parked:,} parked and shared, peer's server down"
    return [
        Figure(RUNNER, f"{what}: start, p50", percentile(starts_ms, 0.5), "ms"),
        at_most(RUNNER, "... start, p99", percentile(starts_ms, 0.99), "ms", _START_GOAL_MS),
        Figure(RUNNER, "... stop, p50", percentile(stops_ms, 0.5), "ms"),
        at_most(RUNNER, "... stop, p99", percentile(stops_ms, 0.99), "ms", _STOP_GOAL_MS),
    ]


def measure(parked: int = 5_000, seconds: float = 10.0) -> list[Figure]:
    """Measure on one processor, beside the clients on the other."""
    raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="tellus-bench-") as name, tellus(Path(name)) as server:
        return uvloop.run(_measure(Path(name), server, parked, seconds))


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--parked", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    print(format_figures(measure(given.parked, given.seconds)))


if __name__ == "__main__":
    main()
