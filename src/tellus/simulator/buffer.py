"""What a charger keeps while it cannot send: bounded, and never at the cost of a record."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection

from tellus.simulator.messages import Kind, Message

_CAPACITY = 10_000
_THIN_MS = 30_000
_ALL_KINDS = tuple(Kind)


class OfflineBuffer:
    """A queue per kind. Out they go by importance, oldest first; in the bound, telemetry yields.

    When the bound is reached telemetry is thinned to one frame per connector in 30 s; when that
    does not make room, the oldest of the least important kind is dropped. Records are never
    dropped: they may exceed the bound, for they are what was sold.
    """

    __slots__ = ("_queues", "_thin_at", "capacity", "dropped")

    def __init__(self, capacity: int = _CAPACITY) -> None:
        self.capacity = capacity
        self.dropped: Counter[Kind] = Counter()
        self._queues: dict[Kind, deque[Message]] = {kind: deque() for kind in Kind}
        self._thin_at = 0

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def count(self, kind: Kind) -> int:
        """Return how many messages of one kind wait."""
        return len(self._queues[kind])

    def put(self, message: Message) -> None:
        """Add a message, making room if need be."""
        self._queues[message.kind].append(message)
        if len(self) > self.capacity:
            self._make_room()

    def _make_room(self) -> None:
        telemetry = self._queues[Kind.TELEMETRY]
        # Thinning costs a pass over everything, so it waits until a tenth has come in anew.
        if len(telemetry) > self._thin_at + self.capacity // 10:
            self._thin(telemetry)
            self._thin_at = len(telemetry)
        while len(self) > self.capacity:
            kind = next((kind for kind in reversed(_ALL_KINDS) if self._queues[kind]), Kind.RECORD)
            if kind is Kind.RECORD:
                return
            self._queues[kind].popleft()
            self.dropped[kind] += 1

    def _thin(self, telemetry: deque[Message]) -> None:
        kept_ms: dict[int, int] = {}
        kept: list[Message] = []
        for message in telemetry:
            before_ms = kept_ms.get(message.connector_id)
            if before_ms is None or message.time_ms - before_ms >= _THIN_MS:
                kept_ms[message.connector_id] = message.time_ms
                kept.append(message)
        self.dropped[Kind.TELEMETRY] += len(telemetry) - len(kept)
        telemetry.clear()
        telemetry.extend(kept)

    def next_kind(self, kinds: Collection[Kind] = _ALL_KINDS) -> Kind | None:
        """Return the most important kind that waits, among ``kinds``."""
        return next((kind for kind in _ALL_KINDS if kind in kinds and self._queues[kind]), None)

    def take(self, kind: Kind, limit: int = 1) -> list[Message]:
        """Take out the oldest of a kind, at most ``limit``."""
        queue = self._queues[kind]
        return [queue.popleft() for _ in range(min(limit, len(queue)))]

    def give_back(self, messages: list[Message]) -> None:
        """Put back what could not be sent, in front and in order."""
        for message in reversed(messages):
            self._queues[message.kind].appendleft(message)
