"""Raw conversations: what the cases are, how answers are read, what is found in them."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.contract.raw import RawCase, RawOutcome, parse_answers, play, problems
from tests.contract.raw_cases import raw_cases, well_formed
from tests.contract.samples import failure, text

_HEADERS = (
    b"Date: Mon, 02 Jun 2025 11:00:00 GMT\r\nX-Request-Id: r1\r\nContent-Type: application/json\r\n"
)


def _answer(status: int, body: bytes) -> bytes:
    length = f"Content-Length: {len(body)}\r\n\r\n".encode()
    return f"HTTP/1.1 {status} Said\r\n".encode() + _HEADERS + length + body


@contextmanager
def _server(reply: bytes, *, stay_open: bool = False) -> Iterator[int]:
    """Answers one connection with fixed bytes, whatever it is sent; yields its port."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(reply)
                if stay_open:
                    done.wait(5.0)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            done.set()
            thread.join()


def _case(**changes: object) -> RawCase:
    base: dict[str, object] = {
        "what": "x",
        "chunks": ((0.0, b"x"),),
        "acceptable": frozenset({400}),
    }
    return RawCase(**{**base, **changes})  # type: ignore[arg-type]


def test_raw_cases__same_seed__gives_the_same_cases() -> None:
    """The list is long, its names are unique, and it can be repeated."""
    cases = raw_cases(1)
    assert cases == raw_cases(1)
    assert len({case.what for case in cases}) == len(cases) > 120
    assert len(raw_cases(1, stall_s=1.0)) == len(cases) + 5


def test_parse_answers__pipelined_chunked_and_100__are_told_apart() -> None:
    """Several answers in one stream are read one by one, and an unfinished one is left over."""
    chunked = b"HTTP/1.1 400 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    stream = b"HTTP/1.1 100 Continue\r\n\r\n" + _answer(401, b"{}") + chunked + b"HTTP/1.1 2"
    answers, rest = parse_answers(stream)
    assert [(status, body) for status, _, body in answers] == [(401, b"{}"), (400, b"abc")]
    assert rest == b"HTTP/1.1 2"


def test_problems__refusal_in_the_envelope__are_none() -> None:
    """An orderly refusal, or a plain close, is all that is asked for."""
    with _server(_answer(400, text(failure(1001)))) as port:
        outcome = play(_case(), "127.0.0.1", port)
    assert outcome.statuses == [400]
    assert list(problems(_case(), outcome)) == []
    assert list(problems(_case(), RawOutcome(closed=True))) == []


@pytest.mark.parametrize(
    ("reply", "changes", "said"),
    [
        (_answer(500, text(failure(9001))), {}, "answered with 500"),
        (_answer(400, b"Bad Request"), {}, "not JSON"),
        (b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n", {}, "X-Request-Id"),
        (b"Traceback (most recent call last)", {}, "no HTTP answer"),
        (b"", {"may_close": False}, "closed without an answer"),
        (_answer(400, text(failure(1001))), {"answers": 2}, "1 answers instead of 2"),
    ],
)
def test_problems__bad_behaviour__is_named(
    reply: bytes, changes: dict[str, object], said: str
) -> None:
    """Negative controls: server errors, foreign bodies and missing answers are found."""
    case = _case(**changes)
    with _server(reply) as port:
        outcome = play(case, "127.0.0.1", port)
    assert any(said in line for line in problems(case, outcome)), list(problems(case, outcome))


def test_problems__server_that_falls_silent__hangs() -> None:
    """Negative control: a server that neither answers nor closes is found."""
    with _server(b"", stay_open=True) as port:
        outcome = play(_case(), "127.0.0.1", port, silence_s=0.2)
    assert any("hangs" in line for line in problems(_case(), outcome))


def test_play__slow_chunks__answer_in_between_is_kept() -> None:
    """What the server says during a pause is not lost."""
    case = _case(chunks=((0.0, well_formed()), (0.2, b"more")), acceptable=frozenset({400}))
    with _server(_answer(400, text(failure(1001)))) as port:
        outcome = play(case, "127.0.0.1", port, silence_s=1.0)
    assert outcome.statuses == [400]
