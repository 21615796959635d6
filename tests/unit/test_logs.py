"""The log: JSON lines, one door, nothing secret, no flood."""

import asyncio
import contextlib
import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from tellus.config import LogSettings
from tellus.kernel.errors import Conflict, NotFound, Unavailable
from tellus.logs import (
    LINES_PER_WINDOW,
    WINDOW_S,
    Damper,
    LogRecorder,
    configure_logs,
    log_event,
)
from tests.contract.canaries import flock, scan_text

CANARIES = flock(11)


class Log:
    """What was logged, as lines and as data."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def configure(self, level: str = "info", form: str = "json") -> None:
        configure_logs(LogSettings.model_validate({"level": level, "format": form}), self.stream)

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def events(self) -> list[str]:
        return [line["event"] for line in self.lines]


@pytest.fixture
def log() -> Iterator[Log]:
    """A log of its own; everything that it turns over is put back."""
    root = logging.getLogger()
    held = (root.handlers[:], root.level, sys.excepthook, threading.excepthook)
    written = Log()
    written.configure()
    LogRecorder().flush()
    written.stream.truncate(0)
    written.stream.seek(0)
    yield written
    LogRecorder().flush()
    structlog.reset_defaults()
    logging.captureWarnings(False)
    root.handlers[:], root.level, sys.excepthook, threading.excepthook = held


class Stopwatch:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_log__event__is_one_json_line_with_time_and_level(log: Log) -> None:
    """A line is a JSON object: event, level, time in UTC, and the facts."""
    structlog.get_logger().warning("storage.slow", took_s=1.5)
    (line,) = log.lines
    assert line.pop("time").endswith("Z")
    assert line == {"event": "storage.slow", "level": "warning", "took_s": 1.5}


def test_log__line_breaks_in_values__stay_in_one_line(log: Log) -> None:
    """Nobody can forge a line by sending line breaks."""
    structlog.get_logger().info("seen", name='x\n{"event":"forged"}')
    assert len(log.text.splitlines()) == 1


def test_log__canaries_by_every_way__none_is_written(log: Log) -> None:
    """Facts, tracebacks, other libraries' logging and warnings: no secret, token or VIN."""
    for canary in CANARIES:
        structlog.get_logger().info(f"about {canary.value}", who=canary.value, token="t-1")
        try:
            raise LookupError(f"no row for {canary.value}")  # noqa: TRY301
        except LookupError as error:
            LogRecorder().crash("req_1", "getSite", error)
            logging.getLogger("lib").exception("failed for %s", canary.value)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(True)
            warnings.showwarning(UserWarning(canary.value), UserWarning, "x.py", 1)
    assert len(log.lines) >= 4 * len(CANARIES)
    assert scan_text(log.text, CANARIES, "log") == []
    assert "t-1" not in log.text
    assert "LookupError" in log.text


