"""The energy of sites and operators: what keeps it up, and what its queries stand on."""

from collections.abc import Callable
from typing import Concatenate, Final, ParamSpec, TypeVar

from tellus.audit.model import Actor
from tellus.audit.service import record
from tellus.energy import store_folded, store_marks, store_progress
from tellus.energy.facts import Explore
from tellus.energy.folder import Folder
from tellus.energy.marks import Marker
from tellus.energy.model_sessions import SessionView
from tellus.energy.model_status import FolderStatus
from tellus.energy.model_sums import Overlay
from tellus.energy.places import Places
from tellus.energy.tail import Tail
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Directory
from tellus.kernel.clock import Clock
from tellus.kernel.errors import Unavailable
from tellus.kernel.units import SECOND_MS
from tellus.storage.database import Database, Tx

T = TypeVar("T")
P = ParamSpec("P")

_BEFORE_ALL_MS = -(2**62)
# Rounds are seconds apart, and a snapshot comes right after what was settled for it.
_ATTEMPTS: Final = 5


class EnergyService:
    """Folds facts into sums in the background, and tells of those that are not in them yet.

    ``share`` is how much of one processor the background may take, ``patience_s`` how long a query
    waits for what came late.
    """

    def __init__(
        self,
        database: Database,
        directory: Directory,
        catalogue: Catalogue,
        explore: Explore,
        clock: Clock,
        *,
        share: float,
        patience_s: float,
    ) -> None:
        self._database = database
        self._clock = clock
        self.marker = Marker(database, clock)
        self.places = Places(directory, clock, reads_log=database.is_shared)
        self.folder = Folder(database, catalogue, explore, clock, share, patience_s)
        self.tail = Tail(catalogue, explore, self.folder.aside)

    async def start(self) -> None:
        """Begin, at the first start with what is stored already.

        Raises:
            ApiError: the store cannot take it now.
        """
        await self.folder.start()

    async def turn(self) -> None:
        """Fold what is new and what was marked; for one node at a time.

        Raises:
            ApiError: the store cannot take it now; it is tried again next time.
        """
        await self.folder.turn()

    async def watch(self) -> None:
        """Mark what took long to be stored, and see how far facts are folded; for every node.

        Raises:
            ApiError: the store cannot take it now; it is tried again next time.
        """
        await self.marker.pay()
        await self.folder.look()

    async def read_settled(
        self,
        operator_id: str,
        work: Callable[Concatenate[Tx, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Fold what came late of an operator's connectors; return what ``work`` then reads.

        Both are of one instant: what was in the store before the call is in the sums or the tail.

        Raises:
            Unavailable: it takes too long; it goes on by itself.
        """

        def bound(tx: Tx) -> T:
            return work(tx, *args, **kwargs)

        for _ in range(_ATTEMPTS):
            settled_to_ms = await self.folder.settle(operator_id)
            found = await self._database.read(
                self._read_if_settled, operator_id, settled_to_ms, bound
            )
            if found is not None:
                return found[0]
        raise Unavailable("Energy is being summed up anew")

    def _read_if_settled(
        self, tx: Tx, operator_id: str, settled_to_ms: int, work: Callable[[Tx], T]
    ) -> tuple[T] | None:
        if not self.folder.is_settled(tx, operator_id, settled_to_ms):
            return None
        return (work(tx),)

    def overlay(self, tx: Tx, operator_id: str) -> Overlay:
        """Return what the facts that are not in the sums yet would change in them."""
        return self.tail.overlay(tx, operator_id)

    def list_tail_sessions(self, tx: Tx, operator_id: str) -> list[SessionView]:
        """Return the sessions that the newest facts begin, go on with or alter, as of now."""
        return self.tail.overlay(tx, operator_id).sessions

    async def recompute(self, by: Actor) -> None:
        """Fold everything again that living devices have, in the background; sums hold meanwhile.

        Raises:
            ApiError: the store cannot take it now.
        """
        await self._database.write(_mark_all, by, self._clock.now_ms())

    async def read_status(self) -> FolderStatus:
        """Return how far the folder is, by what is stored."""
        return await self._database.read(read_status)

    @property
    def lag_s(self) -> float:
        """Return how far behind now facts are folded, in seconds; 0 before the first start."""
        folded_to_ms = self.folder.folded_to_ms
        if folded_to_ms is None:
            return 0.0
        return max(0.0, (self._clock.now_ms() - folded_to_ms) / SECOND_MS)

    @property
    def marks_waiting(self) -> int:
        """Return how many connectors wait to be folded again, as seen last."""
        return self.folder.marks_waiting

    @property
    def folds_failed(self) -> int:
        """Return how often a connector could not be folded, and was left as it was."""
        return self.folder.aside.failures

    @property
    def samples_folded(self) -> int:
        """Return how many samples were folded, some of them more than once."""
        return self.folder.samples + self.folder.refolder.samples


def _mark_all(tx: Tx, by: Actor, now_ms: int) -> None:
    store_marks.mark_all(tx, _BEFORE_ALL_MS, now_ms, now_ms)
    action, nothing = "energy.recomputed", None
    record(tx, by.name, action, "energy", "all", nothing, by.request_id, now_ms)


def read_status(tx: Tx) -> FolderStatus:
    """Return how far the folder is, by what is stored."""
    marks, oldest_ms = store_marks.count_marks(tx)
    sessions, doubts = store_folded.count_all(tx)
    return FolderStatus(store_progress.find_folded_to(tx), marks, oldest_ms, sessions, doubts)
