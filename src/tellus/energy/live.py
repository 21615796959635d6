"""The live fold: what came since the last round, connector by connector, on what is open."""

import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from tellus.energy import store_facts, store_folded, store_places
from tellus.energy.aside import FAULTS, Aside
from tellus.energy.facts import limit_mw, part_silences, to_boundary, to_point
from tellus.energy.folding import go_on_from, make_change
from tellus.energy.model import Boundary, BoundaryKind, Facts, Point, RecordSpan
from tellus.energy.model_rows import Change, Connector, Home, StoredSession
from tellus.energy.rules_fold import fold
from tellus.fleet.catalogue import Catalogue
from tellus.storage.database import Row, Tx


class News(NamedTuple):
    """Facts by connector, each list in order of time; ``broken`` have some that cannot be read."""

    points: dict[Connector, list[Point]]
    boundaries: dict[Connector, list[Boundary]]
    broken: dict[Connector, Exception]

    def connectors(self) -> list[Connector]:
        """Return all connectors that have any, in order."""
        return sorted(self.points.keys() | self.boundaries.keys() | self.broken.keys())


class Slice(NamedTuple):
    """What some connectors' news change, whom to mark instead, and the time it took (s)."""

    changes: list[Change]
    marks: list[Connector]
    spent_s: float


def read_page(
    tx: Tx, news: News, after: Row, to_ms: int, limit: int, *, at_once: bool
) -> tuple[Row | None, float]:
    """Add a page of the log to ``news``; return the key to go on after, and the time it took (s).

    The key is None at the end. ``at_once`` is for SQLite.
    """
    begun_s = time.perf_counter()
    list_page = store_facts.list_log_page_at_once if at_once else store_facts.list_log_page
    rows = list_page(tx, after, to_ms, limit)
    add_points(news, rows)
    position = rows[-1][:4] if len(rows) == limit else None
    return position, time.perf_counter() - begun_s


def add_points(news: News, rows: Sequence[Row]) -> None:
    """Add rows of the log to ``news``."""
    points = news.points
    for row in rows:
        try:
            point = to_point(row)
        except FAULTS as error:
            news.broken[row[1], row[2]] = error
            continue
        if point is not None:
            points.setdefault((row[1], row[2]), []).append(point)


def read_boundaries(tx: Tx, news: News, from_ms: int, to_ms: int) -> None:
    """Add to ``news`` the events and changes of place in ``[from_ms, to_ms)``."""
    for time_ms, device_no, connector_id, kind in store_facts.list_boundaries(tx, from_ms, to_ms):
        held = news.boundaries.setdefault((device_no, connector_id), [])
        held.append(to_boundary(time_ms, kind))
    moves = store_facts.list_moves(tx, from_ms, to_ms)
    connectors = store_facts.list_connectors_of(tx, [device_no for _, device_no in moves])
    for time_ms, device_no in moves:
        for connector in connectors:
            if connector[0] == device_no:
                parted = Boundary(time_ms, BoundaryKind.PLUG)
                news.boundaries.setdefault(connector, []).append(parted)


def fold_slice(
    tx: Tx,
    catalogue: Catalogue,
    news: News,
    connectors: Sequence[Connector],
    marked: AbstractSet[Connector],
    span: tuple[int, int],
    aside: Aside,
) -> Slice:
    """Fold the news of some connectors in ``span`` on their open sessions.

    Where none is open and one may begin, or where facts may be missing, or cannot be folded, the
    connector is to be marked: its fold then looks back as far as need be.
    """
    begun_s = time.perf_counter()
    opened = group_open(store_folded.list_open(tx, connectors))
    wanted = {connector[0] for connector in connectors if connector in opened}
    homes = store_places.read_homes(tx, sorted(wanted))
    changes: list[Change] = []
    marks: list[Connector] = []
    for connector in connectors:
        rows = opened.get(connector)
        facts = facts_of(news, connector)
        if connector in news.broken:
            aside.note(connector, news.broken[connector])
            marks.append(connector)
            continue
        if rows is None:
            if may_begin(facts) or connector in marked:
                marks.append(connector)
            continue
        home = homes.get(connector[0])
        if home is None or (connector in marked and _folded_to(rows) < span[0]):
            marks.append(connector)
            continue
        try:
            changes.append(advance(connector, home, rows, facts, catalogue, span[1]))
        except FAULTS as error:
            aside.note(connector, error)
            marks.append(connector)
    return Slice(changes, marks, time.perf_counter() - begun_s)


def facts_of(news: News, connector: Connector, records: Sequence[RecordSpan] = ()) -> Facts:
    """Return a connector's news."""
    points = news.points.get(connector, [])
    return Facts(points, sorted(news.boundaries.get(connector, ())), list(records))


def may_begin(facts: Facts) -> bool:
    """Tell whether a session may begin with facts, where none is open."""
    if any(point.heading and not point.is_idle for point in facts.points):
        return True
    return any(at.kind is BoundaryKind.START for at in facts.boundaries) or bool(facts.records)


def advance(
    connector: Connector,
    home: Home,
    rows: Sequence[StoredSession],
    facts: Facts,
    catalogue: Catalogue,
    until_ms: int,
) -> Change:
    """Return what news change in a connector's open sessions ``rows``.

    Facts that are in these already are left out: a round that was not finished does no harm.
    """
    from_ms = _folded_to(rows)
    if any(point.time_ms < from_ms for point in facts.points[:1]):
        points = [point for point in facts.points if point.time_ms >= from_ms]
        facts = facts._replace(points=points)
    last_ms = max(row.last_ms for row in rows)
    boundaries = [at for at in facts.boundaries if at.time_ms >= from_ms]
    boundaries += part_silences(last_ms, facts.points)
    facts = facts._replace(boundaries=sorted(boundaries))
    limit = limit_mw(home, connector[1], catalogue)
    folded = fold(facts, limit, go_on_from(rows), until_ms)
    return make_change(connector, home, rows, folded, until_ms, len(facts.points))


def group_open(rows: Sequence[StoredSession]) -> dict[Connector, list[StoredSession]]:
    """Return open sessions by connector."""
    grouped: dict[Connector, list[StoredSession]] = {}
    for row in rows:
        grouped.setdefault(row.connector, []).append(row)
    return grouped


def _folded_to(rows: Sequence[StoredSession]) -> int:
    return max(row.folded_to_ms for row in rows)