def test_log__without_redaction__the_same_canaries_are_found(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: with the redacting step taken out, every canary is found."""
    monkeypatch.setattr("tellus.logs.redact_event", lambda _l, _m, event: event)
    log.configure()
    for canary in CANARIES:
        structlog.get_logger().info("about", who=canary.value)
    assert {hit.canary for hit in scan_text(log.text, CANARIES, "log")} == set(CANARIES)


def test_log__level_and_silent_libraries__write_nothing(log: Log) -> None:
    """What is below the level is not written, and the web server's own lines never are."""
    structlog.get_logger().debug("detail")
    logging.getLogger("lib").info("detail")
    logging.getLogger("uvicorn.access").critical("GET /v1/operator/stream?token=x")
    logging.getLogger("uvicorn.error").critical("crashed")
    assert log.lines == []
    logging.getLogger("lib").log(35, "between warning and error")
    assert log.lines[0]["level"] == "warning"
    assert log.lines[0]["logger"] == "lib"


def test_log__uncaught_exception__is_a_critical_line(log: Log) -> None:
    """What nobody catches is logged like everything else, in the main thread and in others."""
    error = LookupError(CANARIES[0].value)
    sys.excepthook(LookupError, error, None)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    thread = threading.Thread(target=_fail, name="worker")
    thread.start()
    thread.join()
    assert log.events() == ["process.crashed", "thread.crashed"]
    assert log.lines[1]["thread"] == "worker"
    assert scan_text(log.text, CANARIES, "log") == []


def _fail() -> None:
    raise LookupError("in a thread")


def test_log__console_format__is_for_people(log: Log) -> None:
    """The other format is text, and redacted too."""
    log.configure(form="console")
    structlog.get_logger().info("seen", token=CANARIES[-1].value)
    assert "seen" in log.text
    assert not log.text.startswith("{")
    assert scan_text(log.text, CANARIES, "log") == []


def test_log__stream_is_gone__does_not_disturb_the_caller(log: Log) -> None:
    """When the reader of the log has left, work goes on."""
    log.stream.close()
    structlog.get_logger().error("unheard")


def test_recorder__flood_of_refusals__is_one_summary_per_window(log: Log) -> None:
    """A thousand refusals are one line with their number, by operation, status and code."""
    watch = Stopwatch()
    recorder = LogRecorder(watch)
    for _ in range(1000):
        recorder.failure("req_1", "getDevice", NotFound(), "192.0.2.1")
    assert log.lines == []
    watch.now_s = WINDOW_S
    recorder.failure("req_2", "getDevice", NotFound(), "192.0.2.1")
    (line,) = log.lines
    assert line["event"] == "requests.refused"
    assert line["counts"] == {"getDevice 404 3001": 1000}
    recorder.flush()
    assert log.lines[-1]["counts"] == {"getDevice 404 3001": 1}
    recorder.flush()
    assert len(log.lines) == 2


def test_recorder__refusal_at_level_debug__is_written_with_its_request_id(log: Log) -> None:
    """For who looks for one request, level debug writes each with its identifier."""
    log.configure(level="debug")
    LogRecorder().failure("req_7", "createClient", Conflict("Taken"), "192.0.2.1")
    (line,) = log.lines
    assert (line["request_id"], line["status"], line["code"]) == ("req_7", 409, 4001)


def test_recorder__flood_of_failures__writes_the_first_few_and_counts_the_rest(log: Log) -> None:
    """Failures of the platform are lines with request id until they are too many."""
    recorder = LogRecorder(Stopwatch())
    for _ in range(100):
        recorder.failure("req_1", "uploadTelemetry", Unavailable("Storage is stopping"), "")
    assert log.events() == ["request.unserved"] * LINES_PER_WINDOW
    assert log.lines[0]["request_id"] == "req_1"
    recorder.flush()
    assert log.lines[-1]["counts"] == {"uploadTelemetry 503 9001": 100 - LINES_PER_WINDOW}


def test_recorder__bug__is_an_error_with_traceback(log: Log) -> None:
    """A bug is an error line with request id, operation and traceback."""
    try:
        raise LookupError("planted")  # noqa: TRY301
    except LookupError as error:
        LogRecorder().crash("req_9", "getSite", error)
    (line,) = log.lines
    assert (line["level"], line["request_id"], line["operation"]) == ("error", "req_9", "getSite")
    assert "test_logs.py" in line["exception"]
    assert line["exception"].endswith("LookupError: planted")


def test_log_event__server_events__have_levels_and_refusals_are_counted(log: Log) -> None:
    """Starts and stops are informational, odd things warn, bugs are errors, refusals are summed."""
    log_event("server_started", {"port": 1})
    log_event("requests_broken_off", {"count": 2})
    log_event("application_error", {"exc_info": LookupError("planted")})
    for _ in range(50):
        log_event("request_refused", {"status": 431, "address": "192.0.2.1"})
    assert [line["level"] for line in log.lines] == ["info", "warning", "error"]
    LogRecorder().flush()
    assert log.lines[-1]["counts"] == {"request_refused 431": 50}


def test_recorder__server_stops__says_what_it_still_held_back(log: Log) -> None:
    """The last window is summed up when the server ends."""

    async def run() -> None:
        recorder = LogRecorder()
        running = asyncio.create_task(recorder.run())
        await asyncio.sleep(0)
        recorder.failure("req_1", "getSite", NotFound(), "")
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    asyncio.run(run())
    assert log.lines[-1]["counts"] == {"getSite 404 3001": 1}


def test_damper__each_window__begins_anew() -> None:
    """In each window the first lines of each kind are let through."""
    watch = Stopwatch()
    summed: list[dict[str, int]] = []
    damper = Damper(lambda _passed_s, held: summed.append(dict(held)), watch, lines=2)
    assert [damper.admits("a") for _ in range(4)] == [True, True, False, False]
    assert damper.admits("b")
    watch.now_s += WINDOW_S
    assert damper.admits("a")
    assert summed == [{"a": 2}]
