"""``tellus export``: records, energy or telemetry as a file, as the API streams it."""

import asyncio
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, Self

import aiohttp
import click

from tellus.cli.api import log_in_client
from tellus.cli.arguments import given
from tellus.cli.client import (
    Api,
    CommandFailed,
    ExitCode,
    data_dir_option,
    failure_of,
    unreachable,
)
from tellus.cli.output import hint
from tellus.cli.recordfile import progress

_TYPES: Final = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
_STDOUT: Final = Path("-")
_CONNECT_S: Final = 30.0
_SILENCE_S: Final = 120.0
_OK: Final = 200
_SHARES: Final = 1000
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


class Options(NamedTuple):
    """What every export is told: where to, in which format, and whose."""

    out: Path
    kind: str
    data_dir: Path | None


class Bar:
    """How far a file is: by the rows of how many there are, or by the time of how much."""

    def __init__(self, label: str, rows: int | None, until: datetime | None) -> None:
        self._until = until or datetime.now(UTC)
        self._since: datetime | None = None
        self._rows = rows
        self._shown = 0
        self._rest = b""
        self._length = _SHARES if rows is None else rows
        self._bar = progress(self._length, label)

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            self._show(self._length)
        self._bar.__exit__(*error)

    def note(self, part: bytes) -> None:
        """Take note of a further part of a CSV file."""
        if self._rows is not None:
            self._show(self._shown + part.count(b"\r\n"))
            return
        *lines, self._rest = (self._rest + part).split(b"\r\n")
        if self._since is None:
            self._since = next(filter(None, map(_first_cell, lines)), None)
        time = _first_cell(lines[-1]) if lines else None
        if time is not None and self._since is not None:
            whole = (self._until - self._since).total_seconds()
            passed = (time - self._since).total_seconds()
            self._show(int(_SHARES * passed / whole) if whole > 0 else 0)

    def _show(self, place: int) -> None:
        place = min(place, self._length)
        if place > self._shown:
            self._bar.update(place - self._shown)
            self._shown = place


def _first_cell(line: bytes) -> datetime | None:
    """Return the time that a row begins with, None for the header."""
    try:
        return read_moment(line.partition(b",")[0].decode())
    except ValueError:
        return None


def read_moment(text: str) -> datetime:
    """Return a time as the API writes and reads it; without a zone it is UTC.

    Raises:
        ValueError: it is none.
    """
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


def _read_time(
    _context: click.Context, _parameter: click.Parameter, text: str | None
) -> str | None:
    """Return a time as the API takes it: a date alone is its midnight in UTC."""
    return f"{text}T00:00:00Z" if text is not None and _DATE.fullmatch(text) else text


_time_option: Final = partial(click.option, callback=_read_time)


def export_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what every export is told."""
    for option in (
        click.option(
            "--out",
            required=True,
            type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
            help="File to write, whole or not at all; - for the standard output.",
        ),
        click.option(
            "--format",
            "kind",
            type=click.Choice(list(_TYPES)),
            default="csv",
            show_default=True,
            help="Kind of file; Parquet where the platform has the extra tellus[parquet].",
        ),
        data_dir_option,
    ):
        command = option(command)
    return command


@click.group("export")
def export_group() -> None:
    """Write records, energy or telemetry to a file.

    The client of TELLUS_CLIENT_ID and TELLUS_CLIENT_SECRET says whose.
    """


@export_group.command("records")
@click.option("--device", "device_id", help="Only those of this device.")
@click.option("--connector", "connector_id", type=click.IntRange(1, 255), help="Only its records.")
@click.option("--site", "site_id", help="Only those of this site.")
@_time_option("--since", "start_time", help="Only sessions that began then or later (ISO 8601).")
@_time_option("--until", "end_time", help="Only sessions that began before.")
@export_options
def export_records(out: Path, kind: str, data_dir: Path | None, **filters: Any) -> None:
    """Export charging records, newest first."""
    path = "/v1/operator/charging-records"
    _export(path, given(**filters), Options(out, kind, data_dir), "Records", counted=True)


@export_group.command("energy")
@_time_option("--since", "start_time", required=True, help="Beginning (ISO 8601).")
@_time_option("--until", "end_time", required=True, help="End, not included.")
@click.option(
    "--granularity",
    type=click.Choice(["hour", "day", "month"]),
    default="hour",
    show_default=True,
    help="Length of a row.",
)
@click.option("--group-by", type=click.Choice(["site", "operator"]), help="A row for each.")
@click.option("--site", "site_ids", multiple=True, help="Only this site.")
@click.option("--timezone", help="IANA zone of days and months; UTC by default.")
@export_options
def export_energy(
    out: Path, kind: str, data_dir: Path | None, site_ids: Sequence[str], **filters: Any
) -> None:
    """Export energy and power by hours, days or months."""
    query = given(**filters) | ({"site_ids": ",".join(site_ids)} if site_ids else {})
    _export("/v1/operator/aggregated/energy", query, Options(out, kind, data_dir), "Energy")


@export_group.command("telemetry")
@click.option("--device", "device_id", help="The device; or name a session.")
@click.option("--connector", "connector_id", type=click.IntRange(1, 255), help="Only this one.")
@click.option("--session", "session_id", help="Only samples of this session.")
@_time_option("--since", help="Beginning (ISO 8601); an hour before the end by default.")
@_time_option("--until", help="End, not included; now by default.")
@click.option("--measurand", "measurands", multiple=True, help="Only this one, such as SoC.")
@export_options
def export_telemetry(
    out: Path, kind: str, data_dir: Path | None, measurands: Sequence[str], **filters: Any
) -> None:
    """Export meter values by OCPP's names, a row for each value, oldest first."""
    if filters["device_id"] is None and filters["session_id"] is None:
        raise click.UsageError("Name a --device or a --session")
    query = given(**filters) | ({"measurand": ",".join(measurands)} if measurands else {})
    _export("/v1/operator/meter-values", query, Options(out, kind, data_dir), "Telemetry")


