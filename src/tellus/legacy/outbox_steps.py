"""The steps of the outbox, each in one transaction: reserve what goes next, note how it went.

Between two steps a process may end. A push that was reserved goes again when its lease runs out;
one whose end was noted never does.
"""

from collections.abc import Collection

from tellus.kernel.errors import Conflict, NotFound
from tellus.legacy import rules_outbox as rules
from tellus.legacy import store_outbox as store
from tellus.legacy.model_outbox import Attempt, OwedPush, PushState
from tellus.storage.database import Tx


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


def reserve(
    tx: Tx, peer_id: str, room: int, lease_id: str, now_ms: int, excluding: Collection[int] = ()
) -> list[OwedPush]:
    """Reserve up to ``room`` pushes to a peer for whoever holds ``lease_id``; return them.

    At most four pushes to a peer are reserved at a time, whoever asks. Those in ``excluding`` are
    left alone: how they went is known, and still to be noted.
    """
    store.lock_peer(tx, peer_id)
    busy = store.list_busy(tx, peer_id, now_ms)
    due = [push for push in store.list_due(tx, peer_id, now_ms) if push.push_no not in excluding]
    choice = rules.choose(due, busy, min(room, rules.room_for(rules.Breaker(), len(busy), 0.0)))
    for push in choice.superseded:
        store.save_push(tx, rules.end(push, PushState.SUPERSEDED, now_ms), push)
    return [push for push in choice.sent if store.take_lease(tx, push.push_no, lease_id, now_ms)]


def note_attempt(
    tx: Tx, push_no: int, lease_id: str, attempt: Attempt, now_ms: int
) -> OwedPush | None:
    """Note how an attempt went; return the push as it is now, or None where that is no news.

    A verdict of the peer counts whoever brings it. A failure counts only under the lease that the
    attempt was made under: another attempt may be under way by now.
    """
    held = store.find_open(tx, push_no)
    if held is None or not rules.is_news(held, lease_id, attempt):
        return None
    settled = rules.settle(held, attempt, now_ms)
    return settled if store.save_push(tx, settled, held) else None


def drive_again(tx: Tx, push_id: str, now_ms: int) -> OwedPush:
    """Make a push due at once: one that waits, or one that ended without having been accepted.

    Raises:
        NotFound: there is no such push.
        PushEnded: the peer accepted it.
        PushInFlight: it is being sent.
        PushOutdated: there is a newer one about the same.
        PeerGone: its peer was deleted.
    """
    held = _get(tx, push_id, now_ms)
    if held.state is PushState.ACCEPTED:
        raise PushEnded(held.state)
    if held.has_newer:
        raise PushOutdated
    if not store.has_peer(tx, held.peer_id):
        raise PeerGone
    driven = rules.drive_again(held, now_ms)
    if not store.save_push(tx, driven, held):
        raise PushInFlight
    return driven


def cancel(tx: Tx, push_id: str, now_ms: int) -> OwedPush:
    """End a push that waits.

    Raises:
        NotFound: there is no such push.
        PushEnded: it has ended already.
        PushInFlight: it is being sent.
    """
    held = _get(tx, push_id, now_ms)
    if held.state is not PushState.WAITING:
        raise PushEnded(held.state)
    cancelled = rules.end(held, PushState.CANCELLED, now_ms)
    if not store.save_push(tx, cancelled, held):
        raise PushInFlight
    return cancelled


def _get(tx: Tx, push_id: str, now_ms: int) -> OwedPush:
    """Return a push that nobody is sending, and lets nobody begin."""
    found = store.find_push(tx, push_id)
    if found is None:
        raise NotFound
    store.lock_peer(tx, found.peer_id)
    held = store.find_push(tx, push_id)
    if held is None:
        raise NotFound
    if held.is_in_flight(now_ms):
        raise PushInFlight
    return held
