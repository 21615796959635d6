"""Use cases of sessions: list them, live and past, and find what started them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Concatenate, NamedTuple, ParamSpec, Protocol, TypeVar

from tellus.consent.model import NotConsented, Service
from tellus.energy import store_listing
from tellus.energy.model_sessions import Origin, SessionFilter, SessionView
from tellus.fleet.directory import Directory
from tellus.kernel.errors import NotFound
from tellus.sessions.service import RecordService
from tellus.storage.database import Database, Tx

T = TypeVar("T")
P = ParamSpec("P")

FindOrigins = Callable[[Tx, Sequence[SessionView]], Mapping[str, Origin]]
"""Returns by session identifier the command that started the session, where there was one."""

Position = tuple[int, int]
"""Start (ms) and number of a session: its place in the list."""


class Unstored(Protocol):
    """What the list asks of the folder."""

    async def read_settled(
        self,
        operator_id: str,
        work: Callable[Concatenate[Tx, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Fold what came late of an operator's connectors; return what ``work`` then reads."""
        ...

    def list_tail_sessions(self, tx: Tx, operator_id: str) -> list[SessionView]:
        """Return the sessions that the facts of the last minute begin or go on with, as of now."""
        ...


class Started(NamedTuple):
    """A session, and the command that started it."""

    session: SessionView
    origin: Origin | None


class SessionList(NamedTuple):
    """A part of a list; ``following`` is the place after which the next part starts, or None."""

    total: int
    sessions: list[Started]
    following: Position | None


class SessionService:
    """Sessions of all connectors, read."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        records: RecordService,
        unstored: Unstored,
        find_origins: FindOrigins,
    ) -> None:
        self._database = database
        self._records = records
        self._directory = directory
        self._unstored = unstored
        self._find_origins = find_origins

    async def list_page(self, wanted: SessionFilter, *, limit: int, offset: int) -> SessionList:
        """Return a page of the operator's sessions, newest first; past the end it is empty."""
        wanted = self._sift(wanted)
        return await self.read_settled(wanted.operator_id, self._load_page, wanted, limit, offset)

    async def list_after(
        self, wanted: SessionFilter, *, limit: int, position: Position
    ) -> SessionList:
        """Return the operator's sessions that come after ``position``, newest first."""
        wanted = self._sift(wanted)
        return await self.read_settled(
            wanted.operator_id, self._load_after, wanted, limit, position
        )

    async def get(self, session_id: str, operator_id: str) -> Started:
        """Return one session.

        Raises:
            NotFound: it is another operator's or does not exist.
        """
        found = await self.read_settled(operator_id, self._load, session_id, operator_id)
        if found is None:
            raise NotFound
        return found

    async def get_agreed(self, session_id: str, operator_id: str) -> Started:
        """Return one session whose device's owner has agreed to that.

        Raises:
            NotFound: it is another operator's or does not exist.
            NotConsented: the owner has not.
        """
        found = await self.get(session_id, operator_id)
        self.check(found.session.device_no, operator_id, Service.ENERGY_REPORTING)
        return found

    def check(self, device_no: int, operator_id: str, service: Service) -> None:
        """Check that the owner of a device has agreed to a service.

        Raises:
            NotConsented: the owner has not.
        """
        if device_no in self._directory.withheld(operator_id, service):
            raise NotConsented(service)

    def list_withheld(self, operator_id: str, service: Service) -> tuple[int, ...]:
        """Return the numbers of an operator's devices whose owners have not agreed."""
        return self._directory.withheld(operator_id, service)

    async def read_settled(
        self,
        operator_id: str,
        work: Callable[Concatenate[Tx, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Fold what came late of an operator's connectors; return what ``work`` then reads."""
        return await self._unstored.read_settled(operator_id, work, *args, **kwargs)

    async def find_device_no(self, device_id: str, operator_id: str) -> int:
        """Return the number of a device that is the operator's, or was when it had sessions.

        Raises:
            NotFound: it never was, or does not exist.
        """
        device = self._directory.by_id(device_id)
        if device is not None and (
            device.operator_id == operator_id
            or await self._database.read(store_listing.has_sessions, operator_id, device.device_no)
        ):
            return device.device_no
        raise NotFound

    async def require_site(self, site_id: str, operator_id: str) -> None:
        """Return if the site is the operator's.

        Raises:
            NotFound: it is another's or does not exist.
        """
        await self._records.require_site(site_id, operator_id)

    def _sift(self, wanted: SessionFilter) -> SessionFilter:
        withheld = self.list_withheld(wanted.operator_id, Service.ENERGY_REPORTING)
        return wanted._replace(withheld=withheld)

    def _load_page(self, tx: Tx, wanted: SessionFilter, limit: int, offset: int) -> SessionList:
        tail = self._unstored.list_tail_sessions(tx, wanted.operator_id)
        new = [session for session in tail if session.number == 0 and _matches(session, wanted)]
        new.sort(key=lambda session: (-session.start_ms, session.session_id))
        total = len(new) + store_listing.count_sessions(tx, wanted)
        page = new[offset : offset + limit]
        skipped = max(0, offset - len(new))
        page += store_listing.list_sessions(tx, wanted, limit - len(page), skipped)
        return self._to_list(tx, total, page, tail, more=offset + limit < total)

    def _load_after(
        self, tx: Tx, wanted: SessionFilter, limit: int, position: Position
    ) -> SessionList:
        tail = self._unstored.list_tail_sessions(tx, wanted.operator_id)
        total = store_listing.count_sessions(tx, wanted)
        rows = store_listing.list_sessions_after(tx, wanted, position, limit + 1)
        return self._to_list(tx, total, rows[:limit], tail, more=len(rows) > limit)

    def _load(self, tx: Tx, session_id: str, operator_id: str) -> Started | None:
        tail = self._unstored.list_tail_sessions(tx, operator_id)
        found = next((one for one in tail if one.session_id == session_id), None)
        found = found or store_listing.find_session(tx, session_id, operator_id)
        if found is None:
            return None
        return Started(found, self._find_origins(tx, [found]).get(session_id))

    def _to_list(
        self,
        tx: Tx,
        total: int,
        page: Sequence[SessionView],
        tail: Sequence[SessionView],
        *,
        more: bool,
    ) -> SessionList:
        """Return the page, each session as the tail goes on with it."""
        newer = {session.session_id: session for session in tail}
        shown = [newer.get(session.session_id, session) for session in page]
        origins = self._find_origins(tx, shown)
        following = (page[-1].start_ms, page[-1].number) if more and page else None
        started = [Started(session, origins.get(session.session_id)) for session in shown]
        return SessionList(total, started, following)


def _matches(session: SessionView, wanted: SessionFilter) -> bool:
    """Tell whether a session of the operator that is not stored yet is one of those wanted."""
    is_active = session.end_ms is None
    return (
        wanted.device_no in (None, session.device_no)
        and session.device_no not in wanted.withheld
        and wanted.connector_id in (None, session.connector_id)
        and wanted.site_id in (None, session.site_id)
        and wanted.is_active in (None, is_active)
        and (wanted.from_ms is None or session.start_ms >= wanted.from_ms)
        and (wanted.to_ms is None or session.start_ms < wanted.to_ms)
    )
