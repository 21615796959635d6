"""How the server stops, by request and by signal."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.api.server.conftest import Serve

PROGRAM = Path(__file__).with_name("serving.py")


def test_stop__with_a_parked_poll__answers_it_and_closes(serve: Serve) -> None:
    """A parked poll gets its empty answer, marked as the last one on its connection."""
    rig = serve()
    with rig.connect() as peer:
        peer.send(b"GET /park HTTP/1.1\r\n\r\n")
        rig.eventually(lambda: rig.app.parked)
        rig.server.request_stop()
        answer = peer.read()
        assert (answer.status, answer.json) == (200, {"data": None})
        assert answer.headers["connection"] == "close"
        assert peer.is_closed()
    rig.thread.join(10)
    assert rig.app.stopped
    assert rig.app.drain.draining


def test_stop__with_idle_connections__closes_them_and_accepts_no_more(serve: Serve) -> None:
    """Idle peers are let go, newcomers find the port closed."""
    rig = serve()
    with rig.connect() as peer:
        peer.send(b"GET /ok HTTP/1.1\r\n\r\n")
        assert peer.read().status == 200
        rig.server.request_stop()
        assert peer.is_closed()
    rig.thread.join(10)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", rig.port), 5)


def test_stop__while_streams_are_closing__still_answers_on_open_connections(serve: Serve) -> None:
    """Between the first and the last close the door is shut but those inside are served."""
    rig = serve(stream_close_spread_s=1.5)
    with rig.connect() as peer, rig.connect() as one, rig.connect() as two:
        one.upgrade("/echo")
        two.upgrade("/echo")
        peer.send(b"GET /ok HTTP/1.1\r\n\r\n")
        assert "connection" not in peer.read().headers
        rig.server.request_stop()
        rig.eventually(lambda: rig.app.drain.draining)
        peer.send(b"GET /ok HTTP/1.1\r\n\r\n")
        answer = peer.read()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert {one.close_code(), two.close_code()} == {1012}


def test_stop__with_many_streams__spreads_their_ends(serve: Serve) -> None:
    """Streams end one after the other, so that they do not come back in one moment."""
    rig = serve(stream_close_spread_s=1.0)
    peers = []
    with rig.connect() as a, rig.connect() as b, rig.connect() as c, rig.connect() as d:
        for peer in (a, b, c, d):
            peer.upgrade("/echo")
            peers.append(peer)
        rig.server.request_stop()
        rig.eventually(lambda: len(rig.server.guard.streams) == 2)
        assert [peer.close_code() for peer in peers] == [1012] * 4
    rig.eventually(lambda: rig.app.left == ["1012"] * 4)


def test_stop__with_a_request_that_never_ends__breaks_it_off_in_time(serve: Serve) -> None:
    """What does not end within its time is answered with 503 and the application is shut down."""
    rig = serve(drain_requests_s=0.3)
    with rig.connect() as peer:
        peer.send(b"GET /deaf HTTP/1.1\r\n\r\n")
        rig.eventually(lambda: rig.app.parked)
        rig.server.request_stop()
        peer.read().assert_refusal(503, 9001)
    rig.thread.join(10)
    assert not rig.thread.is_alive()
    assert rig.app.stopped


def test_stop__with_a_hook_that_fails_or_hangs__goes_on(serve: Serve) -> None:
    """One hook's trouble holds up neither the others nor the stop."""
    import asyncio  # noqa: PLC0415

    async def fail() -> None:
        raise LookupError("a planted bug")

    async def hang() -> None:
        await asyncio.sleep(3600)

    rig = serve(drain_hooks_s=0.2)
    rig.app.drain.on_drain(fail)
    rig.app.drain.on_drain(hang)
    rig.server.request_stop()
    rig.thread.join(10)
    assert rig.app.stopped
    assert [event for event, _ in rig.logged].count("drain_hook_failed") == 2


def test_stop__with_a_slow_sender__does_not_wait_for_it(serve: Serve) -> None:
    """Deadlines hold during draining as well."""
    rig = serve(drain_requests_s=20.0)
    with rig.connect() as peer:
        peer.send(b"POST /ok HTTP/1.1\r\nContent-Length: 5\r\n\r\n")
        rig.eventually(lambda: rig.app.started)
        rig.server.request_stop()
        peer.read().assert_refusal(408, 1001)
    rig.thread.join(10)
    assert rig.app.stopped


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal__while_serving__ends_in_order_with_exit_code_0(number: signal.Signals) -> None:
    """The operating system's way to stop is an orderly one."""
    with _program("/park") as (program, port):
        with socket.create_connection(("127.0.0.1", port), 10) as sock:
            sock.sendall(b"GET /park HTTP/1.1\r\n\r\n")
            assert program.stdout is not None
            assert program.stdout.readline() == "parked\n"
            program.send_signal(number)
            assert sock.recv(4096).startswith(b"HTTP/1.1 200")
        assert program.wait(15) == 0
        assert program.stdout.read().splitlines()[-1] == f"stopped by {number.name}"


def test_second_signal__while_draining__forces_the_end() -> None:
    """Whoever asks twice does not wait for the slow ones."""
    with (
        _program("/deaf") as (program, port),
        socket.create_connection(("127.0.0.1", port)) as sock,
    ):
        sock.sendall(b"GET /deaf HTTP/1.1\r\n\r\n")
        assert program.stdout is not None
        assert program.stdout.readline() == "parked\n"
        began = time.monotonic()
        program.send_signal(signal.SIGTERM)
        assert program.stdout.readline() == "server_draining\n"
        program.send_signal(signal.SIGTERM)
        assert program.wait(15) == 0
        assert time.monotonic() - began < 15


class _program:  # noqa: N801 - used like a function
    """The server in a process of its own."""

    def __init__(self, path: str) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        self.process = subprocess.Popen(
            [sys.executable, PROGRAM], stdout=subprocess.PIPE, text=True, env=environment
        )

    def __enter__(self) -> tuple[subprocess.Popen[str], int]:
        assert self.process.stdout is not None
        return self.process, int(self.process.stdout.readline())

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
