"""Malformed HTTP itself: bytes on a socket that no proper client would send.

A case is a list of (pause, bytes) to send; `play` sends them and reads what comes back until the
server closes or falls silent. What each answer holds is judged by the contract checker.
"""

import select
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.contract.checker import check_exchange

_READ_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class RawCase:
    """One conversation. `acceptable` lists the statuses any answer in it may have.

    `answers` is how many answers must come, where that is certain; `may_close` allows none at
    all. With `half_close` the sending side is shut after the last byte, as a dying client does.
    """

    what: str
    chunks: tuple[tuple[float, bytes], ...]
    acceptable: frozenset[int]
    may_close: bool = True
    answers: int | None = None
    half_close: bool = False
    method: str = "POST"
    target: str = "/v1/raw"


@dataclass(slots=True)
class RawOutcome:
    """What came back: each answer's status, headers and body; whether the server closed."""

    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    closed: bool = False
    rest: bytes = b""
    elapsed_s: float = 0.0

    @property
    def statuses(self) -> list[int]:
        """The HTTP statuses in order."""
        return [status for status, _, _ in self.answers]


def parse_answers(stream: bytes) -> tuple[list[tuple[int, dict[str, str], bytes]], bytes]:
    """Splits a byte stream into HTTP/1.1 answers and what is left over; 100 is passed over."""
    found = []
    while b"\r\n\r\n" in stream:
        head, _, tail = stream.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1]) if lines[0].startswith("HTTP/1.") else 0
        pairs = [line.partition(":") for line in lines[1:]]
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        if headers.get("transfer-encoding") == "chunked":
            body, left = _dechunk(tail)
        else:
            length = int(headers.get("content-length", "0"))
            body, left = (tail[:length], tail[length:]) if len(tail) >= length else (None, tail)
        if status == 0 or body is None:
            break
        stream = left
        if status != 100:
            found.append((status, headers, body))
    return found, stream


def _dechunk(tail: bytes) -> tuple[bytes | None, bytes]:
    body = b""
    while b"\r\n" in tail:
        size_text, _, rest = tail.partition(b"\r\n")
        size = int(size_text.partition(b";")[0], 16)
        if len(rest) < size + 2:
            break
        body, tail = body + rest[:size], rest[size + 2 :]
        if size == 0:
            return body, tail
    return None, tail


def play(case: RawCase, host: str, port: int, *, silence_s: float = 15.0) -> RawOutcome:
    """Sends a case on a connection of its own and reads until the server closes.

    Reading also ends when nothing came for `silence_s`, or at once when all awaited answers are
    there. A connection that the server cuts while bytes are still going out counts as closed.
    """
    outcome = RawOutcome()
    started = time.monotonic()
    with socket.create_connection((host, port), timeout=silence_s) as connection:
        received = bytearray()
        try:
            for pause_s, chunk in case.chunks:
                _listen(connection, pause_s, received)
                connection.sendall(chunk)
            if case.half_close:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            outcome.closed = True
        _drain(connection, case, received, silence_s, outcome)
    outcome.answers, outcome.rest = parse_answers(bytes(received))
    outcome.elapsed_s = time.monotonic() - started
    return outcome


def _listen(connection: socket.socket, pause_s: float, received: bytearray) -> None:
    """Lets a pause pass; takes in what the server says meanwhile, also its last words."""
    deadline = time.monotonic() + pause_s
    while (left_s := deadline - time.monotonic()) > 0:
        readable, _, _ = select.select([connection], [], [], left_s)
        if not readable:
            return
        chunk = connection.recv(_READ_BYTES)
        if not chunk:
            raise ConnectionResetError
        received += chunk


def _drain(
    connection: socket.socket,
    case: RawCase,
    received: bytearray,
    silence_s: float,
    outcome: RawOutcome,
) -> None:
    connection.settimeout(silence_s)
    while case.answers is None or len(parse_answers(bytes(received))[0]) < case.answers:
        try:
            chunk = connection.recv(_READ_BYTES)
        except TimeoutError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            outcome.closed = True
            return
        received += chunk


def problems(case: RawCase, outcome: RawOutcome) -> Iterator[str]:
    """What in an outcome is not as it must be; nothing when all is well.

    A server may refuse, or close; it may not answer with a server error, answer outside the
    contract, or keep a broken connection open in silence.
    """
    for status, headers, body in outcome.answers:
        if status not in case.acceptable:
            yield f"answered with {status}, not {sorted(case.acceptable)}"
        if case.method != "?":
            yield from check_exchange(case.method, case.target, None, status, headers, body)
    if case.answers is not None and len(outcome.answers) != case.answers:
        yield f"{len(outcome.answers)} answers instead of {case.answers}"
    if not outcome.answers and not outcome.closed:
        yield f"hangs: neither answer nor close within {outcome.elapsed_s:.1f} s"
    if not outcome.answers and outcome.closed and not case.may_close:
        yield "closed without an answer"
    if outcome.rest and not outcome.rest.startswith(b"HTTP/1.1 100"):
        yield f"says something that is no HTTP answer: {outcome.rest[:80]!r}"
