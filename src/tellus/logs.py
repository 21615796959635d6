"""The log: JSON lines on stderr, one door for everything that is written, nothing secret in it.

Structured events, the standard library's logging, warnings and uncaught exceptions all pass the
same steps: level, time, traceback as text, redaction by key and shape. A flood of one event is
counted and summed up, never written line by line.
"""

import asyncio
import contextlib
import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from tellus.config import LogSettings
from tellus.kernel.errors import ApiError
from tellus.kernel.redaction import redact

WINDOW_S: Final = 10.0
LINES_PER_WINDOW: Final = 10

_SERVER_FAULT: Final = 500
_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_SILENT: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "websockets", "websockets.server")
_QUIET_EVENTS: Final = frozenset({"server_started", "server_draining", "server_stopped"})
_COUNTED_EVENTS: Final = frozenset({"request_refused"})

log = structlog.get_logger(__name__)


def configure_logs(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Send everything that is logged in this process to ``stream`` (stderr by default)."""
    out = _Out(sys.stderr if stream is None else stream)
    structlog.configure(
        processors=build_steps(settings, colors=out.isatty()),
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[settings.level]),
        logger_factory=structlog.WriteLoggerFactory(out),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_ToStructlog()]
    root.setLevel(max(_LEVELS[settings.level], logging.WARNING))
    for name in _SILENT:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.disabled = True
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def build_steps(settings: LogSettings, *, colors: bool = False) -> list[Processor]:
    """Return the steps from an event to a line; redaction is the last before the rendering."""
    render: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=colors)
    )
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact_event,
        render,
    ]


def redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hide what must not be written, in all values and in the event's own words."""
    shown: EventDict = redact(dict(event))
    return shown


class Damper:
    """Lets the first few lines of a kind through in each window and counts the others.

    ``summary`` is called with the counts of a window that has passed, at the next chance.
    """

    def __init__(
        self,
        summary: Callable[[float, Mapping[str, int]], None],
        monotonic_s: Callable[[], float] = time.monotonic,
        lines: int = LINES_PER_WINDOW,
    ) -> None:
        self._summary = summary
        self._monotonic_s = monotonic_s
        self._lines = lines
        self._began_s = monotonic_s()
        self._seen: Counter[str] = Counter()
        self._held: Counter[str] = Counter()
        self._lock = threading.Lock()

    def admits(self, kind: str, *, counted: bool = False) -> bool:
        """Tell whether a line of ``kind`` may be written; ``counted`` kinds never are."""
        self.flush(due=True)
        with self._lock:
            self._seen[kind] += 1
            if not counted and self._seen[kind] <= self._lines:
                return True
            self._held[kind] += 1
            return False

    def flush(self, *, due: bool = False) -> None:
        """Sum up what was held back; with ``due`` only once the window has passed."""
        now_s = self._monotonic_s()
        with self._lock:
            passed_s = now_s - self._began_s
            if due and passed_s < WINDOW_S:
                return
            held = dict(self._held)
            self._began_s = now_s
            self._seen.clear()
            self._held.clear()
        if held:
            self._summary(passed_s, held)


class LogRecorder:
    """Writes what the pipeline reports.

    Refusals (4xx) are written one by one at level debug only; otherwise they are summed up by
    operation, status and code, so that no caller can flood the log. Failures of the platform (5xx)
    are warnings, bugs are errors with their traceback; both are damped.
    """

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._refusals = Damper(_sum_up("requests.refused"), monotonic_s)
        self._failures = Damper(_sum_up("requests.failed"), monotonic_s)

    def failure(self, request_id: str, endpoint: str, error: ApiError, address: str) -> None:
        """Note a refused request, or one that the platform could not serve."""
        kind = f"{endpoint} {error.http_status} {error.code}"
        facts = {
            "request_id": request_id,
            "operation": endpoint,
            "status": error.http_status,
            "code": error.code,
            "reason": error.message,
            "address": address,
        }
        if error.http_status >= _SERVER_FAULT:
            if self._failures.admits(kind):
                log.warning("request.unserved", **facts)
        else:
            self._refusals.admits(kind, counted=True)
            log.debug("request.refused", **facts)

    def crash(self, request_id: str, endpoint: str, error: BaseException) -> None:
        """Note a bug."""
        if self._failures.admits(f"{endpoint} {type(error).__name__}"):
            log.error("request.crashed", request_id=request_id, operation=endpoint, exc_info=error)

    def flush(self) -> None:
        """Sum up what was held back so far, server events included."""
        for damper in (self._refusals, self._failures, _server_events):
            damper.flush()

    async def run(self) -> None:
        """Sum up every 10 s, and once more when cancelled."""
        try:
            while True:
                await asyncio.sleep(WINDOW_S)
                self.flush()
        finally:
            self.flush()


def log_event(event: str, facts: Mapping[str, Any]) -> None:
    """Write an event of the server; refusals at the door are summed up."""
    counted = event in _COUNTED_EVENTS
    kind = f"{event} {facts['status']}" if counted else event
    if not _server_events.admits(kind, counted=counted):
        log.debug(event, **facts)
        return
    if "exc_info" in facts:
        log.error(event, **facts)
    elif event in _QUIET_EVENTS:
        log.info(event, **facts)
    else:
        log.warning(event, **facts)


def _sum_up(event: str) -> Callable[[float, Mapping[str, int]], None]:
    def write(passed_s: float, held: Mapping[str, int]) -> None:
        log.info(event, window_s=round(passed_s, 1), counts=dict(held))

    return write


_server_events: Final = Damper(_sum_up("server.events"))


class _Out:
    """The stream, whose end must not end what is logged about: a reader may close its pipe."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()


class _ToStructlog(logging.Handler):
    """Passes what libraries log through the same steps."""

    def emit(self, record: logging.LogRecord) -> None:
        facts: dict[str, Any] = {"logger": record.name}
        if record.exc_info:
            facts["exc_info"] = record.exc_info
        with contextlib.suppress(Exception):  # a log line must never end what it tells about
            # Levels between the five are taken for the next lower one.
            level = min(logging.CRITICAL, max(logging.DEBUG, record.levelno // 10 * 10))
            log.log(level, record.getMessage(), **facts)


def _log_uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    log.critical("process.crashed", exc_info=(kind, error, traceback))


def _log_uncaught_in_thread(hook: threading.ExceptHookArgs) -> None:
    if hook.exc_value is not None:
        name = hook.thread.name if hook.thread is not None else ""
        log.critical("thread.crashed", thread=name, exc_info=hook.exc_value)
