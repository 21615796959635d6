"""The tail: what facts that are not in the sums yet change in them, folded as it is asked for.

Nothing is written. What is folded here is folded again by the next round, with the same outcome.
"""

from tellus.energy import store_facts, store_folded, store_marks, store_places, store_progress
from tellus.energy.aside import FAULTS, Aside
from tellus.energy.facts import Explore, Source, limit_mw, to_record
from tellus.energy.gone import refold
from tellus.energy.live import (
    News,
    add_points,
    advance,
    facts_of,
    group_open,
    may_begin,
    read_boundaries,
)
from tellus.energy.model import Basis, MinuteEnergies, RecordSpan
from tellus.energy.model_rows import Change, Connector, Home, StoredSession
from tellus.energy.model_sessions import SessionView
from tellus.energy.model_sums import Overlay
from tellus.energy.sums import add_moved
from tellus.fleet.catalogue import Catalogue
from tellus.storage.database import Tx

_AFTER_ALL_MS = 2**62


class Tail:
    """Folds the facts of an operator's connectors that come after those of the sums."""

    def __init__(self, catalogue: Catalogue, explore: Explore, aside: Aside) -> None:
        self._catalogue = catalogue
        self._aside = aside
        self._explore = explore

    def overlay(self, tx: Tx, operator_id: str) -> Overlay:
        """Return what the facts that are not in the sums yet would change, in this snapshot.

        Only the scopes of the operator are told. What is marked was to be settled before.
        """
        from_ms = store_progress.find_folded_to(tx)
        if from_ms is None:
            return Overlay({}, [], frozenset())
        changes = self._fold(tx, operator_id, from_ms)
        minutes: dict[str, MinuteEnergies] = {}
        sessions: list[SessionView] = []
        replaced: set[int] = set()
        for change in changes:
            add_moved(minutes, change.moved)
            before = {row.session_no: row for row in change.before}
            replaced.update(before)
            same = {no for row in change.after if before.get(no := row.session_no) == row}
            told = [row for row in change.after if row.session_no not in same]
            replaced.difference_update(same)
            sessions += [to_view(row) for row in told if row.operator_id == operator_id]
        return Overlay(minutes, sessions, frozenset(replaced))

    def _fold(self, tx: Tx, operator_id: str, from_ms: int) -> list[Change]:
        news = News({}, {}, {})
        add_points(news, store_facts.list_log_of_operator(tx, operator_id, from_ms))
        for points in news.points.values():
            points.sort()
        read_boundaries(tx, news, from_ms, _AFTER_ALL_MS)
        device_nos = set(store_places.list_device_nos(tx, operator_id, from_ms))
        marked = {one for one in store_marks.list_reaching(tx, from_ms) if one[0] in device_nos}
        wanted = [one for one in news.connectors() if one[0] in device_nos]
        connectors = sorted(marked.union(wanted))
        opened = group_open(store_folded.list_open(tx, connectors))
        homes = store_places.read_homes(tx, sorted({one[0] for one in connectors}))
        changes = []
        for connector in connectors:
            home = homes.get(connector[0])
            if home is None or connector in news.broken or self._aside.holds(connector):
                continue
            is_marked = connector in marked
            try:
                records = _records(tx, connector, from_ms) if is_marked else ()
                facts = facts_of(news, connector, records)
                rows = opened.get(connector)
                if rows is not None:
                    change = advance(connector, home, rows, facts, self._catalogue, _AFTER_ALL_MS)
                    changes.append(change)
                elif may_begin(facts) or is_marked:
                    changes.append(self._begin(tx, home, connector, from_ms))
            except FAULTS as error:
                self._aside.note(connector, error)
        return changes

    def _begin(self, tx: Tx, home: Home, connector: Connector, from_ms: int) -> Change:
        """Fold a connector anew, back as far as need be."""
        source = Source(tx, connector, home, self._explore(connector))
        limit = limit_mw(home, connector[1], self._catalogue)
        return refold(source, (from_ms, _AFTER_ALL_MS - 1), _AFTER_ALL_MS, limit).change


def _records(tx: Tx, connector: Connector, from_ms: int) -> list[RecordSpan]:
    rows = store_facts.list_records_of(tx, connector, from_ms, _AFTER_ALL_MS)
    return [record for row in rows if (record := to_record(row)) is not None]


def to_view(row: StoredSession) -> SessionView:
    """Return a session as it is listed."""
    return SessionView(
        row.session_id,
        row.session_no,
        row.device_no,
        row.connector_id,
        row.device_id,
        row.site_id,
        row.start_ms,
        row.end_ms,
        row.last_ms,
        row.record_id,
        row.charge_nkwh,
        row.discharge_nkwh,
        row.peak_nkwh,
        row.soc_start_pct,
        row.soc_end_pct,
        row.samples,
        Basis(row.basis),
        row.resolution,
    )
