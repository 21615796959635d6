"""The recent log as others see it: who wants to know what it holds, and what is packed already.

There are two kinds. A process that has its database to itself keeps the log's instants in memory
(``recent_own``); where several share one, the store is asked every time (``recent_shared``).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from tellus.kernel.units import is_clock_suspect
from tellus.storage.database import Database, Tx
from tellus.telemetry import rules, store
from tellus.telemetry.model import PastSample, Sample
from tellus.telemetry.packing import unpack_keys

Place = tuple[int, int]
"""Device and connector."""

Key = tuple[int, int, int, int]
"""Time (ms), device, connector, digest: the natural key of a sample."""

Hours = dict[Place, set[int]]
"""By place, the clock hours (ms) whose packs may hold a repeat."""

Sizes = Mapping[tuple[int, int, int], int]
"""By device, connector and hour (ms), how many samples a pack holds; packs only ever grow."""

KeepStates = Callable[[Tx, Sequence[Sample]], None]
"""Writes, inside the transaction, how connectors are by samples that leave the log."""

ReadRecent = Callable[[Tx, int], list[PastSample]]
"""Reads a place's samples in the log from an instant chosen before up to another one (ms)."""

ReadSpan = Callable[[Tx, int, int], list[PastSample]]
"""Reads a place's samples in the log in ``[from, to)`` (ms), in any order."""

NEVER_CHECKED = -1
_NO_SIZES: Sizes = MappingProxyType({})


class Packed(NamedTuple):
    """What packed hours were found to hold."""

    keys: frozenset[Key] = frozenset()
    sizes: Sizes = _NO_SIZES


class Upload(NamedTuple):
    """Samples of one request; ``told`` where each one's outcome is owed to the caller.

    ``packed`` are those found in packed hours beforehand, when the packs had these ``sizes`` and
    the log this ``version``: unpacking is left to reader threads, so that whoever sends much that
    is late holds up nobody else.
    """

    samples: tuple[Sample, ...]
    told: bool = False
    packed: frozenset[Key] = frozenset()
    version: int = NEVER_CHECKED
    sizes: Sizes = _NO_SIZES


class RecentLog(Protocol):
    """What is asked of the recent log."""

    async def load(self, database: Database) -> None:
        """Learn what the log holds; called once before all else."""
        ...

    def note(self, samples: Sequence[Sample]) -> None:
        """Remember samples that the log now holds; called on the loop after the commit."""
        ...

    def version(self) -> int:
        """Return a number that moves on when samples are packed, where that is known."""
        ...

    def list_late(self, samples: Iterable[Sample]) -> Hours:
        """Return the hours whose packs may hold some of ``samples`` already."""
        ...

    def list_unsure(self, tx: Tx, uploads: Sequence[Upload]) -> Hours:
        """Return the hours of which what was found beforehand may no longer be all.

        From here to the end of the transaction nothing of them is packed.
        """
        ...

    def reader(self, place: Place, from_ms: int, to_ms: int) -> ReadRecent:
        """Return what reads the log's samples of a place within a snapshot that begins later."""
        ...

    def explorer(self, place: Place) -> ReadSpan:
        """Return what reads any part of a place's log within a snapshot that begins later."""
        ...

    async def compact(self, database: Database, keep_states: KeepStates, now_ms: int) -> int:
        """Pack everything that has aged; return how many samples moved.

        ``keep_states`` is told what leaves the log.
        """
        ...


def find_packed(tx: Tx, hours: Hours) -> Packed:
    """Return what these packed hours hold."""
    keys: set[Key] = set()
    sizes: dict[tuple[int, int, int], int] = {}
    for (device_no, connector_id), wanted in hours.items():
        for hour_ms, samples, content in store.list_packs(
            tx, device_no, connector_id, sorted(wanted)
        ):
            sizes[device_no, connector_id, hour_ms] = samples
            keys.update(
                (time_ms, device_no, connector_id, digest)
                for time_ms, digest in unpack_keys(hour_ms, content)
            )
    return Packed(frozenset(keys), sizes)


def hours_before(samples: Iterable[Sample], horizon_ms: int, late_after_ms: int) -> Hours:
    """Return the hours of ``samples`` that may be packed, and of those of suspect clocks.

    Packed may be what is older than ``horizon_ms`` or was ``late_after_ms`` old when it came.
    """
    hours: Hours = {}
    for sample in samples:
        time_ms, received_ms = sample.time_ms, sample.received_ms
        if (
            time_ms < horizon_ms
            or time_ms < received_ms - late_after_ms
            or is_clock_suspect(time_ms, received_ms)
        ):
            place = (sample.device_no, sample.connector_id)
            hours.setdefault(place, set()).add(rules.hour_of(time_ms))
    return hours
