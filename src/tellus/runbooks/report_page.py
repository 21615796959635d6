"""The readable page of a run's bundle: one file of HTML that needs nothing else."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET

from tellus.kernel.units import to_text
from tellus.runbooks.model import Photo, Run, RunStatus, StepRecord
from tellus.runbooks.model_catalogue import Runbook

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{border:1px solid #bbb;padding:.25rem .5rem;"
    "text-align:left;vertical-align:top}pre{background:#f4f4f4;padding:.5rem;overflow-x:auto;"
    "white-space:pre-wrap}.mark{font-weight:bold;font-size:1.2rem}"
)
_BESIDE: Final = (
    "<p>Beside this page: run.json, faults.json, firmware.json, commands.json,"
    " component_health.json, vehicle.json, device.json, telemetry.csv and the photos.</p>"
)
_ROWS_MOST: Final = 100


class Report(NamedTuple):
    """All that a bundle tells of; ``parts`` is data by name."""

    runbook: Runbook
    run: Run
    records: tuple[StepRecord, ...]
    photos: tuple[Photo, ...]
    parts: Mapping[str, Any]
    made_ms: int


def render(report: Report) -> bytes:
    """Return the page; whatever came from outside is escaped."""
    title = f"{report.runbook.title}: {report.run.device_id}"
    body = "\n".join(
        [
            f"<h1>{escape(title)}</h1>",
            _outcome(report.run),
            _facts("Run", _run_rows(report)),
            _facts("Device", report.parts["device"].items()),
            _facts("Firmware", report.parts["firmware"].items()),
            _facts("Vehicle", report.parts["vehicle"].items()),
            "<h2>Steps</h2>",
            *(_step(report.runbook, record) for record in report.records),
            _table("Newest fault events", report.parts["faults"]),
            _table("Commands of this time", report.parts["commands"]),
            _photos(report.photos),
            _BESIDE,
        ]
    )
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}'
        f"</title><style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )
    return page.encode()


def _outcome(run: Run) -> str:
    said = run.conclusion or f"The run is {run.status.value.replace('_', ' ')}."
    lines = [f'<p class="mark">{escape(said)}</p>']
    if run.status is RunStatus.ESCALATED and run.escalated_to is not None:
        lines.append(f"<p>Escalated to: {escape(run.escalated_to)}</p>")
    return "".join(lines)


def _run_rows(report: Report) -> Iterable[tuple[str, Any]]:
    run = report.run
    yield "run", run.run_id
    yield "runbook", report.runbook.slug
    yield "status", run.status.value
    yield "connector", run.connector_id or "the whole device"
    yield "began", to_text(run.created_ms)
    yield "ended", "not yet" if run.ended_ms is None else to_text(run.ended_ms)
    for name in ("cause", "alert_id", "command_id", "from_run_id", "next_run_id"):
        if getattr(run, name) is not None:
            yield name, getattr(run, name)
    yield "this page was made", to_text(report.made_ms)


def _step(runbook: Runbook, record: StepRecord) -> str:
    step = runbook.steps[record.n - 1]
    rows: list[tuple[str, Any]] = [
        ("verdict", "open" if record.verdict is None else record.verdict.value)
    ]
    given = {
        "finding": record.finding,
        "to be done": record.advice,
        "confirmed by": record.confirmed_by,
        "answered by": record.answered_by,
        "through client": record.client_id,
        "note": record.note,
        "commands": ", ".join(record.command_ids) or None,
    }
    rows += [(name, value) for name, value in given.items() if value is not None]
    rows.append(("from", to_text(record.began_ms)))
    if record.ended_ms is not None:
        rows.append(("to", to_text(record.ended_ms)))
    question = "" if step.question is UNSET else f"<p><em>{escape(step.question)}</em></p>"
    read = _pre(record.evidence) if record.evidence else ""
    heading = f"<h3>{record.n}. {escape(step.title)}</h3>"
    return f"{heading}<p>{escape(step.text)}</p>{question}{_rows(rows)}{read}"


def _facts(title: str, rows: Iterable[tuple[str, Any]]) -> str:
    return f"<h2>{escape(title)}</h2>{_rows(rows)}"


def _rows(rows: Iterable[tuple[str, Any]]) -> str:
    cells = "".join(
        f"<tr><th>{escape(name)}</th><td>{_cell(value)}</td></tr>" for name, value in rows
    )
    return f"<table>{cells}</table>" if cells else "<p>Nothing is known.</p>"


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return f"<h2>{escape(title)}</h2><p>None.</p>"
    names = list(rows[0])
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = "".join(
        "<tr>" + "".join(f"<td>{_cell(row.get(name))}</td>" for name in names) + "</tr>"
        for row in rows[:_ROWS_MOST]
    )
    return f"<h2>{escape(title)}</h2><table><tr>{head}</tr>{lines}</table>"


def _photos(photos: Sequence[Photo]) -> str:
    if not photos:
        return "<h2>Photos</h2><p>None.</p>"
    items = "".join(
        f"<li>{escape(photo.media_type)}, {photo.size} bytes, {to_text(photo.created_ms)}</li>"
        for photo in photos
    )
    return f"<h2>Photos</h2><ol>{items}</ol>"


def _cell(value: Any) -> str:
    if isinstance(value, dict | list):
        return _pre(value)
    return escape("" if value is None else str(value))


def _pre(value: Any) -> str:
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return f"<pre>{escape(text)}</pre>"
