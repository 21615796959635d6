"""What moved in less than a quarter-hour, at the ends of a range that is not made of quarters.

The sums hold nothing that fine, so the sessions that ran then are asked: by minutes, and for part
of a minute from their facts. What is not kept that fine any more is split evenly in time.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from tellus.energy import store_series, store_sums
from tellus.energy.clipping import Clipped, Energy, Part
from tellus.energy.model import MinuteEnergies
from tellus.energy.model_rows import QUARTER, Connector
from tellus.energy.model_series import Running, Wanted
from tellus.energy.model_sums import Overlay
from tellus.energy.rules_series import QUARTER_MS, Span
from tellus.energy.shapes import to_minutes, unpack_shape
from tellus.kernel.units import DAY_MS, HOUR_MS, MINUTE_MS
from tellus.storage.database import Tx

_LOOKED_BACK_MS = (2 * DAY_MS, 40 * DAY_MS, None)
_LOOKED_UP_BACK_MS = 2 * DAY_MS
_FOLDED_SESSIONS = 200
_FOLDED_SAMPLES = 50_000
_NOTHING = (0, 0)


class Clipper(Protocol):
    """What a cut asks of whoever reads the facts (see ``clipping``)."""

    def clip(self, connector: Connector, part: Part) -> Clipped | None:
        """Return what a connector moved in part of a minute; None where nobody knows."""
        ...


class Cut(NamedTuple):
    """What a scope moved in a part of a bucket (nano-kWh), and the net of its parts of minutes."""

    scope_id: str
    bucket: int
    charge_nkwh: int
    discharge_nkwh: int
    nets_nkwh: dict[Part, int]


class Cutter:
    """Reads what scopes of an operator moved in parts of quarter-hours."""

    def __init__(
        self, tx: Tx, clipper: Clipper, operator_id: str, scopes: Sequence[str], overlay: Overlay
    ) -> None:
        self._tx = tx
        self._clipper = clipper
        self._operator_id = operator_id
        self._scopes = scopes
        self._overlay = overlay

    def cut(self, spans: Sequence[Span]) -> Iterator[Cut]:
        """Yield what each scope moved in each span; what has not is left out.

        Of what is not in the sums yet only the parts of minutes are told.
        """
        for span in spans:
            quarter_ms = span.from_ms - span.from_ms % QUARTER_MS
            sums = self._find_sums(quarter_ms)
            is_touched = any(
                quarter_ms <= minute * MINUTE_MS < quarter_ms + QUARTER_MS
                for scope_id in self._scopes
                for minute in self._overlay.minutes.get(scope_id, ())
            )
            if sums or is_touched:
                yield from self._cut_quarter(quarter_ms, sums, span)

    def _find_sums(self, quarter_ms: int) -> dict[str, Energy]:
        """Return what each scope moved in a quarter-hour, as far as it is in the sums."""
        hour_ms = quarter_ms - quarter_ms % HOUR_MS
        k = (quarter_ms - hour_ms) // QUARTER_MS
        found = store_sums.list_hours(self._tx, self._scopes, hour_ms, hour_ms + HOUR_MS)
        energies = {one.scope_id: (one.charge_nkwh[k], one.discharge_nkwh[k]) for one in found}
        return {scope_id: energy for scope_id, energy in energies.items() if any(energy)}

    def _cut_quarter(
        self, quarter_ms: int, sums: Mapping[str, Energy], span: Span
    ) -> Iterator[Cut]:
        running = self._find_running(quarter_ms, sums)
        minutes = _sum_up(running, quarter_ms)
        for scope_id, energy in sums.items():
            if running is None:
                minutes[scope_id] = _spread(quarter_ms, energy)
        parts = {part: self._fold_part(part, running) for part in list_parts(span)}
        for scope_id in self._scopes:
            held = minutes.get(scope_id, {})
            late = self._overlay.minutes.get(scope_id, {})
            charge = discharge = 0
            nets: dict[Part, int] = {}
            for minute, energy in held.items():
                if span.from_ms <= minute * MINUTE_MS <= span.to_ms - MINUTE_MS:
                    charge, discharge = charge + energy[0], discharge + energy[1]
            for part, exact in parts.items():
                energy = (
                    exact.get(scope_id, _NOTHING) if exact is not None else _share(part, held, late)
                )
                charge, discharge = charge + energy[0], discharge + energy[1]
                nets[part] = energy[0] - energy[1]
            if charge or discharge:
                yield Cut(scope_id, span.bucket, charge, discharge, nets)

    def _find_running(self, quarter_ms: int, sums: Mapping[str, Energy]) -> list[Running] | None:
        """Return the stored sessions that make up the sums of a quarter-hour.

        None where they do not: then they are not all kept. Most sessions are short, so that it
        does to look back a little; the sums tell whether it did.
        """
        if not sums:
            return []
        end_ms = quarter_ms + QUARTER_MS
        for back_ms in _LOOKED_BACK_MS:
            since_ms = None if back_ms is None else quarter_ms - back_ms
            running = store_series.list_running(
                self._tx, self._operator_id, quarter_ms, end_ms, since_ms
            )
            found = _sum_up(running, quarter_ms)
            if all(_total(found.get(one, {})) == energy for one, energy in sums.items()):
                return running
        return None

    def _fold_part(self, part: Part, running: Sequence[Running] | None) -> dict[str, Energy] | None:
        """Return by scope what was moved in part of a minute, from the facts; None if unknown."""
        if running is None:
            return None
        found: dict[str, Energy] = {}
        for connector, held in self._list_held(part, running).items():
            clipped = self._clipper.clip(connector, part)
            if clipped is None or held.site_id is None:
                return None
            if held.energy is not None and clipped.minute != held.energy:
                return None  # not all of its samples are kept any more
            for scope_id in (held.site_id, self._operator_id):
                before = found.get(scope_id, _NOTHING)
                found[scope_id] = (before[0] + clipped.part[0], before[1] + clipped.part[1])
        return found

    def _list_held(self, part: Part, running: Sequence[Running]) -> dict[Connector, "_Held"]:
        """Return the connectors that moved anything in the minute of a part."""
        minute = part[0] // MINUTE_MS
        found: dict[Connector, _Held] = {}
        for one in running:
            energy = _minutes_of(one).get(minute, _NOTHING)
            if any(energy) and not {one.site_id, self._operator_id}.isdisjoint(self._scopes):
                held = _Held(one.site_id, energy)
                found[one.connector] = held.join(found.get(one.connector))
        for late in self._overlay.sessions:
            # Whichever part of the minute it ran in: what the sums hold of the minute is not all.
            is_begun = late.start_ms < (minute + 1) * MINUTE_MS
            if is_begun and (late.end_ms or late.last_ms) >= minute * MINUTE_MS:
                found[late.place] = _Held(late.site_id, None).join(found.get(late.place))
        return found


class _Held(NamedTuple):
    """Where a connector stood in a minute, and what the sums hold of it; None for unknown."""

    site_id: str | None
    energy: Energy | None

    def join(self, other: "_Held | None") -> "_Held":
        """Return both as one."""
        if other is None:
            return self
        site_id = self.site_id if self.site_id == other.site_id else None
        if self.energy is None or other.energy is None:
            return _Held(site_id, None)
        return _Held(site_id, (self.energy[0] + other.energy[0], self.energy[1] + other.energy[1]))


def find_clipped(tx: Tx, wanted: Wanted, overlay: Overlay) -> set[Connector]:
    """Return the connectors whose facts tell what belongs to the range of a minute it cuts.

    None of them where they would be too much to fold; what is cut is split evenly then.
    """
    found: set[Connector] = set()
    sessions = samples = 0
    span = Span(wanted.from_ms, wanted.until_ms, 0)
    for part in list_parts(span):
        minute_ms = part[0] - part[0] % MINUTE_MS
        since_ms = minute_ms - _LOOKED_UP_BACK_MS
        running = store_series.list_running(
            tx, wanted.operator_id, minute_ms, minute_ms + MINUTE_MS, since_ms
        )
        late = [one for one in overlay.sessions if one.start_ms < minute_ms + MINUTE_MS]
        found.update(one.connector for one in running)
        found.update(one.place for one in late)
        sessions += len(running) + len(late)
        samples += sum(one.samples for one in running) + sum(one.samples for one in late)
    too_much = sessions > _FOLDED_SESSIONS or samples > _FOLDED_SAMPLES
    return set() if too_much else found


def list_parts(span: Span) -> list[Part]:
    """Return the parts of a span that fill no clock minute."""
    from_ms, to_ms, _ = span
    first_ms, last_ms = -(-from_ms // MINUTE_MS) * MINUTE_MS, to_ms // MINUTE_MS * MINUTE_MS
    if first_ms > last_ms:
        return [(from_ms, to_ms)]
    parts = [(from_ms, first_ms), (last_ms, to_ms)]
    return [part for part in parts if part[0] < part[1]]


def _minutes_of(session: Running) -> MinuteEnergies:
    bins = unpack_shape(session.shape)
    return to_minutes(bins) if session.resolution == QUARTER else bins


def _sum_up(running: Iterable[Running] | None, quarter_ms: int) -> dict[str, MinuteEnergies]:
    """Return by scope and minute what sessions moved in a quarter-hour."""
    found: dict[str, MinuteEnergies] = {}
    first = quarter_ms // MINUTE_MS
    for session in running or ():
        for minute, energy in _minutes_of(session).items():
            if first <= minute < first + QUARTER_MS // MINUTE_MS:
                for scope_id in (session.site_id, session.operator_id):
                    held = found.setdefault(scope_id, {})
                    before = held.get(minute, _NOTHING)
                    held[minute] = (before[0] + energy[0], before[1] + energy[1])
    return found


def _total(minutes: MinuteEnergies) -> Energy:
    return sum(one[0] for one in minutes.values()), sum(one[1] for one in minutes.values())


def _spread(quarter_ms: int, energy: Energy) -> MinuteEnergies:
    """Return the energy of a quarter-hour, split evenly over its minutes."""
    return to_minutes({quarter_ms // QUARTER_MS: energy})


def _share(part: tuple[int, int], held: MinuteEnergies, late: MinuteEnergies) -> Energy:
    """Return what falls to part of a minute if its energy was moved evenly."""
    minute = part[0] // MINUTE_MS
    stored, more = held.get(minute, _NOTHING), late.get(minute, _NOTHING)
    begin_ms, end_ms = part[0] - minute * MINUTE_MS, part[1] - minute * MINUTE_MS
    charge, discharge = (
        energy * end_ms // MINUTE_MS - energy * begin_ms // MINUTE_MS
        for energy in (stored[0] + more[0], stored[1] + more[1])
    )
    return charge, discharge
