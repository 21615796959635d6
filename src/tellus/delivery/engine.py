"""The engine of delivery: sends what receivers are owed, each receiver for itself.

It runs on the node on duty. What is sent and how that went is in the store, under leases, so that
two nodes that both believe to be on duty never send the same; in memory is only what is on its way
and what recent attempts say of each receiver.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Final, Generic, Protocol, TypeVar

import structlog

from tellus.delivery import rules
from tellus.delivery.model import LEASE_MS, Attempt, Owed, PushState, Verdict
from tellus.delivery.steps import Steps
from tellus.kernel.clock import Clock
from tellus.kernel.errors import ApiError, TooManyRequests, Unavailable
from tellus.kernel.ids import new_id
from tellus.kernel.units import DAY_MS, SECOND_MS
from tellus.storage.database import Database

_ROUND_S: Final = 1.0
_LATEST_START_S: Final = LEASE_MS / SECOND_MS / 3
_STORE_PAUSE_S: Final = 0.5
_STOP_WITHIN_S: Final = 5.0
_COUNT_EVERY_S: Final = 10.0
_DELETED_AT_ONCE: Final = 500
_TOLD: Final = {PushState.REJECTED: "push_rejected", PushState.GIVEN_UP: "push_given_up"}

log = structlog.get_logger(__name__)


P = TypeVar("P", bound=Owed)
P_contra = TypeVar("P_contra", bound=Owed, contravariant=True)
D = TypeVar("D")
D_contra = TypeVar("D_contra", contravariant=True)
D_co = TypeVar("D_co", covariant=True)


class Courier(Protocol[D_contra, P_contra]):
    """Makes one attempt at a push."""

    async def send(self, to: D_contra, push: P_contra) -> Verdict:
        """Return how it went; whatever the receiver does is an outcome, not an error."""
        ...

    async def close(self) -> None:
        """Let go of what it holds."""
        ...


class Destinations(Protocol[D_co]):
    """Knows where pushes of a receiver go, from its configuration and nowhere else."""

    async def find_destination(self, receiver_id: str, /) -> D_co | None:
        """Return where they go, or None while they go nowhere."""
        ...


class Outbox(Generic[P, D]):
    """Sends the pushes of a shelf; ``keep`` is to be called again and again.

    ``turn_s`` is how long a push may wait that was appended without a word (seconds); ``kept_days``
    for how long those that ended can be looked at.
    """

    def __init__(
        self,
        database: Database,
        steps: Steps[P],
        destinations: Destinations[D],
        courier: Courier[D, P],
        clock: Clock,
        *,
        turn_s: float = 1.0,
        kept_days: int = 30,
    ) -> None:
        self._database = database
        self._steps = steps
        self._shelf = steps.shelf
        self._destinations = destinations
        self._courier = courier
        self._clock = clock
        self._names = steps.names
        self._turn_s = turn_s
        self._kept_ms = kept_days * DAY_MS
        self._woken = asyncio.Event()
        self._sending: dict[int, tuple[str, asyncio.Task[None]]] = {}
        self._breakers: dict[str, rules.Breaker] = {}
        self._broken: BaseException | None = None
        self._counted_s = -_COUNT_EVERY_S
        self.waiting = 0
        """How many pushes wait, as last counted by the node on duty."""
        self.outcomes: Counter[str] = Counter()
        """How many attempts of this process ended how."""

    # ------------------------------------------------------------------ life

    async def start(self) -> None:
        """Take up what an earlier run was sending, where no other process can be at it."""
        if not self._database.is_shared:
            await self._database.write(self._shelf.release_leases, self._clock.now_ms())

    async def stop(self) -> None:
        """Let what is on its way arrive and be noted, for some seconds, and let go of the rest."""
        tasks = [task for _, task in self._sending.values()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_STOP_WITHIN_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._courier.close()

    def wake(self) -> None:
        """Have a look at once: something was appended, or may go now."""
        self._woken.set()

    @property
    def breakers_open(self) -> int:
        """Return how many receivers are left alone for a while, as this node sees it."""
        return sum(breaker.is_open for breaker in self._breakers.values())

    @property
    def breakers(self) -> Mapping[str, rules.Breaker]:
        """Return what recent attempts say of each receiver."""
        return self._breakers

    # ------------------------------------------------------------------ rounds

    async def keep(self) -> None:
        """Look after the outbox for a second.

        Raises:
            TooManyRequests, Unavailable: the store cannot serve now; the next round makes up.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + _ROUND_S
        while (left_s := until_s - loop.time()) > 0:
            await self._wait(min(self._turn_s, left_s))
            try:
                await self.look()
            except ApiError:
                # Not more often than once a round: it is logged each time.
                await asyncio.sleep(max(0.0, until_s - loop.time()))
                raise

    async def look(self) -> int:
        """Begin to send all that may go now; return how many pushes that are.

        Raises:
            TooManyRequests, Unavailable: the store cannot serve now; the next look makes up.
            Exception: what ended a sending by a bug; the push goes again after its lease.
        """
        self._woken.clear()
        broken, self._broken = self._broken, None
        if broken is not None:
            raise broken
        begun = 0
        for receiver_id in await self._database.read(
            self._shelf.list_receivers_due, self._clock.now_ms()
        ):
            begun += await self._serve(receiver_id)
        await self._count()
        return begun

    async def settled(self) -> None:
        """Return when nothing is on its way any more."""
        while self._sending:
            await asyncio.wait([task for _, task in self._sending.values()])

    async def prune(self) -> None:
        """Forget some of the pushes that ended long ago."""
        before_ms = self._clock.now_ms() - self._kept_ms
        await self._database.write(self._shelf.delete_ended, before_ms, _DELETED_AT_ONCE)

    async def _wait(self, longest_s: float) -> None:
        try:
            await asyncio.wait_for(self._woken.wait(), longest_s)
        except TimeoutError:
            return

    async def _count(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s >= self._counted_s + _COUNT_EVERY_S:
            self._counted_s = now_s
            self.waiting = await self._database.read(self._shelf.count_waiting)

    # ------------------------------------------------------------------ sending

    async def _serve(self, receiver_id: str) -> int:
        """Begin to send what may go to one receiver."""
        began_s = self._clock.monotonic_s()
        on_their_way = [number for number, (to, _) in self._sending.items() if to == receiver_id]
        breaker = self._breakers.get(receiver_id, rules.Breaker())
        room = rules.room_for(breaker, len(on_their_way), began_s)
        to = await self._destinations.find_destination(receiver_id) if room else None
        if to is None:
            return 0
        lease_id = new_id("lse")
        reserved = await self._database.write(
            self._steps.reserve, receiver_id, room, lease_id, self._clock.now_ms(), on_their_way
        )
        for push in reserved:
            task = asyncio.create_task(self._send(to, push, lease_id, began_s))
            task.add_done_callback(self._ended)
            self._sending[push.push_no] = receiver_id, task
        return len(reserved)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and task.exception() is not None:
            self._broken = task.exception()

    async def _send(self, to: D, push: P, lease_id: str, began_s: float) -> None:
        try:
            if self._clock.monotonic_s() - began_s > _LATEST_START_S:
                # The process was held up: the lease may end before the attempt does.
                return
            begun_ms = self._clock.now_ms()
            outcome, http_status = await self._courier.send(to, push)
            self.outcomes[outcome.value] += 1
            breaker = self._breakers.get(push.receiver_id, rules.Breaker())
            self._judge(push, breaker, rules.follow(breaker, outcome, self._clock.monotonic_s()))
            await self._note(push, lease_id, Attempt(begun_ms, outcome, http_status))
        finally:
            self._sending.pop(push.push_no, None)
            self.wake()

    async def _note(self, push: P, lease_id: str, attempt: Attempt) -> None:
        """Note how an attempt went, as soon as the store can."""
        while True:
            try:
                settled = await self._database.write(
                    self._steps.note_attempt, push.push_no, lease_id, attempt, self._clock.now_ms()
                )
            except (TooManyRequests, Unavailable):
                # What is known must not be lost: else a push that was accepted would go again.
                await asyncio.sleep(_STORE_PAUSE_S)
            else:
                break
        if settled is not None:
            self._tell(settled)

    def _judge(self, push: P, before: rules.Breaker, after: rules.Breaker) -> None:
        """Keep what is thought of a receiver, and tell where that turns."""
        if after == rules.Breaker():
            self._breakers.pop(push.receiver_id, None)
        else:
            self._breakers[push.receiver_id] = after
        if before.is_open != after.is_open:
            turn = self._names.left_alone if after.is_open else self._names.is_back
            log.warning(
                turn,
                failures=max(before.failures, after.failures),
                **self._names.receiver_id(push.receiver_id),
            )

    def _tell(self, push: P) -> None:
        """Log how a push ended where somebody should know."""
        event = _TOLD.get(push.state)
        if event is not None:
            log.warning(
                self._names.event(event),
                push_id=push.push_id,
                about=push.line,
                attempts=push.attempts,
                last_outcome=push.last_error,
                **self._names.receiver_id(push.receiver_id),
            )
