"""The steps of delivery, each in one transaction: reserve what goes next, note how it went.

Between two steps a process may end. A push that was reserved goes again when its lease runs out;
one whose end was noted never does.
"""

from collections.abc import Collection
from typing import Generic, NamedTuple, Protocol, TypeVar

from tellus.delivery import rules
from tellus.delivery.model import Attempt, Owed, PushState, Schedule
from tellus.kernel.errors import Conflict, NotFound
from tellus.storage.database import Tx

P = TypeVar("P", bound=Owed)


class PushInFlight(Conflict):
    """4001: the push is being sent."""

    def __init__(self) -> None:
        super().__init__("This push is being sent; look again in some seconds")


class PushEnded(Conflict):
    """4001: nothing more is to happen with the push."""

    def __init__(self, state: PushState) -> None:
        super().__init__(f"This push is {state.value.replace('_', ' ')}", state=state.value)


class PushOutdated(Conflict):
    """4001: there is a newer push about the same, which it must not follow."""

    def __init__(self) -> None:
        super().__init__("There is a newer push about the same")


class PeerGone(Conflict):
    """4001: the peer that the push was for is no peer any more."""

    def __init__(self) -> None:
        super().__init__("There is no such peer any more")


class Shelf(Protocol[P]):
    """Where pushes of one kind are kept; its functions run in a transaction."""

    def lock_receiver(self, tx: Tx, receiver_id: str, /) -> None:
        """Let nobody else decide which pushes of a receiver are sent until this one ends."""
        ...

    def list_receivers_due(self, tx: Tx, now_ms: int, /) -> list[str]:
        """Return the receivers that a push is due for."""
        ...

    def has_receiver(self, tx: Tx, receiver_id: str, /) -> bool:
        """Tell whether there is such a receiver, for pushes to go to."""
        ...

    def list_due(self, tx: Tx, receiver_id: str, now_ms: int, /) -> list[P]:
        """Return the pushes of a receiver that are due, the longest due first."""
        ...

    def list_busy(self, tx: Tx, receiver_id: str, now_ms: int, /) -> list[tuple[str, ...]]:
        """Return the lines of the pushes to a receiver that are being sent, by whichever node."""
        ...

    def take_lease(self, tx: Tx, push_no: int, lease_id: str, now_ms: int, /) -> bool:
        """Reserve a push for its sender until the lease ends; False where it is not due now."""
        ...

    def release_leases(self, tx: Tx, now_ms: int, /) -> int:
        """Make everything due that was being sent; for a start that has the store to itself."""
        ...

    def find_open(self, tx: Tx, push_no: int, /) -> P | None:
        """Return a push that has not ended, or None."""
        ...

    def find_push(self, tx: Tx, push_id: str, /) -> P | None:
        """Return a push, or None."""
        ...

    def save_push(self, tx: Tx, push: P, held: P, /) -> bool:
        """Write how a push stands now; False where it is not as ``held`` any more."""
        ...

    def count_waiting(self, tx: Tx, /) -> int:
        """Return how many pushes have not ended."""
        ...

    def delete_ended(self, tx: Tx, before_ms: int, limit: int, /) -> int:
        """Forget pushes that ended before ``before_ms``, the oldest first; return how many."""
        ...


class Names(NamedTuple):
    """What the log calls the pushes of a shelf: whose they are, and what their receivers are."""

    area: str
    receiver: str

    @property
    def left_alone(self) -> str:
        """Return the event of a receiver that counts as gone."""
        return f"{self.area}.{self.receiver}_left_alone"

    @property
    def is_back(self) -> str:
        """Return the event of a receiver that counts as well again."""
        return f"{self.area}.{self.receiver}_is_back"

    def event(self, name: str) -> str:
        """Return the event of that name."""
        return f"{self.area}.{name}"

    def receiver_id(self, receiver_id: str) -> dict[str, str]:
        """Return which receiver it is about."""
        return {f"{self.receiver}_id": receiver_id}


