"""The reference pages, written from the code: what is documented is what runs."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import tellus.app  # noqa: F401 - errors are known once everything that raises them is loaded
from tellus.cli.reference_commands import commands_page
from tellus.cli.reference_faults import faults_page
from tellus.cli.reference_processing import processing_page
from tellus.cli.reference_runbooks import runbooks_page
from tellus.config import describe_settings
from tellus.kernel import limits
from tellus.kernel.call import Nothing
from tellus.kernel.errors import ApiError
from tellus.surfaces import hub
from tellus.surfaces.guard import refusals
from tellus.surfaces.guard.limits import GuardLimits
from tellus.surfaces.openapi.answers import ERROR_CODES
from tellus.surfaces.openapi.schemas import describe
from tellus.surfaces.routes import LimitClass, Route
from tellus.surfaces.site.metric_table import METRICS
from tellus.surfaces.stream import DEVICES_PER_STREAM, STREAMS_PER_CLIENT
from tellus.surfaces.tables import ROUTES

_WRITTEN: Final = "<!-- Written by `tellus docs generate`; do not edit. -->"
_MINUTE_S: Final = 60
_WHOSE: Final = {
    LimitClass.QUERIES: "client",
    LimitClass.CONTROL: "client",
    LimitClass.BATCH_CONTROL: "client",
    LimitClass.TOKEN: "client",
    LimitClass.DEVICE_HOT: "device",
    LimitClass.DEVICE_OTHER: "device",
    LimitClass.DEVICE_BATCH: "device",
}
_STREAM_CODES: Final = (
    (hub.CLOSE_TOKEN, "The token expired or was revoked; the reason is 2001 or 2002."),
    (hub.CLOSE_SCOPE, "The client lost the scope `read`."),
    (hub.CLOSE_SLOW, "The connection does not keep up."),
    (hub.CLOSE_REPLACED, "The same client opened the same set of devices again."),
    (hub.CLOSE_TOO_MANY, f"The client has {STREAMS_PER_CLIENT} streams already."),
    (1012, "The server restarts: connect again."),
)
_API_HEAD: Final = """\
# API

Every operation with its scope, its [rate-limit class](rate-limits.md) and the largest body it
takes. Parameters, schemas and examples are in `/openapi.json`, and at `/docs` to be tried."""
_SURFACES: Final = (
    ("/v1/operator/", "Operators", "Bearer token of a client, from `issueOperatorToken`."),
    (
        "/v1/customer-portal/",
        "Customers",
        "Bearer token of a portal's client, from `issueOperatorToken`.",
    ),
    ("/v1/device/", "Chargers", "Bearer token of a device, from `issueDeviceToken`."),
    (
        ("/v1/customer/", "/v1/cp/"),
        "Other platforms",
        "Bearer token of a peer's client, from `issueOperatorToken`; bodies are bare PascalCase.",
    ),
    ("/v1/admin/", "Administrators", "Bearer token of a service account."),
)


def write_pages(folder: Path) -> list[Path]:
    """Write all reference pages into ``folder``, which is made if need be; return them."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in build_pages().items():
        path = folder / name
        path.write_text(text, "utf-8")
        written.append(path)
    return written


def build_pages() -> dict[str, str]:
    """Return the text of every reference page by file name."""
    pages = {
        "configuration.md": configuration_page(),
        "metrics.md": metrics_page(),
        "errors.md": errors_page(),
        "rate-limits.md": rate_limits_page(),
        "api.md": api_page(ROUTES),
        "cli.md": commands_page(),
        "faults.md": faults_page(),
        "runbooks.md": runbooks_page(),
        "processing.md": processing_page(),
    }
    return {name: f"{_WRITTEN}\n\n{text.strip()}\n" for name, text in pages.items()}


def configuration_page() -> str:
    """Return the page of all settings."""
    rows = [
        (f"`{name}`", f"`{variable}`", _default(default), words)
        for name, variable, default, words in describe_settings()
    ]
    return f"""# Configuration

A flag of `tellus serve` goes before an environment variable, that before `tellus.toml`, that before
the default. In the file, the part before the dot is a section. Lists are separated by commas in
variables. A secret may come from a file whose path is in a variable with `_FILE` at its end. What
is not in this table is refused at start. `tellus config show` prints what is in force, and where
it comes from.

{_table(("Setting", "Variable", "Default", "Meaning"), rows)}
"""


def metrics_page() -> str:
    """Return the page of all metrics."""
    rows = [
        (f"`{metric.name}`", metric.kind, _codes(metric.labels) or "–", metric.words)
        for metric in METRICS
    ]
    return f"""# Metrics

`GET /metrics` answers in the text format of Prometheus. Units are base units. No label holds a
device, a client, an address or a token, so the page stays small with any fleet.

{_table(("Metric", "Type", "Labels", "Meaning"), rows)}
"""


def errors_page() -> str:
    """Return the page of error codes, statuses and the close codes of the stream."""
    codes = [(row["code"], row["http"], row["meaning"], row["retry"]) for row in ERROR_CODES]
    return f"""# Errors

A failure is `{{"code", "message", "data": null, "details"?}}` with the HTTP status of its code.
`code` is for machines, `message` for people and may change. On 1001 `details` names the `field`,
and the `value` unless it is secret; on 1002 the `field`; on 5001 and 503 `retry_after_seconds`.
Token endpoints add `error` and `error_description` (RFC 6749, section 5.2).

{_table(("Code", "HTTP", "Meaning", "Try again"), codes)}

## Statuses beside the table

{_table(("HTTP", "Code", "Meaning"), _more_statuses())}

## What stands behind a code

{_table(("Error", "Code", "HTTP", "Meaning"), _error_rows())}

## Close codes of the stream

{_table(("Code", "Meaning"), _STREAM_CODES)}
"""


