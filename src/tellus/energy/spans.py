"""When and where sessions were, for telemetry, which is below and does not know them."""

from tellus.consent.model import Service
from tellus.energy import store_folded
from tellus.energy.model import NKWH_PER_KWH
from tellus.energy.model_rows import QUARTER, StoredSession
from tellus.energy.sessions import SessionService
from tellus.energy.shapes import BIN_MS, unpack_shape
from tellus.kernel.errors import NotFound
from tellus.kernel.units import HOUR_MS
from tellus.sessions.service import RecordService
from tellus.storage.database import Database, Tx
from tellus.telemetry.model_tiers import HourEnergy, SessionSpan


class SessionSpans:
    """Finds sessions by the platform's identifier and by the charger's record."""

    def __init__(
        self, database: Database, records: RecordService, sessions: SessionService
    ) -> None:
        self._database = database
        self._records = records
        self._sessions = sessions

    async def find_session(self, session_id: str, operator_id: str) -> SessionSpan | None:
        """Return a session of the operator, live or past, or None."""
        try:
            session = (await self._sessions.get(session_id, operator_id)).session
        except NotFound:
            return None
        self._sessions.check(session.device_no, operator_id, Service.DIAGNOSTICS)
        hours: tuple[HourEnergy, ...] = ()
        if session.resolution == QUARTER:
            hours = await self._database.read(_load_hours, session.number)
        return SessionSpan(
            session.device_id,
            session.connector_id,
            session.start_ms,
            session.end_ms,
            session.session_id,
            session.record_id,
            hours,
        )

    async def find_record(
        self, device_id: str, record_id: str, operator_id: str
    ) -> SessionSpan | None:
        """Return what a charging record of the operator spans, or None."""
        found = await self._records.find_span(device_id, record_id, operator_id)
        if found is None:
            return None
        device_no, connector_id, start_ms, end_ms = found
        place = (device_no, connector_id)
        session = await self._sessions.read_settled(
            operator_id, _find_of_record, place, record_id, (start_ms, end_ms)
        )
        return SessionSpan(
            device_id,
            connector_id,
            start_ms,
            end_ms,
            None if session is None else session.session_id,
            record_id,
            () if session is None else _to_hours(session),
        )


def _find_of_record(
    tx: Tx, place: tuple[int, int], record_id: str, span_ms: tuple[int, int]
) -> StoredSession | None:
    sessions = store_folded.list_between(tx, place, *span_ms)
    return next((one for one in sessions if one.record_id == record_id), None)


def _load_hours(tx: Tx, session_no: int) -> tuple[HourEnergy, ...]:
    session = store_folded.list_numbered(tx, [session_no]).get(session_no)
    return () if session is None else _to_hours(session)


def _to_hours(session: StoredSession) -> tuple[HourEnergy, ...]:
    """Return the energy by the hour of a session that is known no finer, from its samples.

    What a record alone was spread over its hours is no measurement, and not among them.
    """
    if session.resolution != QUARTER or not session.samples:
        return ()
    hours: dict[int, tuple[int, int]] = {}
    for number, (charge_nkwh, discharge_nkwh) in unpack_shape(session.shape).items():
        time_ms = number * BIN_MS[QUARTER]
        hour_ms = time_ms - time_ms % HOUR_MS
        before = hours.get(hour_ms, (0, 0))
        hours[hour_ms] = (before[0] + charge_nkwh, before[1] + discharge_nkwh)
    return tuple(
        HourEnergy(hour_ms, charge_nkwh / NKWH_PER_KWH, discharge_nkwh / NKWH_PER_KWH)
        for hour_ms, (charge_nkwh, discharge_nkwh) in sorted(hours.items())
    )