class Steps(Generic[P]):
    """What is done with the pushes of a shelf; ``intervals_ms`` is their schedule."""

    def __init__(self, shelf: Shelf[P], intervals_ms: Schedule, names: Names) -> None:
        self.shelf = shelf
        self.names = names
        self._intervals_ms = intervals_ms

    def reserve(
        self,
        tx: Tx,
        receiver_id: str,
        room: int,
        lease_id: str,
        now_ms: int,
        excluding: Collection[int] = (),
    ) -> list[P]:
        """Reserve up to ``room`` pushes to a receiver for whoever holds ``lease_id``; return them.

        At most four pushes to a receiver are reserved at a time, whoever asks. Those in
        ``excluding`` are left alone: how they went is known, and still to be noted.
        """
        shelf = self.shelf
        shelf.lock_receiver(tx, receiver_id)
        busy = shelf.list_busy(tx, receiver_id, now_ms)
        held = shelf.list_due(tx, receiver_id, now_ms)
        due = [push for push in held if push.push_no not in excluding]
        most = min(room, rules.room_for(rules.Breaker(), len(busy), 0.0))
        choice = rules.choose(due, busy, most)
        for push in choice.superseded:
            shelf.save_push(tx, rules.end(push, PushState.SUPERSEDED, now_ms), push)
        return [
            push for push in choice.sent if shelf.take_lease(tx, push.push_no, lease_id, now_ms)
        ]

    def note_attempt(
        self, tx: Tx, push_no: int, lease_id: str, attempt: Attempt, now_ms: int
    ) -> P | None:
        """Note how an attempt went; return the push as it is now, or None where that is no news.

        A verdict of the receiver counts whoever brings it. A failure counts only under the lease
        that the attempt was made under: another attempt may be under way by now.
        """
        held = self.shelf.find_open(tx, push_no)
        if held is None or not rules.is_news(held, lease_id, attempt):
            return None
        settled = rules.settle(held, attempt, now_ms, self._intervals_ms)
        return settled if self.shelf.save_push(tx, settled, held) else None

    def drive_again(self, tx: Tx, push_id: str, now_ms: int, *, even_accepted: bool = False) -> P:
        """Make a push due at once: one that waits, or one that ended.

        One that was accepted goes again only where that is asked for.

        Raises:
            NotFound: there is no such push.
            PushEnded: it was accepted.
            PushInFlight: it is being sent.
            PushOutdated: there is a newer one about the same.
            PeerGone: whom it is for was deleted.
        """
        held = self._get(tx, push_id, now_ms)
        if held.state is PushState.ACCEPTED and not even_accepted:
            raise PushEnded(held.state)
        if held.has_newer:
            raise PushOutdated
        if not self.shelf.has_receiver(tx, held.receiver_id):
            raise PeerGone
        driven = rules.drive_again(held, now_ms)
        if not self.shelf.save_push(tx, driven, held):
            raise PushInFlight
        return driven

    def cancel(self, tx: Tx, push_id: str, now_ms: int) -> P:
        """End a push that waits.

        Raises:
            NotFound: there is no such push.
            PushEnded: it has ended already.
            PushInFlight: it is being sent.
        """
        held = self._get(tx, push_id, now_ms)
        if held.state is not PushState.WAITING:
            raise PushEnded(held.state)
        cancelled = rules.end(held, PushState.CANCELLED, now_ms)
        if not self.shelf.save_push(tx, cancelled, held):
            raise PushInFlight
        return cancelled

    def _get(self, tx: Tx, push_id: str, now_ms: int) -> P:
        """Return a push that nobody is sending, and lets nobody begin."""
        found = self.shelf.find_push(tx, push_id)
        if found is None:
            raise NotFound
        self.shelf.lock_receiver(tx, found.receiver_id)
        held = self.shelf.find_push(tx, push_id)
        if held is None:
            raise NotFound
        if held.is_in_flight(now_ms):
            raise PushInFlight
        return held
