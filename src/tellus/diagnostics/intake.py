"""What needs a look goes to the inbox, in the transaction of the fact that asks for it.

Reactions run on the writer; they change nothing but the database. What they say is small: a session
costs two or three rows, a sample none.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from tellus.alerts.withdrawal import Withheld, nobody
from tellus.diagnostics import store_counts, store_inbox
from tellus.diagnostics.model import (
    Count,
    FaultTold,
    HeartbeatTold,
    Item,
    ItemKind,
    RecordTold,
)
from tellus.diagnostics.rules_f_0601 import is_slow
from tellus.diagnostics.rules_f_0805 import is_clean
from tellus.diagnostics.rules_stuck import STUCK_AFTER_MS
from tellus.diagnostics.rules_wear import WORN_FROM, worn_ratio
from tellus.diagnostics.thresholds import Thresholds
from tellus.fleet.directory import Directory
from tellus.fleet.model import EventsStored, EventType, StoredEvent
from tellus.fleet.service import Heartbeat
from tellus.health.model import HealthSpan
from tellus.kernel.clock import Clock
from tellus.kernel.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from tellus.sessions.model import ChargingRecord, RecordsStored
from tellus.storage.database import Tx

STARTED: Final = ""
RECORDED: Final = "session"
"""What starts are counted under, by events and by charging records: a charger may send either."""

FAILED_START: Final = "F-0421"
"""The fault that is a start which failed: it counts among the starts."""

UNNAMED: Final = "fault"
"""What stands for the code of a fault event that has none."""

COUNTED_MS: Final = 400 * DAY_MS
"""What is told later than this is not counted, and counts older than this are forgotten."""

_TURNS: Final = frozenset({EventType.START, EventType.STOP, EventType.PLUG_IN, EventType.PLUG_OUT})
_AFTER_STOP_MS: Final = 30 * SECOND_MS
"""Three frames come within 10 s of a stop; late ones are waited for."""

_HEARTBEAT_WAIT_MS: Final = 20 * SECOND_MS
"""A charger tells of a fault by an event too, as a rule; that is waited for."""

_RECORD_WAIT_MS: Final = 5 * SECOND_MS
"""Records are sent before the events that explain them."""

_PREPARES_FOR_MS: Final = STUCK_AFTER_MS + 10 * SECOND_MS
"""From a plug-in to the first look; the authentication takes some seconds of it."""

_WEAR_EVERY_MS: Final = HOUR_MS
_WEAR_WAIT_MS: Final = MINUTE_MS
"""What a charger kept back while it was away comes in meanwhile: the forecast needs it."""

_LATE_MS: Final = 5 * MINUTE_MS
_LONGEST_DETAILS: Final = 2_000
_NO_FAULT: Final = frozenset({None, 0, "0", ""})

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Intake:
    """Reacts to facts of all kinds."""

    def __init__(self, directory: Directory, clock: Clock, thresholds: Thresholds) -> None:
        self._directory = directory
        self._clock = clock
        self._thresholds = thresholds
        self._wear_looked_ms: dict[tuple[int, int], int] = {}
        self.withheld: Withheld = nobody

    def on_events(self, tx: Tx, stored: EventsStored) -> None:
        """Take in faults, and when connectors were started and stopped."""
        now_ms = self._clock.now_ms()
        items, turns, counts = [], [], []
        for event in stored.events:
            kind = event.event_type
            if kind == EventType.FAULT or (kind == EventType.ALARM and event.fault_key):
                items.append(_fault_item(event, now_ms))
                counts += self._count(tx, event, event.fault_key or UNNAMED)
            elif kind in _TURNS and event.connector_id and not event.clock_suspect:
                turns.append((event.device_no, event.connector_id, kind, event.time_ms))
                if kind == EventType.STOP:
                    items.append(_stop_item(event, now_ms))
                elif kind == EventType.PLUG_IN and event.time_ms > event.received_ms - _LATE_MS:
                    items.append(_plug_item(event, now_ms))
                elif kind == EventType.START:
                    counts += self._count(tx, event, STARTED)
        if items:
            store_inbox.put_items(tx, items)
        if turns:
            store_inbox.note_turns(tx, turns)
        if counts:
            store_counts.add_counts(tx, counts)

    def on_heartbeats(self, tx: Tx, beats: Sequence[Heartbeat]) -> None:
        """Take in what heartbeats newly say of faults."""
        now_ms = self._clock.now_ms()
        items = []
        for beat in beats:
            device = self._directory.by_no(beat.device_no)
            before = None if device is None else device.fault_code
            if beat.fault_code in _NO_FAULT and before in _NO_FAULT:
                continue
            code = "" if beat.fault_code in _NO_FAULT else str(beat.fault_code)
            told = HeartbeatTold(code, beat.status, now_ms)
            due_ms = now_ms + _HEARTBEAT_WAIT_MS
            items.append(_item(ItemKind.HEARTBEAT, (beat.device_no, 0), "", due_ms, told))
        self._put_agreed(tx, items)

    def _put_agreed(self, tx: Tx, items: Sequence[Item]) -> None:
        """Take in what was told by heartbeats, which come without consent too."""
        withheld = self.withheld(tx, {item.device_no for item in items})
        agreed = [item for item in items if item.device_no not in withheld]
        if agreed:
            store_inbox.put_items(tx, agreed)

    def on_records(self, tx: Tx, stored: RecordsStored) -> None:
        """Take in records that did not end cleanly."""
        items = [
            _record_item(record, reason, self._clock.now_ms())
            for record in stored.records
            if not is_clean(reason := record.content.extras.get("stop_reason"))
        ]
        if items:
            store_inbox.put_items(tx, items)
        sound = [record for record in stored.records if not record.flags]
        if sound:
            store_inbox.note_turns(tx, map(_end_turn, sound))
            counts = [one for record in sound for one in self._count_record(tx, record)]
            store_counts.add_counts(tx, counts)

    def _count_record(self, tx: Tx, record: ChargingRecord) -> list[Count]:
        began_ms, device_no = record.content.start_ms, record.source.device_no
        # It comes at the end of what it tells of: that is no delay.
        late_ms = record.received_ms - max(record.content.end_ms - began_ms, 0)
        return self._count_at(tx, device_no, RECORDED, began_ms, late_ms)

    def on_minutes(self, tx: Tx, minutes: Sequence[HealthSpan]) -> None:
        """Take in devices whose fan was slow, and connectors whose contactor has closed often."""
        now_ms = self._clock.now_ms()
        slow = {span.device_no for span in minutes if self._is_slow(span)}
        worn = {
            (span.device_no, span.connector_id) for span in minutes if self._is_worn(span, now_ms)
        }
        items = places(ItemKind.FAN, ((no, 0) for no in slow), now_ms)
        items += places(ItemKind.WEAR, worn, now_ms + _WEAR_WAIT_MS)
        if items:
            store_inbox.put_items(tx, items)

    def on_configurations(self, tx: Tx, device_nos: Sequence[int]) -> None:
        """Take in devices whose configuration was told or assigned anew."""
        now_ms = self._clock.now_ms()
        self._put_agreed(tx, places(ItemKind.CONFIG, ((no, 0) for no in device_nos), now_ms))

    def _is_slow(self, span: HealthSpan) -> bool:
        rpm = span.metrics.get("cooling_fan_rpm")
        if rpm is None:
            return False
        device = self._directory.by_no(span.device_no)
        return device is not None and is_slow(rpm, self._thresholds.of(device))

    def _is_worn(self, span: HealthSpan, now_ms: int) -> bool:
        """Tell whether a contactor's wear is to be looked at: once an hour of each."""
        if span.start_ms < now_ms - HOUR_MS:
            return False
        device = self._directory.by_no(span.device_no)
        if device is None:
            return False
        ratio = worn_ratio(span.metrics, self._thresholds.of(device).contactor_cycles)
        if ratio is None or ratio < WORN_FROM:
            return False
        place = (span.device_no, span.connector_id)
        if self._wear_looked_ms.get(place, 0) > now_ms - _WEAR_EVERY_MS:
            return False
        self._wear_looked_ms[place] = now_ms
        return True

    def _count(self, tx: Tx, event: StoredEvent, code: str) -> list[Count]:
        # A charger may name its fault as starts are counted under.
        if event.clock_suspect or code == RECORDED:
            return []
        return self._count_at(tx, event.device_no, code, event.time_ms, event.received_ms)

    def _count_at(
        self, tx: Tx, device_no: int, code: str, at_ms: int, received_ms: int
    ) -> list[Count]:
        """Count a start or a fault for the firmware that ran then."""
        device = self._directory.by_no(device_no)
        if device is None or at_ms < received_ms - COUNTED_MS:
            return []
        version = device.firmware_version
        if at_ms < received_ms - _LATE_MS:
            version = store_counts.find_firmware_at(tx, device_no, at_ms) or version
        return [Count(device_no, at_ms - at_ms % DAY_MS, version, code, 1, at_ms)]


