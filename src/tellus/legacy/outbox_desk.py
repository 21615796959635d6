"""Use cases of those who look after the outbox: see what peers are owed, drive it again, end it."""

from tellus.audit.model import Actor
from tellus.audit.service import record
from tellus.kernel.errors import NotFound
from tellus.legacy import store_outbox as store
from tellus.legacy.model_outbox import OwedPush, PushFilter
from tellus.legacy.outbox import PeerOutbox
from tellus.legacy.outbox_steps import STEPS
from tellus.storage.database import Database, Tx


class OutboxDesk:
    """What administrators may do with pushes."""

    def __init__(self, database: Database, outbox: PeerOutbox) -> None:
        self._database = database
        self._outbox = outbox

    async def list_pushes(
        self, wanted: PushFilter, offset: int, size: int
    ) -> tuple[int, list[OwedPush]]:
        """Return how many pushes match and a page of them, newest first."""
        return await self._database.read(store.list_pushes, wanted, offset, size)

    async def get_push(self, push_id: str) -> OwedPush:
        """Return a push.

        Raises:
            NotFound: there is none.
        """
        push = await self._database.read(store.find_push, push_id)
        if push is None:
            raise NotFound
        return push

    async def retry_push(self, push_id: str, by: Actor, now_ms: int) -> OwedPush:
        """Have a push sent at once; one that had ended begins its schedule anew.

        Raises:
            NotFound: there is none.
            PushEnded, PushInFlight, PushOutdated, PeerGone: it must not be sent, or is being sent.
        """
        driven = await self._database.write(_retry, push_id, by, now_ms)
        self._outbox.wake()
        return driven

    async def cancel_push(self, push_id: str, by: Actor, now_ms: int) -> OwedPush:
        """End a push that waits.

        Raises:
            NotFound: there is none.
            PushEnded, PushInFlight: it has ended, or is being sent.
        """
        return await self._database.write(_cancel, push_id, by, now_ms)


def _retry(tx: Tx, push_id: str, by: Actor, now_ms: int) -> OwedPush:
    push = STEPS.drive_again(tx, push_id, now_ms)
    _record(tx, by, "push.retried", push, now_ms)
    return push


def _cancel(tx: Tx, push_id: str, by: Actor, now_ms: int) -> OwedPush:
    push = STEPS.cancel(tx, push_id, now_ms)
    _record(tx, by, "push.cancelled", push, now_ms)
    return push


def _record(tx: Tx, by: Actor, action: str, push: OwedPush, now_ms: int) -> None:
    record(
        tx,
        by.name,
        action,
        "push",
        push.push_id,
        None,
        by.request_id,
        now_ms,
        peer_id=push.peer_id,
        operation=push.operation.value,
    )
