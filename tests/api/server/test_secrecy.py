"""No token gets into a log line, whatever level and whoever logs."""

import logging
from collections.abc import Iterator

import pytest

from tests.api.server.conftest import Serve
from tests.api.server.rig import frame, upgrade_request

CANARY = "canary-7f3a9c"


@pytest.fixture
def everything() -> Iterator[list[str]]:
    """All log lines of the process at every level, formatted with tracebacks."""
    lines: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(logging.Formatter("%(name)s %(message)s").format(record))

    root, handler = logging.getLogger(), Collector(level=0)
    before, named = root.level, [logging.getLogger(n) for n in ("uvicorn.error", "uvicorn.access")]
    levels = [(logger.level, logger.disabled) for logger in named]
    root.setLevel(1)
    root.addHandler(handler)
    for logger in named:
        logger.setLevel(1)
        logger.disabled = False  # the program's own log turns them off for the whole process
    yield lines
    root.removeHandler(handler)
    root.setLevel(before)
    for logger, (level, disabled) in zip(named, levels, strict=True):
        logger.setLevel(level)
        logger.disabled = disabled


def test_token__in_target_and_headers__is_in_no_log_line(
    serve: Serve, everything: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """Requests good, bad, crashing and streaming leave no trace of what they carried."""
    rig = serve()
    secret = CANARY.encode()
    lines = b"Authorization: Bearer " + secret + b"\r\nX-" + secret + b": " + secret + b"\r\n"
    for path in (b"/ok", b"/crash", b"/halfway", b"/early"):
        rig.ask(b"GET " + path + b"?token=" + secret + b" HTTP/1.1\r\n" + lines + b"\r\n")
    rig.ask(b"GET /?token=" + secret + b" HTTP/1.1\r\nX: " + secret + b"\0\r\n\r\n")
    rig.ask(b"GET /?token=" + secret * 2000 + b" HTTP/1.1\r\n" + lines + b"\r\n")
    rig.ask(b"GET /?token=" + secret + b" HTTP/1.1\r\n" + lines)
    for path in ("/echo", "/refuse", "/crash", "/close"):
        with rig.connect() as peer:
            answer = peer.upgrade(f"{path}?token={CANARY}", lines)
            if answer.status == 101:
                peer.send(frame(1, secret) + frame(1, b"\xff" + secret))
                peer.close_code()
    rig.ask(upgrade_request(f"/echo?token={CANARY}", b"Sec-WebSocket-Key: " + secret + b"\r\n"))
    rig.stop()
    assert rig.logged[0][0] == "server_started"
    assert {"application_error", "request_refused"} <= {event for event, _ in rig.logged}
    output = capfd.readouterr()
    assert not [line for line in everything if CANARY in line]
    assert CANARY not in repr(rig.logged) + output.out + output.err


def test_collector__given_a_planted_leak__finds_it(everything: list[str]) -> None:
    """The net of the test above would catch what it looks for."""
    logging.getLogger("uvicorn.error").debug("GET /?token=%s", CANARY)
    assert [line for line in everything if CANARY in line]
