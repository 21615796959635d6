"""Aggregated energy: the sums of sites and operators by hours, days and months.

Everything is read from one snapshot: the sums, and what the newest facts would change in them. The
numbers stay whole until a point is made of them. All of it, the encoding of the answer included,
runs on a reader thread, because a year by the hour is too much for the event loop.
"""

from collections.abc import Callable, Mapping
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from tellus.consent.model import NotConsented, Service
from tellus.energy import store_series
from tellus.energy.clipping import FactClipper
from tellus.energy.cutting import find_clipped
from tellus.energy.facts import Explore
from tellus.energy.model_rows import Connector
from tellus.energy.model_series import POINTS_LARGEST, Aggregate, Grouping, Wanted
from tellus.energy.model_sums import Overlay
from tellus.energy.reading import SeriesReader
from tellus.energy.rules_buckets import cut_buckets, find_first_ms, find_last_ms
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Directory
from tellus.kernel.errors import InvalidParameter, NotFound
from tellus.kernel.units import MINUTE_MS, to_text
from tellus.storage.database import Tx
from tellus.telemetry.recent import ReadSpan

T = TypeVar("T")
P = ParamSpec("P")


class Unsummed(Protocol):
    """What queries ask of the folder."""

    async def read_settled(
        self,
        operator_id: str,
        work: Callable[Concatenate[Tx, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Fold what came late of an operator's connectors; return what ``work`` then reads."""
        ...

    def overlay(self, tx: Tx, operator_id: str) -> Overlay:
        """Return what the facts that are not in the sums yet would change in them."""
        ...


class EnergyQueries:
    """Use cases of aggregated energy."""

    def __init__(
        self, unsummed: Unsummed, catalogue: Catalogue, explore: Explore, directory: Directory
    ) -> None:
        self._directory = directory
        self._unsummed = unsummed
        self._catalogue = catalogue
        self._explore = explore

    async def aggregate(self, wanted: Wanted, render: Callable[[Aggregate], T]) -> T:
        """Return what ``render`` makes of the answer; it runs on a reader thread.

        Raises:
            InvalidParameter: the range is empty, too early or too late, or the points too many.
            NotFound: one of the sites is absent or another operator's.
            NotConsented: an owner of a device at one of the sites, or at each of all, has not
                agreed.
            Unavailable: what came late is not summed up yet.
        """
        _check_range(wanted)
        wanted = wanted._replace(withheld=self._list_withheld(wanted.operator_id))
        read, operator_id = self._unsummed.read_settled, wanted.operator_id
        logs: dict[Connector, ReadSpan] = {}
        if wanted.from_ms % MINUTE_MS or wanted.until_ms % MINUTE_MS:
            clipped = await read(operator_id, self._find_clipped, wanted)
            logs = {connector: self._explore(connector) for connector in sorted(clipped)}
        return await read(operator_id, self._load, wanted, logs, render)

    def _list_withheld(self, operator_id: str) -> frozenset[str]:
        """Return the sites with a device whose owner has not agreed: sums cannot leave it out."""
        numbers = self._directory.withheld(operator_id, Service.ENERGY_REPORTING)
        devices = map(self._directory.by_no, numbers)
        return frozenset(device.site_id for device in devices if device is not None)

    def _find_clipped(self, tx: Tx, wanted: Wanted) -> set[Connector]:
        return find_clipped(tx, wanted, self._unsummed.overlay(tx, wanted.operator_id))

    def _load(
        self,
        tx: Tx,
        wanted: Wanted,
        logs: Mapping[Connector, ReadSpan],
        render: Callable[[Aggregate], T],
    ) -> T:
        buckets = cut_buckets(
            wanted.granularity, wanted.from_ms, wanted.to_ms, wanted.zone, POINTS_LARGEST
        )
        if buckets is None:
            raise _too_many()
        chosen, is_all = _choose_sites(tx, wanted)
        if wanted.group_by is Grouping.SITE and len(chosen) * len(buckets.labels) > POINTS_LARGEST:
            raise _too_many()
        overlay = self._unsummed.overlay(tx, wanted.operator_id)
        clipper = FactClipper(tx, self._catalogue, logs, wanted.now_ms)
        reader = SeriesReader(tx, wanted, buckets, overlay, clipper)
        return render(reader.answer(chosen, is_all=is_all))


def _check_range(wanted: Wanted) -> None:
    if wanted.from_ms >= wanted.to_ms:
        message = "Parameter 'start_time' must be before 'end_time'"
        raise InvalidParameter(message, "start_time", to_text(wanted.from_ms))
    for name, time_ms in (("start_time", wanted.from_ms), ("end_time", wanted.to_ms)):
        if not find_first_ms() <= time_ms <= find_last_ms():
            message = f"Parameter '{name}' must lie in the years 2 to 9998"
            raise InvalidParameter(message, name, to_text(time_ms))


def _too_many() -> InvalidParameter:
    return InvalidParameter(
        f"The answer would have more than {POINTS_LARGEST} points: ask for a shorter range,"
        " longer buckets or fewer sites",
        "end_time",
    )


def _choose_sites(tx: Tx, wanted: Wanted) -> tuple[list[str], bool]:
    """Return the sites that are wanted, in order, and whether they are all of the operator's."""
    sites = store_series.list_operator_sites(tx, wanted.operator_id)
    if wanted.site_ids is None:
        shown = [site_id for site_id in sites if site_id not in wanted.withheld]
        if sites and not shown:
            raise NotConsented(Service.ENERGY_REPORTING)
        return shown, len(shown) == len(sites)
    if not wanted.site_ids.issubset(sites):
        raise NotFound(field="site_ids")
    if not wanted.site_ids.isdisjoint(wanted.withheld):
        raise NotConsented(Service.ENERGY_REPORTING)
    return sorted(wanted.site_ids), len(wanted.site_ids) == len(sites)
