"""Sessions as operators read them: what charges now, and what did."""

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.energy.model import NKWH_PER_KWH
from tellus.energy.model_sessions import SessionFilter, SessionView
from tellus.energy.sessions import SessionList, SessionService, Started
from tellus.fleet.model import ConnectorId
from tellus.kernel.call import Call, Nothing
from tellus.kernel.paging import Page, PageQuery, read_cursor, write_cursor
from tellus.kernel.spans import read_span
from tellus.kernel.units import HOUR_MS, to_text

_MINUTES_PER_HOUR: Final = 60
_POWER_DIGITS: Final = 6
_CURSOR_SHAPE: Final = (int, int)


class SessionQuery(PageQuery, frozen=True, kw_only=True):
    """Which sessions: times bound the start, ``[start_time, end_time)``.

    ``cursor`` continues after the page whose ``next_cursor`` it was; ``page`` then only counts.
    """

    device_id: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    connector_id: ConnectorId | UnsetType = UNSET
    site_id: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    status: Literal["active", "ended"] | UnsetType = UNSET
    start_time: datetime | UnsetType = UNSET
    end_time: datetime | UnsetType = UNSET
    cursor: Annotated[str, Meta(min_length=1, max_length=512)] | UnsetType = UNSET


class SessionItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A session: kWh, kW, percent, times in UTC.

    ``status`` is ``active`` while it may go on: then ``end_time`` is absent and ``last_time`` is
    the newest fact. ``basis`` is what the energy rests on: the charging ``record``, the ``counter``
    of the samples, or their ``power``. ``max_power`` is the mean of the strongest clock minute.
    ``record_id``, and the command that started it, are there where they are known.
    """

    session_id: str = msgspec.field()
    device_id: str = msgspec.field()
    connector_id: int = msgspec.field()
    site_id: str = msgspec.field()
    status: str = msgspec.field()
    start_time: str = msgspec.field()
    end_time: str | UnsetType = UNSET
    last_time: str = msgspec.field()
    charge_energy: float = msgspec.field()
    discharge_energy: float = msgspec.field()
    max_power: float = msgspec.field()
    avg_power: float = msgspec.field()
    soc_start: int | UnsetType = UNSET
    soc_end: int | UnsetType = UNSET
    samples: int = msgspec.field()
    basis: str = msgspec.field()
    record_id: str | UnsetType = UNSET
    command_id: str | UnsetType = UNSET
    transaction_id: str | UnsetType = UNSET


SessionPage = Page[SessionItem]


async def list_sessions(
    sessions: SessionService, call: Call[Nothing, SessionQuery]
) -> Page[SessionItem]:
    """Return a page of the operator's sessions, newest first."""
    query = call.query
    after = None if query.cursor is UNSET else read_cursor(query.cursor, *_CURSOR_SHAPE)
    wanted = await _to_filter(sessions, call)
    if after is None:
        found = await sessions.list_page(wanted, limit=query.size, offset=query.offset)
    else:
        position = (after[0], after[1])
        found = await sessions.list_after(wanted, limit=query.size, position=position)
    return _to_page(query, found)


async def get_session(sessions: SessionService, call: Call[Nothing, Nothing]) -> SessionItem:
    """Return one session."""
    found = await sessions.get_agreed(call.path["session_id"], call.principal.operator_id)
    return _to_item(found)


async def _to_filter(sessions: SessionService, call: Call[Nothing, SessionQuery]) -> SessionFilter:
    query, operator_id = call.query, call.principal.operator_id
    from_ms, until_ms = read_span(query.start_time, query.end_time)
    device_no = None
    if query.device_id is not UNSET:
        device_no = await sessions.find_device_no(query.device_id, operator_id)
    if query.site_id is not UNSET:
        await sessions.require_site(query.site_id, operator_id)
    return SessionFilter(
        operator_id,
        device_no,
        None if query.connector_id is UNSET else query.connector_id,
        None if query.site_id is UNSET else query.site_id,
        None if query.status is UNSET else query.status == "active",
        from_ms,
        until_ms,
    )


def _to_page(query: SessionQuery, found: SessionList) -> Page[SessionItem]:
    return Page(
        found.total,
        query.page,
        query.size,
        [_to_item(started) for started in found.sessions],
        UNSET if found.following is None else write_cursor(*found.following),
    )


def _to_item(started: Started) -> SessionItem:
    session, origin = started
    transaction_id = None if origin is None else origin.transaction_id
    return SessionItem(
        session_id=session.session_id,
        device_id=session.device_id,
        connector_id=session.connector_id,
        site_id=session.site_id,
        status="active" if session.end_ms is None else "ended",
        start_time=to_text(session.start_ms),
        end_time=UNSET if session.end_ms is None else to_text(session.end_ms),
        last_time=to_text(session.last_ms),
        charge_energy=session.charge_nkwh / NKWH_PER_KWH,
        discharge_energy=session.discharge_nkwh / NKWH_PER_KWH,
        max_power=_peak_kw(session),
        avg_power=_mean_kw(session),
        soc_start=_known(session.soc_start_pct),
        soc_end=_known(session.soc_end_pct),
        samples=session.samples,
        basis=session.basis.value,
        record_id=UNSET if session.record_id is None else session.record_id,
        command_id=UNSET if origin is None else origin.command_id,
        transaction_id=UNSET if transaction_id is None else transaction_id,
    )


def _peak_kw(session: SessionView) -> float:
    """Return the mean power of the strongest minute, never below that of the whole session.

    To the milliwatt: the last digits of a minute's energy come from how the session was split.
    """
    peak_kw = round(session.peak_nkwh * _MINUTES_PER_HOUR / NKWH_PER_KWH, _POWER_DIGITS)
    return max(peak_kw, abs(_mean_kw(session)))


def _mean_kw(session: SessionView) -> float:
    """Return the mean power over the session so far; 0 where it has no length."""
    length_ms = (session.last_ms if session.end_ms is None else session.end_ms) - session.start_ms
    net_nkwh = session.charge_nkwh - session.discharge_nkwh
    return net_nkwh * HOUR_MS / (length_ms * NKWH_PER_KWH) if length_ms > 0 else 0.0


def _known(percent: int | None) -> int | UnsetType:
    return UNSET if percent is None else percent
