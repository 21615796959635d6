"""Presence: who is online, when that changed, and the two faults that the platform finds by it."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from tellus.consent.model import Service
from tellus.fleet import rules, store_network, store_state
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Device, Directory
from tellus.fleet.events import EventKind, make_event
from tellus.fleet.model import (
    HEARTBEAT_LOST,
    RECONNECT_STORM,
    EventType,
    Origin,
    PresenceChanged,
    StoredEvent,
)
from tellus.fleet.model_network import ConnectionEntry, ConnectionKind
from tellus.identity.model import DeviceTokenIssued, SecretOverdue
from tellus.kernel.clock import Clock
from tellus.kernel.units import MINUTE_MS, SECOND_MS, to_text
from tellus.storage.database import Database, Tx

T = TypeVar("T")

_SLICE: Final = 200
_TOKEN_LEFT_S: Final = 600
_PENDING_EVENTS: Final = 10_000
_CLOCK_JUMP_MS: Final = 10 * SECOND_MS
_MERGE_MS: Final = 5 * SECOND_MS


@dataclass(frozen=True, slots=True)
class PresenceSettings:
    """How long a silent device stays online, nobody goes offline after a start, and flushes."""

    timeout_ms: int = 90 * SECOND_MS
    grace_ms: int = 2 * MINUTE_MS
    flush_ms: int = 15 * SECOND_MS


class Others(Protocol):
    """The other nodes, as presence sees them; where there are none, there is no such object."""

    @property
    def is_on_duty(self) -> bool:
        """Tell whether transitions are this node's to store."""
        ...

    def pass_on_reconnect(self, device_no: int) -> None:
        """Tell every node, this one included, that a device has reconnected."""
        ...

    def pass_on_seen(self, device_nos: Sequence[int]) -> None:
        """Tell the other nodes that devices that count as offline are being heard of."""
        ...

    async def merge_seen(self, since_ms: int) -> None:
        """Learn which devices were heard of since, by whichever node."""
        ...


class Transition(NamedTuple):
    """A device that came online or went offline, and since when (ms)."""

    device: Device
    online: bool
    since_ms: int
    announced: bool

    @property
    def entry(self) -> ConnectionEntry:
        """Return what the log of connections says of it."""
        kind = ConnectionKind.SHUTDOWN if self.announced else ConnectionKind.OFFLINE
        kind = ConnectionKind.ONLINE if self.online else kind
        return ConnectionEntry(self.device.device_no, self.since_ms, kind)


