"""Device events: taken in many at a time, each stored once, and told to those who react."""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import msgspec
from msgspec.structs import replace

from tellus.fleet import rules, store_events, store_state
from tellus.fleet.directory import Connector, Directory
from tellus.fleet.model import EventsStored, EventType, Origin, StoredEvent
from tellus.identity.model import VinMode
from tellus.identity.vault import Vault
from tellus.kernel.errors import InvalidParameter
from tellus.kernel.units import is_clock_suspect
from tellus.kernel.vins import find_vin, hide_vin, replace_vins
from tellus.storage.database import Database, Tx

InTransaction = Callable[[Tx, EventsStored], None]
AfterCommit = Callable[[EventsStored], None]

_encoder = msgspec.json.Encoder()
_FAULT_CODE_CHARACTERS = 64
_canonical = msgspec.json.Encoder(order="deterministic")


def make_event(
    place: tuple[int, int],
    event_type: EventType,
    time_ms: int,
    data: dict[str, Any],
    received_ms: int,
    origin: Origin = Origin.DEVICE,
    conceal: Callable[[str], str] = hide_vin,
) -> StoredEvent:
    """Return the event to store for ``data`` as sent; ``place`` is device and connector (or 0).

    ``conceal`` turns a VIN into what stands for it in the event's key.

    Raises:
        InvalidParameter: ``data.fault_code`` is neither an integer nor text.
    """
    device_no, connector_id = place
    fault_key = _fault_key(data)
    text = _encoder.encode(data).decode()
    names_vehicle = find_vin(text) is not None
    shown = replace_vins(data) if names_vehicle else data
    keyed = replace_vins(data, conceal) if names_vehicle else data
    return StoredEvent(
        device_no=device_no,
        connector_id=connector_id,
        time_ms=time_ms,
        digest=rules.digest_of(event_type.value, _canonical.encode(keyed).decode()),
        event_type=event_type.value,
        fault_key=replace_vins(fault_key) if names_vehicle else fault_key,
        received_ms=received_ms,
        origin=origin.value,
        clock_suspect=is_clock_suspect(time_ms, received_ms),
        data=_encoder.encode(shown).decode() if names_vehicle else text,
        private_data=text if names_vehicle else None,
    )


def open_event(tx: Tx, vault: Vault, event: StoredEvent, vin_mode: str) -> StoredEvent:
    """Return an event as a client may see it: VINs whole, masked or starred out.

    Once the vehicle is erased, masked is all that is left.
    """
    if event.subject_id is None or event.sealed_data is None:
        return event
    if vin_mode not in (VinMode.FULL, VinMode.NONE):
        return event
    whole = vault.open_for(tx, event.subject_id, event.sealed_data)
    if whole is None:
        return event
    if vin_mode == VinMode.NONE:
        whole = _encoder.encode(replace_vins(msgspec.json.decode(whole), hide_vin))
    return replace(event, data=whole.decode())


def _fault_key(data: dict[str, Any]) -> str | None:
    code = data.get("fault_code")
    if code is None:
        return None
    whole = isinstance(code, int | str) or (isinstance(code, float) and code.is_integer())
    if isinstance(code, bool) or not whole or len(str(code)) > _FAULT_CODE_CHARACTERS:
        message = "Parameter 'data.fault_code' must be an integer or text of up to 64 characters"
        raise InvalidParameter(message, "data.fault_code", code)
    return rules.fault_key_of(code)


class EventKind:
    """Applies events in one statement per table and batch.

    An operation is the events of one request; its outcome says per event whether it was new.
    """

    name = "events"

    def __init__(self, directory: Directory, vault: Vault) -> None:
        self._directory = directory
        self._vault = vault
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
        sealed = [self._seal(tx, event) for event in events]
        stored = store_events.append_events(tx, sealed)
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

    def conceal(self, vin: str) -> str:
        """Return a keyed fingerprint of a VIN."""
        return self._vault.fingerprint(vin.upper().encode()).hex()

    def tell(self, fresh: Sequence[StoredEvent]) -> None:
        """Tell those who listen that ``fresh`` events are stored."""
        for listener in self.told:
            listener(EventsStored(tuple(fresh)))

    def _seal(self, tx: Tx, event: StoredEvent) -> StoredEvent:
        """Return the event with what names a vehicle sealed under that vehicle's key."""
        vin = find_vin(event.private_data) if event.private_data is not None else None
        device = self._directory.by_no(event.device_no)
        if vin is None or event.private_data is None or device is None:
            return event
        subject_id, _ = self._vault.seal(tx, device.operator_id, vin, event.received_ms)
        sealed = self._vault.seal_for(tx, subject_id, event.private_data.encode())
        return replace(event, subject_id=subject_id, sealed_data=sealed)

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