def places(
    kind: ItemKind, found: Iterable[tuple[int, int]], due_ms: int, content: Any = None
) -> list[Item]:
    """Return an item for each (device, connector)."""
    return [_item(kind, place, "", due_ms, content) for place in found]


def _item(kind: ItemKind, place: tuple[int, int], ref: str, due_ms: int, content: Any) -> Item:
    return Item(kind.value, *place, ref, due_ms, _encode(content).decode())


def _fault_item(event: StoredEvent, now_ms: int) -> Item:
    data = _decode(event.data)
    message = data.pop("fault_message", "")
    data.pop("fault_code", None)
    details = data if len(event.data) <= _LONGEST_DETAILS else {}
    told = FaultTold(
        event.fault_key or UNNAMED,
        event.origin,
        min(event.time_ms, event.received_ms),
        event.received_ms,
        str(message)[:200],
        details,
    )
    ref = f"{event.time_ms}:{event.digest}"
    return _item(ItemKind.FAULT, (event.device_no, event.connector_id), ref, now_ms, told)


def _stop_item(event: StoredEvent, now_ms: int) -> Item:
    due_ms = now_ms + _AFTER_STOP_MS
    place = (event.device_no, event.connector_id)
    return _item(ItemKind.STOP, place, str(event.time_ms), due_ms, event.time_ms)


def _plug_item(event: StoredEvent, now_ms: int) -> Item:
    place = (event.device_no, event.connector_id)
    return _item(ItemKind.PREPARE, place, "", now_ms + _PREPARES_FOR_MS, now_ms)


def _end_turn(record: ChargingRecord) -> tuple[int, int, str, int]:
    """Return the stop that a record tells of: the event of it may have been lost."""
    place = (record.source.device_no, record.content.connector_id)
    return (*place, EventType.STOP.value, record.content.end_ms)


def _record_item(record: ChargingRecord, reason: Any, now_ms: int) -> Item:
    content = record.content
    details = content.extras.get("details")
    told = RecordTold(
        content.record_id,
        str(reason)[:100],
        content.start_ms,
        content.end_ms,
        record.received_ms,
        details if len(_encode(details)) <= _LONGEST_DETAILS else None,
    )
    place = (record.source.device_no, content.connector_id)
    return _item(ItemKind.RECORD, place, content.record_id, now_ms + _RECORD_WAIT_MS, told)
