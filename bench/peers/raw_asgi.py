"""The same server, the same body parsed into the same type, nothing checked and nothing stored.

What the platform costs beyond this is authentication, limits, keys, state and the disk.
"""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from bench.processes import Server, free_port, serving
from tellus.surfaces.guard.server import build_server
from tellus.telemetry.device_api import TelemetryUpload

_ANSWER = b'{"code":0,"message":"success","data":null}'
_HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", b"%d" % len(_ANSWER)),
]
_decode = msgspec.json.Decoder(TelemetryUpload).decode


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer a POST once its body is a sample."""
    if scope["type"] == "lifespan":
        while True:
            step = (await receive())["type"]
            await send({"type": f"{step}.complete"})
            if step == "lifespan.shutdown":
                return
    message = await receive()
    body = message["body"]
    while message["more_body"]:
        message = await receive()
        body += message["body"]
    _decode(body)
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _ANSWER})


@contextlib.contextmanager
def raw_asgi(folder: Path) -> Iterator[Server]:
    """Run the application on the platform's own server."""
    port = free_port()
    command = [sys.executable, "-m", "bench.peers.raw_asgi", str(port)]
    with serving(command, port, folder / "raw_asgi.log") as server:
        yield server


if __name__ == "__main__":
    build_server(application, port=int(sys.argv[1])).run()
