"""Alerts as operators read them, and say what they did about them."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.alerts.listing import AlertList
from tellus.alerts.model import (
    Alert,
    AlertFilter,
    AlertNote,
    AlertSeverity,
    AlertStatus,
    AlertView,
    Condition,
    NoteField,
)
from tellus.alerts.service import AlertService
from tellus.audit.model import Actor
from tellus.fleet.model import FAULT_KEYS
from tellus.kernel.call import Call, Nothing
from tellus.kernel.errors import InvalidParameter
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.tables import Column, Kind, Row, Table
from tellus.kernel.units import to_ms, to_text

Word = Annotated[str, Meta(min_length=1, max_length=128)]
NoteText = Annotated[str, Meta(min_length=1, max_length=2_000)]

_FAULT_HREF: Final = "/v1/operator/faults/{}"
_RUNBOOK_HREF: Final = "/v1/operator/runbooks/{}"
_RUN_HREF: Final = "/v1/operator/runbooks/{}/runs/{}"


class AlertsQuery(PageQuery, frozen=True, kw_only=True):
    """Which alerts to list; what is left out admits all.

    ``code`` is a fault (``F-0421``) or the name of a matter (``site_network``). ``since`` admits
    those whose status, condition or severity changed at that time or later.
    """

    device_id: Word | UnsetType = UNSET
    site_id: Word | UnsetType = UNSET
    severity: AlertSeverity | UnsetType = UNSET
    status: AlertStatus | UnsetType = UNSET
    code: Word | UnsetType = UNSET
    condition: Condition | UnsetType = UNSET
    since: datetime | UnsetType = UNSET


class AlertChangeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody does about an alert: a status, a note, or both."""

    status: AlertStatus | UnsetType = UNSET
    note: NoteText | UnsetType = UNSET


class AlertItem(msgspec.Struct, frozen=True, kw_only=True):
    """A matter that needs, or needed, somebody's attention.

    ``condition`` tells whether it is still so, and since when; ``status`` what somebody has done
    about it. ``found_count`` is how often it was found, by ``found_by`` the last time.
    """

    alert_id: str
    code: str
    severity: AlertSeverity
    title: str
    text: str
    status: AlertStatus
    condition: Condition
    condition_since: str
    device_id: str | UnsetType = UNSET
    connector_id: int | UnsetType = UNSET
    site_id: str | UnsetType = UNSET
    found_by: str
    found_count: int
    first_found_at: str
    last_found_at: str
    opened_at: str
    changed_at: str
    ended_at: str | UnsetType = UNSET
    suggested_runbook: str | UnsetType = UNSET