def rate_limits_page() -> str:
    """Return the page of limits: rates, connections, sizes."""
    rates = [
        (f"`{name}`", rate.limit, _period(rate.period_s), _WHOSE[LimitClass(name)])
        for name, rate in limits.RATES.items()
    ]
    return f"""# Rate limits

Windows roll: at no moment have there been more than the limit within the period before it. A
refused request consumes nothing. It is answered with 429 and code 5001; `Retry-After` and
`details.retry_after_seconds` say after how many seconds a repeat is accepted. A client can have
limits of its own (`tellus clients create --limit CLASS=N`); `--limit-scale` multiplies all.

{_table(("Class", "Limit", "Period", "Counted for each"), rates)}

Which operation is in which class is in [the API reference](api.md). Long polls are limited by
their number at a time, not by their rate: one per device and connector.

## Before authentication

{_table(("What", "Limit"), _address_limits())}

Loopback and trusted proxies are exempt from the last.

## Connections and sizes

{_table(("What", "Limit"), _connection_limits())}
"""


def _address_limits() -> list[tuple[str, Any]]:
    rate_per_s, burst = limits.UNAUTHENTICATED_PER_ADDRESS
    failed = "Failed authentications of one address"
    return [
        ("Registrations of one serial number", _rate(limits.REGISTER_PER_SERIAL)),
        (f"{failed} for one identifier", _rate(limits.FAILED_PER_ADDRESS_AND_ID)),
        (failed, _rate(limits.FAILED_PER_ADDRESS)),
        (
            "Requests without a valid token from one address",
            f"{rate_per_s:g} a second, {burst:g} at once",
        ),
    ]


def _connection_limits() -> list[tuple[str, Any]]:
    guard = GuardLimits()
    return [
        ("Open connections of one address", guard.connections_per_address),
        ("Open connections of one device", guard.connections_per_device),
        ("Streams of one client", STREAMS_PER_CLIENT),
        ("Devices of one stream", DEVICES_PER_STREAM),
        ("Files of one client at a time, on each node", limits.FILES_PER_CLIENT),
        ("Head of a request", f"{guard.head_bytes} bytes, {guard.head_timeout_s:g} s"),
        ("Target of a request", f"{guard.target_bytes} bytes"),
        ("Body of a request", f"as its operation says, {guard.body_timeout_s:g} s"),
        ("Idle connection", f"{guard.keep_alive_s} s"),
    ]


def api_page(routes: Sequence[Route]) -> str:
    """Return the page of all operations."""
    parts = [_API_HEAD]
    for prefix, title, words in _SURFACES:
        chosen = [route for route in routes if route.path.startswith(prefix)]
        rows = [_operation(route) for route in chosen]
        head = ("Operation", "Call", "Scope", "Limit", "Body", "What it does")
        parts.append(f"## {title}\n\n{words}\n\n{_table(head, rows)}")
    return "\n\n".join(parts)


def _operation(route: Route) -> tuple[Any, ...]:
    return (
        f"`{route.operation_id}`",
        f"`{route.method} {route.path}`",
        f"`{route.scope}`" if route.scope else "–",
        "–" if route.limit is LimitClass.NONE else f"`{route.limit.value}`",
        f"{route.body_bytes // 1024} KiB" if route.request is not Nothing or route.upload else "–",
        route.summary,
    )


def _more_statuses() -> list[tuple[Any, ...]]:
    """Return statuses that the table of codes does not have: of requests, and of the server."""
    known = {(row["http"], row["code"]) for row in ERROR_CODES}
    found = {
        (kind.http_status, kind.code): _first_line(kind)
        for kind in _error_classes()
        if (kind.http_status, kind.code) not in known
    }
    for value in vars(refusals).values():
        if isinstance(value, refusals.Refusal) and (value.status, value.code) not in known:
            found.setdefault((value.status, value.code), value.message)
    return [(status, code, words) for (status, code), words in sorted(found.items())]


def _error_rows() -> list[tuple[Any, ...]]:
    return [
        (f"`{kind.__name__}`", kind.code, kind.http_status, _first_line(kind))
        for kind in sorted(_error_classes(), key=_error_order)
    ]


def _error_order(kind: type[ApiError]) -> tuple[int, int, str, str]:
    """Return what puts errors in order; two modules may call theirs the same."""
    return kind.code, kind.http_status, kind.__name__, kind.__module__


def _error_classes() -> Iterator[type[ApiError]]:
    """Return every error that the platform raises, each once; the command line's are its own."""
    waiting = list(ApiError.__subclasses__())
    seen: set[type[ApiError]] = set()
    while waiting:
        kind = waiting.pop()
        if kind not in seen and _is_platform(kind):
            seen.add(kind)
            waiting += kind.__subclasses__()
            yield kind


def _is_platform(kind: type[ApiError]) -> bool:
    module = kind.__module__
    return module.startswith("tellus.") and not module.startswith("tellus.cli")


def _first_line(kind: type[ApiError]) -> str:
    """Return what an error means, without the code that its docstring may begin with."""
    line = describe(kind).partition("\n")[0]
    head, colon, rest = line.partition(": ")
    words = rest if colon and head[:1].isdigit() else line
    return words[:1].upper() + words[1:]


def _default(value: Any) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`"


def _rate(rate: limits.Rate) -> str:
    return f"{rate.limit} {_period(rate.period_s)}"


def _period(period_s: float) -> str:
    words = {1: "a second", _MINUTE_S: "a minute", 60 * _MINUTE_S: "an hour"}
    return words.get(int(period_s), f"in {period_s:g} s")


def _codes(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
