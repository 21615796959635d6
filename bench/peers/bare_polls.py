"""Long-polls on bare uvicorn: who may ask is not checked, nothing is stored, a wake-up is a future.

What the platform costs beyond this is authentication, limits, the queue, the lease and the disk.
"""

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import uvicorn

from bench.processes import SERVER_CORE, Server, free_port, serving

_parked: dict[bytes, asyncio.Future[bytes]] = {}
_numbers = count()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Park a GET under its bearer token; a POST wakes the one whose token stands in its path."""
    await receive()
    if scope["method"] == "GET":
        token = next(value for name, value in scope["headers"] if name == b"authorization")
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        _parked[token.rpartition(b" ")[2]] = future
        body = await future
    else:
        body = b'{"data":{"command_id":"cmd_%d"}}' % next(_numbers)
        waiting = _parked.pop(scope["path"].split("/")[4].encode(), None)
        if waiting is not None:
            waiting.set_result(body)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextlib.contextmanager
def bare_polls(folder: Path, core: int | None = SERVER_CORE) -> Iterator[Server]:
    """Run the application on uvicorn."""
    port = free_port()
    command = [sys.executable, "-m", "bench.peers.bare_polls", str(port)]
    with serving(command, port, folder / "bare_polls.log", core=core) as server:
        yield server


if __name__ == "__main__":
    uvicorn.run(
        application,
        port=int(sys.argv[1]),
        http="httptools",
        loop="uvloop",
        lifespan="off",
        access_log=False,
        log_level="error",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
        backlog=4096,
    )