class PresenceWatch:
    """Watches all devices; ``sweep`` is to be called every few seconds."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        events: EventKind,
        catalogue: Catalogue,
        settings: PresenceSettings,
        clock: Clock,
    ) -> None:
        self._database = database
        self._directory = directory
        self._events = events
        self._catalogue = catalogue
        self._settings = settings
        self._clock = clock
        self._grace_until_ms = clock.now_ms() + settings.grace_ms
        self._offset_ms = self._wall_offset_ms(clock.now_ms())
        self._flushed_ms = clock.now_ms()
        self._pending: deque[StoredEvent] = deque(maxlen=_PENDING_EVENTS)
        self._reconnects: deque[ConnectionEntry] = deque(maxlen=_PENDING_EVENTS)
        self._peaks: dict[tuple[int, int], float] = {}
        self.told: list[Callable[[PresenceChanged], None]] = []
        self.others: Others | None = None

    def is_online(self, device: Device, now_ms: int) -> bool:
        """Tell whether the device is online: heard of in time, and not shut down since."""
        seen_ms = device.seen_ms
        if seen_ms in {0, device.shutdown_seen_ms}:
            return False
        if now_ms - seen_ms < self._settings.timeout_ms:
            return True
        return device.online and now_ms < self._grace_until_ms

    def since_ms(self, device: Device, now_ms: int) -> int | None:
        """Return since when the device is online, or offline, whichever it is; None for never."""
        online = self.is_online(device, now_ms)
        if online == device.online:
            return device.online_since_ms if online else device.offline_since_ms
        return device.seen_ms

    def note_status(self, device: Device, status: str, seen_ms: int, now_ms: int) -> None:
        """Follow what a heartbeat says; ``seen_ms`` is when that heartbeat came."""
        if status == "offline":
            device.shutdown_seen_ms = seen_ms
        elif device.shutdown_seen_ms is not None:
            device.shutdown_seen_ms = None
            if device.online:  # back before any sweep saw it gone
                self._tell_reconnect(device, now_ms)

    def note_token(self, fact: DeviceTokenIssued) -> None:
        """Count a token that a device asked for although its last one was good, as a reconnect."""
        device = self._directory.by_no(fact.device_no)
        if device is not None and fact.previous_token_left_s > _TOKEN_LEFT_S:
            self._tell_reconnect(device, fact.now_ms)

    def note_overdue(self, fact: SecretOverdue) -> None:
        """Raise an event about a secret that is used past its advised life."""
        data = {"reason": "secret_overdue", "overdue_since": to_text(fact.overdue_since_ms)}
        self._raise(fact.device_no, EventType.ALARM, data, fact.now_ms)

    async def sweep(self, now_ms: int) -> None:
        """Store who came and went with the faults that follow, and now and then who was seen."""
        self._follow_clock(now_ms)
        turned = await self._list_turned(now_ms)
        if self.others is not None and not all(transition.online for transition in turned):
            # Before anybody is said to have gone: what have the others heard since the last look?
            await self.others.merge_seen(now_ms - self._silence_ms)
            turned = [one for one in turned if one.online or self._look_at(one.device, now_ms)]
        for part in _slices(turned):
            await self._store(part, now_ms)
        await self._store_pending(now_ms)
        await self._store_reconnects()
        if now_ms - self._flushed_ms >= self._settings.flush_ms or now_ms < self._flushed_ms:
            await self.flush(now_ms)

    async def _list_turned(self, now_ms: int) -> list[Transition]:
        turned: list[Transition] = []
        for k, device in enumerate(self._directory):
            if k % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
            transition = self._look_at(device, now_ms)
            if transition is not None:
                turned.append(transition)
        if self.others is None or self.others.is_on_duty:
            return turned
        # Whose duty it is may not have heard of them; that they are silent here means nothing.
        back = [transition.device.device_no for transition in turned if transition.online]
        if back:
            self.others.pass_on_seen(back)
        return []

    async def flush(self, now_ms: int) -> None:
        """Store when devices were last seen, in few statements; also to be called at the end."""
        await self._store_pending(now_ms)
        await self._store_reconnects()
        changed = []
        for k, device in enumerate(self._directory):
            if k % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
            current = (device.seen_ms, device.heartbeat_ms)
            if current != device.flushed:
                changed.append((device, current, device.clock_offset_ms))
        for part in _slices(changed):
            rows = [(device.device_no, *current, offset) for device, current, offset in part]
            upsert = store_state.upsert_seen if self.others is None else store_state.merge_seen
            await self._database.write(upsert, rows)
            for device, current, _ in part:
                device.flushed = current
        if self._peaks:
            peaks = dict(self._peaks)
            rows_kw = [(*key, peak_kw) for key, peak_kw in sorted(peaks.items())]
            await self._database.write(store_state.upsert_peaks, rows_kw, now_ms)
            self._peaks = {k: kw for k, kw in self._peaks.items() if peaks.get(k) != kw}
        self._flushed_ms = now_ms
        if self.others is not None:
            await self.others.merge_seen(now_ms - self._silence_ms)

    def _look_at(self, device: Device, now_ms: int) -> Transition | None:
        self._note_peak(device)
        online = self.is_online(device, now_ms)
        if online == device.online:
            return None
        seen_ms = device.seen_ms
        announced = seen_ms == device.shutdown_seen_ms
        if not online and not announced and now_ms - seen_ms < self._silence_ms:
            return None
        return Transition(device, online, seen_ms, announced)

    @property
    def _silence_ms(self) -> int:
        """Return after which silence a device has gone: another node may have heard of it since."""
        unheard_ms = 0 if self.others is None else self._settings.flush_ms + _MERGE_MS
        return self._settings.timeout_ms + unheard_ms

    async def _store_pending(self, now_ms: int) -> None:
        while self._pending:
            await self._store((), now_ms)

    async def _store_reconnects(self) -> None:
        """Store the reconnects that this node has seen, whoever counts them."""
        while self._reconnects:
            # Taken off first: another sweep may run meanwhile, as when the platform stops.
            taken = range(min(len(self._reconnects), _SLICE))
            part = [self._reconnects.popleft() for _ in taken]
            try:
                await self._database.write(store_network.append_entries, part)
            except BaseException:
                self._reconnects.extendleft(reversed(part))
                raise

    async def _store(self, turned: Sequence[Transition], now_ms: int) -> None:
        events = [self._pending.popleft() for _ in range(min(len(self._pending), _SLICE))]
        lost = [
            self._heartbeat_lost(transition, now_ms)
            for transition in turned
            if not transition.online
            and not transition.announced
            and transition.device.allows(Service.DIAGNOSTICS, now_ms)
        ]
        try:
            fresh = await self._database.write(self._save, turned, [*lost, *events])
        except Exception:
            self._pending.extendleft(reversed(events))
            raise
        for transition in turned:
            self._apply(transition, now_ms)
        if fresh:
            self._events.tell(fresh)

    def _save(
        self, tx: Tx, turned: Sequence[Transition], events: Sequence[StoredEvent]
    ) -> list[StoredEvent]:
        rows = [
            (
                transition.device.device_no,
                int(transition.online),
                transition.since_ms if transition.online else None,
                None if transition.online else transition.since_ms,
            )
            for transition in turned
        ]
        store_state.upsert_transitions(tx, rows)
        store_network.append_entries(tx, [transition.entry for transition in turned])
        stored = self._events.append(tx, events)
        return [
            event
            for event in events
            if (event.time_ms, event.device_no, event.connector_id, event.digest) in stored
        ]

    def _apply(self, transition: Transition, now_ms: int) -> None:
        device, online, since_ms, announced = transition
        returned = online and device.offline_since_ms is not None
        if returned and not self._has_counted(device, now_ms):
            self._tell_reconnect(device, now_ms)
        device.online = online
        device.online_since_ms = since_ms if online else None
        device.offline_since_ms = None if online else since_ms
        if online and device.seen_ms != device.shutdown_seen_ms:
            device.shutdown_seen_ms = None
        for listener in self.told:
            listener(PresenceChanged(device.device_no, online, since_ms, announced))

    def _has_counted(self, device: Device, now_ms: int) -> bool:
        """Tell whether the token that a returning device asked for was counted already."""
        last_ms = device.reconnects[-1] if device.reconnects else 0
        recent_ms = now_ms - self._settings.timeout_ms
        return last_ms > max(device.offline_since_ms or 0, recent_ms)

    def _tell_reconnect(self, device: Device, now_ms: int) -> None:
        entry = ConnectionEntry(device.device_no, now_ms, ConnectionKind.RECONNECT)
        self._reconnects.append(entry)
        if self.others is None:
            self._count_reconnect(device, now_ms)
        else:
            self.others.pass_on_reconnect(device.device_no)

    def note_seen(self, device_nos: Sequence[int]) -> None:
        """Follow what another node has just heard of."""
        now_ms = self._clock.now_ms()
        for device_no in device_nos:
            device = self._directory.by_no(device_no)
            if device is not None and device.principal is not None:
                device.principal.last_seen_ms = max(device.principal.last_seen_ms, now_ms)

    def count_reconnects(self, device_nos: Sequence[int]) -> None:
        """Count reconnects that some node has seen; the one on duty raises the storm."""
        for device_no in device_nos:
            device = self._directory.by_no(device_no)
            if device is not None:
                self._count_reconnect(device, self._clock.now_ms())

    def _count_reconnect(self, device: Device, now_ms: int) -> None:
        if not rules.Reconnects.is_storm(device.reconnects, device.storm_ms, now_ms):
            return
        device.storm_ms = now_ms
        if self.others is not None and not self.others.is_on_duty:
            return
        data = {
            "fault_code": RECONNECT_STORM,
            "fault_message": "More than 5 reconnects within 10 minutes",
            "details": {"reconnects": len(device.reconnects)},
        }
        self._raise(device.device_no, EventType.FAULT, data, now_ms)

    def _heartbeat_lost(self, transition: Transition, now_ms: int) -> StoredEvent:
        timeout_s = self._settings.timeout_ms // SECOND_MS
        data = {
            "fault_code": HEARTBEAT_LOST,
            "fault_message": f"No request from the device for {timeout_s} s",
            "details": {"offline_since": to_text(transition.since_ms)},
        }
        place = (transition.device.device_no, 0)
        return make_event(place, EventType.FAULT, now_ms, data, now_ms, Origin.PLATFORM)

    def _raise(
        self, device_no: int, event_type: EventType, data: dict[str, Any], now_ms: int
    ) -> None:
        """Queue an event of the platform, if there may be any; the next sweep stores it."""
        device = self._directory.by_no(device_no)
        if device is not None and not device.allows(Service.DIAGNOSTICS, now_ms):
            return
        event = make_event((device_no, 0), event_type, now_ms, data, now_ms, Origin.PLATFORM)
        self._pending.append(event)

    def _note_peak(self, device: Device) -> None:
        """Remember the highest power of a device whose rating nobody has told."""
        if device.rated_power_kw is not None or self._catalogue.find(device.model) is not None:
            return
        for connector in device.connectors.values():
            reading = connector.reading
            if reading is not None and abs(reading.power_kw) > connector.peak_power_kw:
                connector.peak_power_kw = abs(reading.power_kw)
                key = (device.device_no, connector.connector_id)
                self._peaks[key] = connector.peak_power_kw

    def _follow_clock(self, now_ms: int) -> None:
        """Grant a new grace when the wall clock jumped: silence cannot be judged across that."""
        offset_ms = self._wall_offset_ms(now_ms)
        if abs(offset_ms - self._offset_ms) > _CLOCK_JUMP_MS:
            self._grace_until_ms = now_ms + self._settings.grace_ms
        self._offset_ms = offset_ms

    def _wall_offset_ms(self, now_ms: int) -> float:
        return now_ms - self._clock.monotonic_s() * SECOND_MS


def _slices(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _SLICE):
        yield items[start : start + _SLICE]
