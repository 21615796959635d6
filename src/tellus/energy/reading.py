"""Reading the sums of one query: days, hours and minutes of sites or an operator, by bucket."""

from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence

from tellus.energy import store_series, store_sums
from tellus.energy.clipping import Part
from tellus.energy.cutting import Clipper, Cutter
from tellus.energy.model_series import Aggregate, Grouping, Wanted
from tellus.energy.model_sums import Overlay
from tellus.energy.rules_buckets import Buckets
from tellus.energy.rules_points import make_group
from tellus.energy.rules_series import (
    Series,
    Span,
    add_minutes,
    clip_spans,
    merge_hours,
    peaks_within,
    plan_reading,
    rank_hours,
    sum_series,
)
from tellus.energy.store_sums import ScopeTime
from tellus.kernel.units import HOUR_MS, MINUTE_MS
from tellus.storage.database import Tx

_MINUTES = HOUR_MS // MINUTE_MS
_HOURS_AT_ONCE = 400
_UNKNOWN = (2**62,) * 4


class SeriesReader:
    """Reads what one query wants from a snapshot, with the ``overlay`` on top of the sums."""

    def __init__(
        self,
        tx: Tx,
        wanted: Wanted,
        buckets: Buckets,
        overlay: Overlay,
        clipper: Clipper,
    ) -> None:
        self._tx = tx
        self._wanted = wanted
        self._buckets = buckets
        self._overlay = overlay
        self._unsummed = overlay.minutes
        self._clipper = clipper
        self._cut_nets: defaultdict[tuple[int, Part], int] = defaultdict(int)
        self._spans = clip_spans(buckets.edges, wanted.from_ms, wanted.until_ms)

    def answer(self, chosen: Sequence[str], *, is_all: bool) -> Aggregate:
        """Return the answer for these sites, which may be all of the operator's."""
        wanted = self._wanted
        by_site = wanted.group_by is Grouping.SITE
        scopes = [wanted.operator_id] if is_all else []
        scopes += chosen if by_site or not is_all else []
        found = self._read(scopes)
        if is_all:
            whole = found[wanted.operator_id]
        elif len(chosen) == 1:
            whole = found[chosen[0]]
        else:
            whole = self._join(chosen, found)
        past_ms = [max(0, min(span.to_ms, wanted.now_ms) - span.from_ms) for span in self._spans]
        together = make_group(wanted.operator_id, whole, past_ms)
        groups = [together]
        if by_site:
            groups = [make_group(site_id, found[site_id], past_ms) for site_id in chosen]
        return Aggregate(self._buckets.labels, groups, together.total)

    def _read(self, scopes: Sequence[str]) -> dict[str, Series]:
        """Return the sums of each of these scopes."""
        found = {scope_id: Series(len(self._spans)) for scope_id in scopes}
        changed = {one: self._unsummed[one] for one in scopes if one in self._unsummed}
        fine = merge_hours(minute * MINUTE_MS for held in changed.values() for minute in held)
        plan = plan_reading(self._spans, fine)
        self._add_days(found, plan.days)
        for part in plan.slices:
            for sums in store_series.sum_slice(self._tx, scopes, part):
                peak = sums.peak_nkwh if part.has_peaks else 0
                found[sums.scope_id].add(sums.bucket, sums.charge_nkwh, sums.discharge_nkwh, peak)
        for scope_id, minutes in changed.items():
            add_minutes(found[scope_id], minutes, self._spans)
        cutter = Cutter(self._tx, self._clipper, self._wanted.operator_id, scopes, self._overlay)
        for cut in cutter.cut(plan.cuts):
            peak = max(map(abs, cut.nets_nkwh.values()), default=0)
            found[cut.scope_id].add(cut.bucket, cut.charge_nkwh, cut.discharge_nkwh, peak)
            for minute, net in cut.nets_nkwh.items():
                self._cut_nets[cut.bucket, minute] += net
        for spans in (plan.fine, plan.cuts):
            for (scope_id, hour_ms), nets in self._list_nets(scopes, spans):
                for bucket, peak in peaks_within(hour_ms, nets, spans):
                    found[scope_id].raise_peak(bucket, peak)
        return found

    def _add_days(self, found: Mapping[str, Series], days: Sequence[Span]) -> None:
        """Add the days that lie in these spans."""
        if not days:
            return
        read = store_sums.list_days(self._tx, list(found), days[0].from_ms, days[-1].to_ms)
        for scope_id, day_ms, charge, discharge, peak in read:
            span = days[bisect_right(days, day_ms, key=lambda one: one.from_ms) - 1]
            if day_ms < span.to_ms:
                found[scope_id].add(span.bucket, charge, discharge, peak)

    def _join(self, chosen: Sequence[str], found: Mapping[str, Series]) -> Series:
        """Return the energy of some sites together, with the peaks of their summed minutes.

        Of each bucket the hours are read that may hold its peak, the likeliest first, until none is
        left that may be higher than what was found.
        """
        whole = sum_series([found[one] for one in chosen], len(self._spans))
        for (bucket, _), net in self._cut_nets.items():
            whole.raise_peak(bucket, abs(net))
        ranked = rank_hours(self._list_highest(chosen), self._spans)
        while True:
            hours_ms: set[int] = set()
            for span, left in zip(self._spans, ranked, strict=True):
                if left and left[-1][0] > whole.peak[span.bucket]:
                    hours_ms.add(left.pop()[1])
            if not hours_ms:
                return whole
            for hour_ms, nets in self._sum_nets(chosen, sorted(hours_ms)):
                for bucket, peak in peaks_within(hour_ms, nets, self._spans):
                    whole.raise_peak(bucket, peak)

    def _list_highest(self, chosen: Sequence[str]) -> dict[int, Sequence[int]]:
        """Return by hour and quarter what no minute of some sites together can exceed."""
        first_ms = self._wanted.from_ms - self._wanted.from_ms % HOUR_MS
        found: dict[int, Sequence[int]] = {
            **store_series.sum_peaks(self._tx, chosen, first_ms, self._wanted.until_ms)
        }
        for scope_id in chosen:
            for minute in self._unsummed.get(scope_id, ()):
                found[minute * MINUTE_MS // HOUR_MS * HOUR_MS] = _UNKNOWN
        return found

    def _sum_nets(
        self, scopes: Sequence[str], hours_ms: Sequence[int]
    ) -> Iterator[tuple[int, Sequence[int]]]:
        """Yield the net minutes of these hours, of all scopes together."""
        for start in range(0, len(hours_ms), _HOURS_AT_ONCE):
            part = hours_ms[start : start + _HOURS_AT_ONCE]
            found = self._find_nets(scopes, part)
            self._add_unsummed(found, scopes, set(part))
            together: dict[int, list[array[int]]] = {}
            for (_, hour_ms), nets in found.items():
                together.setdefault(hour_ms, []).append(nets)
            for hour_ms, parts in together.items():
                yield hour_ms, list(map(sum, zip(*parts, strict=True)))

    def _find_nets(
        self, scopes: Sequence[str], hours_ms: Sequence[int]
    ) -> dict[ScopeTime, "array[int]"]:
        """Return the net minutes in the sums: hours close to one another are read in one go."""
        first_ms, last_ms = hours_ms[0], hours_ms[-1]
        if last_ms - first_ms > 2 * len(hours_ms) * HOUR_MS:
            keys = [(scope_id, hour_ms) for scope_id in scopes for hour_ms in hours_ms]
            return store_sums.find_minutes(self._tx, keys)
        wanted = set(hours_ms)
        read = store_sums.list_minutes(self._tx, scopes, first_ms, last_ms + HOUR_MS)
        return {(one.scope_id, one.hour_ms): one.net_nkwh for one in read if one.hour_ms in wanted}

    def _list_nets(
        self, scopes: Sequence[str], spans: Sequence[Span]
    ) -> Iterator[tuple[ScopeTime, "array[int]"]]:
        """Yield the net minutes of all hours that these spans touch, in which anything moved."""
        for from_ms, to_ms in merge_hours(hour_ms for span in spans for hour_ms in _hours_of(span)):
            found = {
                (sums.scope_id, sums.hour_ms): sums.net_nkwh
                for sums in store_sums.list_minutes(self._tx, scopes, from_ms, to_ms)
            }
            self._add_unsummed(found, scopes, range(from_ms, to_ms, HOUR_MS))
            yield from found.items()

    def _add_unsummed(
        self,
        found: dict[ScopeTime, "array[int]"],
        scopes: Sequence[str],
        hours_ms: Container[int],
    ) -> None:
        """Add to the net minutes of these hours what is not in the sums."""
        for scope_id in scopes:
            for minute, (charge, discharge) in self._unsummed.get(scope_id, {}).items():
                hour_ms = minute * MINUTE_MS // HOUR_MS * HOUR_MS
                if hour_ms in hours_ms:
                    nets = found.setdefault((scope_id, hour_ms), array("q", bytes(8 * _MINUTES)))
                    nets[minute % _MINUTES] += charge - discharge


def _hours_of(span: Span) -> range:
    return range(span.from_ms - span.from_ms % HOUR_MS, span.to_ms, HOUR_MS)
