"""The stream reader, against a small WebSocket server."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from tests.contract.client import Refused
from tests.contract.exchange_log import ExchangeLog
from tests.contract.samples import FRAME, HEADERS, failure, text
from tests.contract.stream import open_stream

Talk = Callable[[ServerConnection], None]


@contextmanager
def _server(talk: Talk, refusal: dict[str, Any] | None = None) -> Iterator[str]:
    def refuse(connection: ServerConnection, request: Request) -> Response | None:
        if refusal is None:
            return None
        body = text(refusal)
        headers = Headers({**HEADERS, "Content-Length": str(len(body))})
        return Response(404, "Not Found", headers, body)

    with serve(talk, "127.0.0.1", 0, process_request=refuse) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()


def _two_frames(connection: ServerConnection) -> None:
    connection.send(json.dumps(FRAME))
    connection.send(json.dumps({**FRAME, "asked": connection.request.path}))  # type: ignore[union-attr]
    connection.close(4409, "replaced")


def test_open_stream__frames_as_promised__are_returned() -> None:
    """Frames come one by one, then the close code of the server."""
    log = ExchangeLog()
    with (
        _server(_two_frames) as url,
        open_stream(url, ["a", "b"], "to ken", in_query=True, log=log) as stream,
    ):
        assert stream.read() == FRAME
        asked = stream.read()["asked"]
        assert asked == "/v1/operator/stream?devices=a,b&token=to%20ken"
        assert stream.closing() == (4409, "replaced")
    assert log.seen["GET /v1/operator/stream", 101] == 1


def test_open_stream__frame_out_of_shape__raises() -> None:
    """Negative control: a frame that breaks the contract fails the test that reads it."""
    with (
        _server(lambda connection: connection.send('{"device_id": "a"}')) as url,
        open_stream(url, ["a"], "t", log=ExchangeLog()) as stream,
        pytest.raises(AssertionError, match="contract requires"),
    ):
        stream.read()


def test_open_stream__refused__gives_the_judged_answer() -> None:
    """A refusal before the upgrade comes as an answer in the envelope."""
    log = ExchangeLog()
    with _server(_two_frames, failure(3001)) as url, pytest.raises(Refused) as refused:
        open_stream(url, ["a"], "t", log=log)
    assert (refused.value.reply.status, refused.value.reply.code) == (404, 3001)
    assert log.seen["GET /v1/operator/stream", 404] == 1


def test_open_stream__refused_outside_the_contract__raises() -> None:
    """Negative control: a refusal with a code that does not go with its status is found."""
    with (
        _server(_two_frames, failure(2003)) as url,
        pytest.raises(AssertionError, match="does not go with"),
    ):
        open_stream(url, ["a"], "t", log=ExchangeLog())