class AlertNoteItem(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an alert's history: what changed from what to what, who did it, what they said."""

    at: str
    actor: str
    field: NoteField
    before: str | UnsetType = UNSET
    after: str | UnsetType = UNSET
    note: str | UnsetType = UNSET


class AlertRunItem(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a runbook that somebody began for the alert."""

    run_id: str
    runbook: str
    linked_at: str
    run_href: str


class AlertResponse(AlertItem, frozen=True, kw_only=True):
    """An alert with what it was found by, its history (oldest first) and the runs for it."""

    evidence: dict[str, Any]
    fault_href: str | UnsetType = UNSET
    runbook_href: str | UnsetType = UNSET
    runs: list[AlertRunItem]
    notes: list[AlertNoteItem]


async def list_alerts(alerts: AlertList, call: Call[Nothing, AlertsQuery]) -> Page[AlertItem]:
    """Return a page of the operator's alerts, newest first."""
    query = call.query
    total, found = await alerts.list_alerts(_to_filter(call), query.offset, query.size)
    return Page(total, query.page, query.size, [to_item(alert) for alert in found])


async def tabulate_alerts(alerts: AlertList, call: Call[Nothing, AlertsQuery]) -> Table[Alert]:
    """Return the operator's alerts as a table, a row each, newest first."""
    return Table("alerts", _COLUMNS, await alerts.read_all(_to_filter(call)), _to_rows)


async def get_alert(alerts: AlertService, call: Call[Nothing, Nothing]) -> AlertResponse:
    """Return an alert with its evidence and history."""
    return _to_response(await alerts.get_alert(call.principal.operator_id, call.path["alert_id"]))


async def change_alert(
    alerts: AlertService, call: Call[AlertChangeRequest, Nothing]
) -> AlertResponse:
    """Say what is done about an alert.

    Raises:
        InvalidParameter: neither a status nor a note is given.
    """
    body = call.body
    if body.status is UNSET and body.note is UNSET:
        message = "Give a 'status', a 'note', or both"
        raise InvalidParameter(message, "status")
    view = await alerts.change_alert(
        call.principal.operator_id,
        call.path["alert_id"],
        None if body.status is UNSET else body.status,
        None if body.note is UNSET else body.note,
        Actor(call.principal.principal_id, call.request_id or None, call.principal.scopes),
    )
    return _to_response(view)


def to_item(alert: Alert) -> AlertItem:
    """Return an alert as lists, webhooks and the stream show it."""
    return AlertItem(**_facts(alert))


def _to_filter(call: Call[Nothing, AlertsQuery]) -> AlertFilter:
    query = call.query
    given = {
        name: value
        for name in ("device_id", "site_id", "severity", "status", "code", "condition")
        if (value := getattr(query, name)) is not UNSET
    }
    since_ms = None if query.since is UNSET else to_ms(query.since)
    operator_id = call.principal.operator_id
    return AlertFilter(operator_id=operator_id, since_ms=since_ms, withheld=call.withheld, **given)


def _facts(alert: Alert) -> dict[str, Any]:
    return {
        "alert_id": alert.alert_id,
        "code": alert.code,
        "severity": alert.severity,
        "title": alert.title,
        "text": alert.text,
        "status": alert.status,
        "condition": alert.condition,
        "condition_since": to_text(alert.condition_ms),
        "device_id": alert.device_id or UNSET,
        "connector_id": alert.connector_id or UNSET,
        "site_id": alert.site_id or UNSET,
        "found_by": alert.found_by,
        "found_count": alert.found,
        "first_found_at": to_text(alert.first_ms),
        "last_found_at": to_text(alert.last_ms),
        "opened_at": to_text(alert.opened_ms),
        "changed_at": to_text(alert.changed_ms),
        "ended_at": UNSET if alert.ended_ms is None else to_text(alert.ended_ms),
        "suggested_runbook": alert.runbook or UNSET,
    }


def _to_response(view: AlertView) -> AlertResponse:
    alert = view.alert
    runbook = alert.runbook
    return AlertResponse(
        **_facts(alert),
        evidence=alert.evidence,
        fault_href=_FAULT_HREF.format(alert.code) if alert.code in FAULT_KEYS else UNSET,
        runbook_href=_RUNBOOK_HREF.format(runbook) if runbook else UNSET,
        runs=[
            AlertRunItem(
                run_id=run.run_id,
                runbook=run.runbook,
                linked_at=to_text(run.linked_ms),
                run_href=_RUN_HREF.format(run.runbook, run.run_id),
            )
            for run in view.runs
        ],
        notes=[_to_note(note) for note in view.notes],
    )


def _to_note(note: AlertNote) -> AlertNoteItem:
    return AlertNoteItem(
        at=to_text(note.at_ms),
        actor=note.actor,
        field=note.field,
        before=UNSET if note.before is None else note.before,
        after=UNSET if note.after is None else note.after,
        note=UNSET if note.note is None else note.note,
    )


_COLUMNS: Final = (
    *map(Column, ("alert_id", "code", "severity", "title", "status", "condition")),
    *map(Column, ("device_id", "site_id", "found_by", "suggested_runbook")),
    Column("connector_id", Kind.INTEGER),
    Column("found_count", Kind.INTEGER),
    *(
        Column(name, Kind.TIME)
        for name in ("first_found_at", "last_found_at", "opened_at", "changed_at", "ended_at")
    ),
)


def _to_rows(alert: Alert) -> Iterator[Row]:
    yield (
        alert.alert_id,
        alert.code,
        alert.severity.value,
        alert.title,
        alert.status.value,
        alert.condition.value,
        alert.device_id,
        alert.site_id,
        alert.found_by,
        alert.runbook,
        alert.connector_id or None,
        alert.found,
        alert.first_ms,
        alert.last_ms,
        alert.opened_ms,
        alert.changed_ms,
        alert.ended_ms,
    )
