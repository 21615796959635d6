"""Who subscribes to which devices, and who gets which frame when.

A change marks a device for its subscribers; a subscriber gets at most one frame per device and
cadence, and always the newest. What a slow subscriber has not taken is replaced, never queued.
"""

import asyncio
import enum
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Final

from tellus.bus.port import Keys
from tellus.consent.model import Service
from tellus.fleet.directory import Device, Directory
from tellus.kernel.call import Audience, Principal
from tellus.kernel.clock import Clock
from tellus.kernel.errors import ApiError, PermissionDenied
from tellus.surfaces.frames import encode_frame
from tellus.surfaces.guard.streamsocket import StreamPeer

TICK_S = 0.05
# A frame for one subscriber takes some microseconds, most of them in the kernel; a mark far less.
_FRAMES_AT_ONCE = 100
_MARKS_AT_ONCE = 1_000

# Of a moment in milliseconds these bits tell it from others of the same hour.
_MOMENT_BITS = 22
_MOMENTS = (1 << _MOMENT_BITS) - 1

CLOSE_TOKEN = 4401
CLOSE_SCOPE = 4403
CLOSE_SLOW = 4408
CLOSE_REPLACED = 4409
CLOSE_TOO_MANY = 4429


class Channel(enum.StrEnum):
    """What a stream may carry."""

    TELEMETRY = "telemetry"
    ALERTS = "alerts"


TELEMETRY_ALONE: Final = frozenset({Channel.TELEMETRY})


class Subscriber:
    """One open stream: its devices, when each was last sent, and which have changed since.

    ``alerts`` are the frames of alerts that wait to be sent, the newest of each.
    """

    __slots__ = (
        "alerts", "channels", "closing", "device_nos", "due", "key", "opened_ms", "paused_since_s",
        "peer", "principal", "sent_s", "token",
    )  # fmt: skip

    def __init__(
        self,
        peer: StreamPeer,
        principal: Principal,
        device_nos: Sequence[int],
        token: str,
        channels: frozenset[Channel] = TELEMETRY_ALONE,
    ) -> None:
        self.peer = peer
        self.principal = principal
        self.device_nos = tuple(sorted(device_nos))
        self.channels = channels
        self.key = (principal.principal_id, self.device_nos, channels)
        self.alerts: dict[int, bytes] = {}
        self.token = token
        self.opened_ms = 0
        self.due: dict[int, None] = {}
        self.sent_s: dict[int, float] = {}
        self.paused_since_s: float | None = None
        self.closing: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    @property
    def number(self) -> int:
        """Return a number that stands for client, devices and channels, the same on every node."""
        text = " ".join((self.key[0], str(self.device_nos), *sorted(self.channels))).encode()
        return int.from_bytes(blake2b(text, digest_size=8).digest()) >> _MOMENT_BITS + 1

    def close(self, code: int, reason: str) -> None:
        """Ask the stream to end; the first reason stands."""
        if not self.closing.done():
            self.closing.set_result((code, reason))