def _export(
    path: str, query: Mapping[str, Any], options: Options, label: str, *, counted: bool = False
) -> None:
    """Write the file of a list; say on the standard error stream what it came to."""
    with _open_target(options.out) as file:
        size = asyncio.run(_download(path, query, options, label, file, counted=counted))
    name = "the standard output" if options.out == _STDOUT else options.out
    hint(f"{size} bytes written to {name}.")


async def _download(
    path: str,
    query: Mapping[str, Any],
    options: Options,
    label: str,
    file: BinaryIO,
    *,
    counted: bool,
) -> int:
    base_url, token = await log_in_client(options.data_dir)
    rows = None
    if counted:
        async with Api(base_url) as api:
            asked = {**query, "size": 1}
            rows = int((await api.call("GET", path, token=token, parameters=asked))["total"])
    headers = {"Authorization": f"Bearer {token}", "Accept": _TYPES[options.kind]}
    timeout = aiohttp.ClientTimeout(sock_connect=_CONNECT_S, sock_read=_SILENCE_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(base_url + path, params=query, headers=headers) as response,
        ):
            await _check(response, options.kind)
            with Bar(label, rows, _end_of(query)) as bar:
                return await _copy(response, file, bar if options.kind == "csv" else None)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise unreachable(base_url, error) from None


async def _check(response: aiohttp.ClientResponse, kind: str) -> None:
    """Return if the answer is the file that was asked for.

    Raises:
        CommandFailed: it is a refusal, or the platform writes no such files.
    """
    if response.status != _OK:
        try:
            answer = await response.json(content_type=None)
        except ValueError:
            answer = None
        raise failure_of(answer if isinstance(answer, dict) else {}, response.status)
    if response.content_type != _TYPES[kind]:
        message = f"This platform does not write {kind} files"
        raise CommandFailed(message, ExitCode.SERVER_ERROR)


async def _copy(response: aiohttp.ClientResponse, file: BinaryIO, bar: Bar | None) -> int:
    """Write the body to a file as it comes; return its size in bytes.

    Raises:
        CommandFailed: it has no end.
    """
    size = 0
    try:
        async for part in response.content.iter_any():
            file.write(part)
            size += len(part)
            if bar is not None:
                bar.note(part)
    except aiohttp.ClientError:
        message = f"The file broke off after {size} bytes; nothing was kept"
        raise CommandFailed(message, ExitCode.SERVER_ERROR) from None
    return size


def _end_of(query: Mapping[str, Any]) -> datetime | None:
    try:
        return read_moment(str(query.get("until") or query.get("end_time")))
    except ValueError:
        return None  # the API says what is wrong with it


@contextmanager
def _open_target(out: Path) -> Iterator[BinaryIO]:
    """Give a file that stands under its name only once it is whole.

    Raises:
        CommandFailed: it cannot be written.
    """
    if out == _STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    unfinished = out.with_name(f".{out.name}.part")
    try:
        with unfinished.open("wb") as file:
            yield file
        unfinished.replace(out)
    except OSError as error:
        raise CommandFailed(f"{out}: {error.strerror}", ExitCode.USAGE) from None
    finally:
        unfinished.unlink(missing_ok=True)
