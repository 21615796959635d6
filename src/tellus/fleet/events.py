"""Device events: taken in many at a time, each stored once, and told to those who react."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import msgspec

from tellus.fleet import rules, store_events, store_state
from tellus.fleet.directory import Connector, Directory
from tellus.fleet.model import EventsStored, EventType, Origin, StoredEvent
from tellus.kernel.errors import InvalidParameter
from tellus.kernel.units import is_clock_suspect
from tellus.storage.database import Database, Tx

InTransaction = Callable[[Tx, EventsStored], None]
AfterCommit = Callable[[EventsStored], None]

_encoder = msgspec.json.Encoder()
_canonical = msgspec.json.Encoder(order="deterministic")


def make_event(
    place: tuple[int, int],
    event_type: EventType,
    time_ms: int,
    data: dict[str, Any],
    received_ms: int,
    origin: Origin = Origin.DEVICE,
) -> StoredEvent:
    """Return the event to store for ``data`` as sent; ``place`` is device and connector (or 0).

    Raises:
        InvalidParameter: ``data.fault_code`` is neither an integer nor text.
    """
    device_no, connector_id = place
    return StoredEvent(
        device_no=device_no,
        connector_id=connector_id,
        time_ms=time_ms,
        digest=rules.digest_of(event_type.value, _canonical.encode(data).decode()),
        event_type=event_type.value,
        fault_key=_fault_key(data),
        received_ms=received_ms,
        origin=origin.value,
        clock_suspect=is_clock_suspect(time_ms, received_ms),
        data=_encoder.encode(data).decode(),
    )


def _fault_key(data: dict[str, Any]) -> str | None:
    code = data.get("fault_code")
    if code is None:
        return None
    whole = isinstance(code, int | str) or (isinstance(code, float) and code.is_integer())
    if isinstance(code, bool) or not whole:
        message = "Parameter 'data.fault_code' must be an integer or text"
        raise InvalidParameter(message, "data.fault_code", code)
    return rules.fault_key_of(code)


class EventKind:
    """Applies events in one statement per table and batch.

    An operation is the events of one request; its outcome says per event whether it was new.
    """

    name = "events"

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.in_tx: list[InTransaction] = []
        self.told: list[AfterCommit] = []
        self.stored = 0
        self.duplicates = 0

    def apply_many(self, tx: Tx, operations: Sequence[tuple[StoredEvent, ...]]) -> list[list[bool]]:
        """Append what is new, and the connectors it speaks of."""
        unique = {_key(event): event for event in chain.from_iterable(operations)}
        unseen = [
            (event.device_no, event.connector_id)
            for event in unique.values()
            if event.connector_id and not self._is_known(event)
        ]
        if unseen:
            store_state.append_connectors(tx, unseen, next(iter(unique.values())).received_ms)
        stored = self.append(tx, list(unique.values()))
        outcomes = []
        for events in operations:
            outcomes.append([_key(event) in stored for event in events])
            stored.difference_update(map(_key, events))
        return [_first_of_repeats(*pair) for pair in zip(operations, outcomes, strict=True)]

    def append(self, tx: Tx, events: Sequence[StoredEvent]) -> set[store_events.EventKey]:
        """Append ``events`` where new, with the reactions owed to them; return the new keys."""
        stored = store_events.append_events(tx, events)
        fresh = tuple(event for event in events if _key(event) in stored)
        if fresh:
            for react in self.in_tx:
                react(tx, EventsStored(fresh))
        return stored

    def after_commit(
        self,
        operations: Sequence[tuple[StoredEvent, ...]],
        outcomes: Sequence[Sequence[bool]],
    ) -> None:
        """Take in new connectors and tell of what is new."""
        fresh = []
        for events, news in zip(operations, outcomes, strict=True):
            for event, new in zip(events, news, strict=True):
                if new:
                    fresh.append(event)
                self._see(event)
            self.duplicates += len(news) - sum(news)
        self.stored += len(fresh)
        if fresh:
            self.tell(fresh)

    def tell(self, fresh: Sequence[StoredEvent]) -> None:
        """Tell those who listen that ``fresh`` events are stored."""
        for listener in self.told:
            listener(EventsStored(tuple(fresh)))

    def _is_known(self, event: StoredEvent) -> bool:
        device = self._directory.by_no(event.device_no)
        return device is not None and event.connector_id in device.connectors

    def _see(self, event: StoredEvent) -> None:
        device = self._directory.by_no(event.device_no)
        if device is not None and event.connector_id:
            device.connectors.setdefault(event.connector_id, Connector(event.connector_id))


class EventService:
    """Takes device events in."""

    def __init__(self, database: Database, kind: EventKind, directory: Directory) -> None:
        self._database = database
        self._directory = directory
        self.kind = kind
        self.admitted: dict[tuple[str, str], int] = {}

    async def report(self, events: Sequence[StoredEvent]) -> list[bool]:
        """Store the events of one request; tell per event whether it was new."""
        if not events:
            return []
        outcome: list[bool] = await self._database.submit(self.kind, tuple(events))
        return outcome

    def note_admission(self, device_no: int, deviation: str) -> None:
        """Count by model what the published contract does not allow and we take in all the same."""
        device = self._directory.by_no(device_no)
        key = (device.model if device else "", deviation)
        self.admitted[key] = self.admitted.get(key, 0) + 1


def _key(event: StoredEvent) -> store_events.EventKey:
    return event.time_ms, event.device_no, event.connector_id, event.digest


def _first_of_repeats(events: Sequence[StoredEvent], news: Sequence[bool]) -> list[bool]:
    """Return ``news`` with only the first of equal events within one request as new."""
    seen: set[store_events.EventKey] = set()
    outcome = []
    for event, new in zip(events, news, strict=True):
        key = _key(event)
        outcome.append(new and key not in seen)
        seen.add(key)
    return outcome