class Hub:
    """Passes changes on to subscribers, on the event loop."""

    def __init__(
        self,
        directory: Directory,
        clock: Clock,
        authenticate: Callable[[str, Audience], Principal],
        *,
        cadence_s: float = 1.0,
        slow_after_s: float = 30.0,
    ) -> None:
        self._directory = directory
        self._authenticate = authenticate
        self._clock = clock
        self._cadence_s = cadence_s
        self._slow_after_s = slow_after_s
        self._by_device: dict[int, dict[Subscriber, None]] = {}
        self._subscribers: dict[Subscriber, None] = {}
        self.followers: dict[Subscriber, None] = {}
        """Those who are told of alerts."""
        self._waiting: dict[Subscriber, None] = {}
        self._changed: dict[int, None] = {}
        self.frames_sent = 0
        self.on_opened: Callable[[int], None] | None = None
        """Told of each stream that is opened, for ``close_replaced`` of other nodes."""

    def __len__(self) -> int:
        return len(self._subscribers)

    def of_client(self, client_id: str) -> list[Subscriber]:
        """Return the client's open streams."""
        return [one for one in self._subscribers if one.principal.principal_id == client_id]

    def add(self, subscriber: Subscriber) -> None:
        """Let a subscriber in; the same client's stream of the same devices is replaced."""
        for other in self.of_client(subscriber.principal.principal_id):
            if other.key == subscriber.key:
                other.close(CLOSE_REPLACED, "replaced by a newer connection")
                self.remove(other)
        subscriber.opened_ms = self._clock.now_ms()
        if self.on_opened is not None:
            moment = subscriber.opened_ms & _MOMENTS
            self.on_opened(subscriber.number << _MOMENT_BITS | moment)
        self._subscribers[subscriber] = None
        if Channel.ALERTS in subscriber.channels:
            self.followers[subscriber] = None
        if Channel.TELEMETRY in subscriber.channels:
            for device_no in subscriber.device_nos:
                self._by_device.setdefault(device_no, {})[subscriber] = None

    def close_replaced(self, keys: Keys) -> None:
        """Close the streams for which the same were opened later on another node.

        A key is the number of a stream and, in its last bits, the moment of its opening: word of an
        older one may come after a newer one was opened here.
        """
        moments = {key >> _MOMENT_BITS: key & _MOMENTS for key in keys}
        now_ms = self._clock.now_ms()
        for subscriber in tuple(self._subscribers):
            moment = moments.get(subscriber.number)
            if moment is not None and _is_later(moment, subscriber.opened_ms, now_ms):
                subscriber.close(CLOSE_REPLACED, "replaced by a newer connection")
                self.remove(subscriber)

    def remove(self, subscriber: Subscriber) -> None:
        """Forget a subscriber."""
        self._subscribers.pop(subscriber, None)
        self._waiting.pop(subscriber, None)
        self.followers.pop(subscriber, None)
        for device_no in subscriber.device_nos:
            held = self._by_device.get(device_no)
            if held is not None:
                held.pop(subscriber, None)
                if not held:
                    del self._by_device[device_no]

    async def send_snapshot(self, subscriber: Subscriber) -> None:
        """Send one frame per subscribed device, in the order of their numbers."""
        if Channel.TELEMETRY not in subscriber.channels:
            return
        for number, device_no in enumerate(subscriber.device_nos, 1):
            if not subscriber.peer.is_writable() and not await subscriber.peer.drain():
                return
            device = self._directory.by_no(device_no)
            if device is not None and _may_see(subscriber, device, self._clock.now_ms()):
                frame = encode_frame(device, self._clock.now_ms())
                self._send(subscriber, device_no, frame, self._clock.monotonic_s())
            if number % _FRAMES_AT_ONCE == 0:
                await asyncio.sleep(0)

    def on_changed(self, device_nos: Keys) -> None:
        """Send, or mark for later, a frame of each changed device to each of its subscribers.

        What one call has no time for is left to the next tick.
        """
        sends, marks = _FRAMES_AT_ONCE, _MARKS_AT_ONCE
        for position, device_no in enumerate(device_nos):
            if marks <= 0:
                self._changed.update(dict.fromkeys(device_nos[position:]))
                return
            if device_no in self._by_device:
                marks -= len(self._by_device[device_no])
                sends -= self._pass_on(device_no, sends)

    def _pass_on(self, device_no: int, sends: int) -> int:
        """Send a device's frame to up to ``sends`` subscribers, mark the others; return how many.

        A subscriber that it was never sent to is left alone: its snapshot is still to come and will
        show the change.
        """
        device = self._directory.by_no(device_no)
        if device is None:
            return 0
        now_s, now_ms = self._clock.monotonic_s(), self._clock.now_ms()
        frame: bytes | None = None
        sent = 0
        for subscriber in self._by_device.get(device_no, ()):
            last_s = subscriber.sent_s.get(device_no)
            if last_s is None or not _may_see(subscriber, device, now_ms):
                continue
            early = now_s - last_s < self._cadence_s
            if early or sent >= sends or not subscriber.peer.is_writable():
                subscriber.due[device_no] = None
                self._waiting[subscriber] = None
                continue
            if frame is None:
                frame = encode_frame(device, now_ms)
            self._send(subscriber, device_no, frame, now_s)
            sent += 1
        return sent

    def may_tell_of(self, device_no: int | None) -> bool:
        """Tell whether alerts about a device may be shown; None is about no single one."""
        device = None if device_no is None else self._directory.by_no(device_no)
        return device is None or device.allows(Service.DIAGNOSTICS, self._clock.now_ms())

    def send_alerts(self, subscriber: Subscriber) -> None:
        """Send the frames of alerts that a subscriber takes now; the others wait."""
        while subscriber.alerts:
            if not subscriber.peer.is_writable():
                if subscriber.paused_since_s is None:
                    subscriber.paused_since_s = self._clock.monotonic_s()
                return
            number = next(iter(subscriber.alerts))
            if subscriber.peer.write_frame(subscriber.alerts.pop(number)):
                self.frames_sent += 1
        if not subscriber.due:
            subscriber.paused_since_s = None

    async def run(self) -> None:
        """Send what has become due and close what has to end, until cancelled."""
        sweep_at_s = 0.0
        while True:
            await asyncio.sleep(TICK_S)
            await self._send_due()
            now_s = self._clock.monotonic_s()
            if now_s >= sweep_at_s:
                sweep_at_s = now_s + 1.0
                self._close_ended(now_s)

    async def _mark_changed(self) -> None:
        """Mark the devices that a call had no time for."""
        changed, self._changed = self._changed, {}
        marks = 0
        for device_no in changed:
            self._pass_on(device_no, 0)
            marks += 1 + len(self._by_device.get(device_no, ()))
            if marks >= _MARKS_AT_ONCE:
                marks = 0
                await asyncio.sleep(0)

    async def _send_due(self) -> None:
        """Send what is due, a little at a time."""
        await self._mark_changed()
        frames: dict[int, bytes] = {}
        effort = 0
        for subscriber in tuple(self._waiting):
            whole = False
            while not whole and subscriber in self._waiting:
                if effort >= _FRAMES_AT_ONCE:
                    effort = 0
                    await asyncio.sleep(0)
                    frames.clear()  # what has come meanwhile is newer
                effort += 1 + len(subscriber.due) * _FRAMES_AT_ONCE // _MARKS_AT_ONCE
                sent, whole = self._send_due_to(subscriber, frames)
                effort += sent

    def _send_due_to(self, subscriber: Subscriber, frames: dict[int, bytes]) -> tuple[int, bool]:
        """Send up to 100 frames; return how many, and whether that was all that can go now."""
        now_s, now_ms = self._clock.monotonic_s(), self._clock.now_ms()
        sent = 0
        for device_no in tuple(subscriber.due):
            if not subscriber.peer.is_writable():
                if subscriber.paused_since_s is None:
                    subscriber.paused_since_s = now_s
                return sent, True
            if now_s - subscriber.sent_s[device_no] < self._cadence_s:
                continue
            if sent >= _FRAMES_AT_ONCE:
                return sent, False
            del subscriber.due[device_no]
            device = self._directory.by_no(device_no)
            if device is None or not _may_see(subscriber, device, now_ms):
                continue
            frame = frames.get(device_no)
            if frame is None:
                frame = frames[device_no] = encode_frame(device, now_ms)
            self._send(subscriber, device_no, frame, now_s)
            sent += 1
        subscriber.paused_since_s = None
        if not subscriber.due:
            self._waiting.pop(subscriber, None)
        return sent, True

    def _send(self, subscriber: Subscriber, device_no: int, frame: bytes, now_s: float) -> None:
        if subscriber.peer.write_frame(frame):
            self.frames_sent += 1
        subscriber.sent_s[device_no] = now_s
        subscriber.paused_since_s = None
        subscriber.due.pop(device_no, None)

    def _close_ended(self, now_s: float) -> None:
        """Close streams of tokens that are no longer good, and of peers that do not read."""
        for subscriber in tuple(self._subscribers):
            refused = self._refusal(subscriber)
            if refused is not None:
                subscriber.close(*refused)
            elif (
                subscriber.paused_since_s is not None
                and now_s - subscriber.paused_since_s > self._slow_after_s
            ):
                subscriber.close(CLOSE_SLOW, "the connection does not keep up")

    def _refusal(self, subscriber: Subscriber) -> tuple[int, str] | None:
        """Return the close code and reason that the subscriber's token calls for by now, if any."""
        try:
            principal = self._authenticate(subscriber.token, Audience.OPERATOR)
        except ApiError as error:
            return CLOSE_TOKEN, str(error.code)
        if "read" not in principal.scopes:
            return CLOSE_SCOPE, str(PermissionDenied.code)
        named, now_ms = subscriber.device_nos, self._clock.now_ms()
        # A stream of alerts alone may name no device at all.
        if named and not may_look_at_any(self._directory, named, now_ms):
            return CLOSE_SCOPE, str(PermissionDenied.code)
        return None


def may_look_at_any(directory: Directory, device_nos: Iterable[int], now_ms: int) -> bool:
    """Tell whether the owner of at least one of these devices agrees to be looked at.

    Devices that are gone are another matter, and so is a stream that asks for none.
    """
    devices = [directory.by_no(device_no) for device_no in device_nos]
    return not devices or any(
        device is None or device.allows(Service.DIAGNOSTICS, now_ms) for device in devices
    )


def _is_later(moment: int, opened_ms: int, now_ms: int) -> bool:
    """Tell whether ``moment``, which is recent, came after ``opened_ms``."""
    if now_ms - opened_ms > _MOMENTS // 2:
        return True
    return 0 < (moment - opened_ms & _MOMENTS) <= _MOMENTS // 2


def _may_see(subscriber: Subscriber, device: Device, now_ms: int) -> bool:
    """Tell whether the device is still the subscriber's, and its owner agrees to be looked at."""
    is_own = device.operator_id == subscriber.principal.operator_id
    return is_own and device.allows(Service.DIAGNOSTICS, now_ms)
