"""Who subscribes to which devices, and who gets which frame when.

A change marks a device for its subscribers; a subscriber gets at most one frame per device and
cadence, and always the newest. What a slow subscriber has not taken is replaced, never queued.
"""

import asyncio
from collections.abc import Callable, Sequence

from tellus.bus.port import Keys
from tellus.fleet.directory import Device, Directory
from tellus.kernel.call import Audience, Principal
from tellus.kernel.clock import Clock
from tellus.kernel.errors import ApiError, PermissionDenied
from tellus.surfaces.frames import encode_frame
from tellus.surfaces.streamsocket import StreamPeer

TICK_S = 0.05
_SLICE = 200

CLOSE_TOKEN = 4401
CLOSE_SCOPE = 4403
CLOSE_SLOW = 4408
CLOSE_REPLACED = 4409
CLOSE_TOO_MANY = 4429


class Subscriber:
    """One open stream: its devices, when each was last sent, and which have changed since."""

    __slots__ = (
        "closing", "device_nos", "due", "key", "paused_since_s", "peer", "principal", "sent_s",
        "token",
    )  # fmt: skip

    def __init__(
        self, peer: StreamPeer, principal: Principal, device_nos: Sequence[int], token: str
    ) -> None:
        self.peer = peer
        self.principal = principal
        self.device_nos = tuple(sorted(device_nos))
        self.key = (principal.principal_id, self.device_nos)
        self.token = token
        self.due: dict[int, None] = {}
        self.sent_s: dict[int, float] = {}
        self.paused_since_s: float | None = None
        self.closing: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

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
        self._waiting: dict[Subscriber, None] = {}
        self.frames_sent = 0

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
        self._subscribers[subscriber] = None
        for device_no in subscriber.device_nos:
            self._by_device.setdefault(device_no, {})[subscriber] = None

    def remove(self, subscriber: Subscriber) -> None:
        """Forget a subscriber."""
        self._subscribers.pop(subscriber, None)
        self._waiting.pop(subscriber, None)
        for device_no in subscriber.device_nos:
            held = self._by_device.get(device_no)
            if held is not None:
                held.pop(subscriber, None)
                if not held:
                    del self._by_device[device_no]

    async def send_snapshot(self, subscriber: Subscriber) -> None:
        """Send one frame per subscribed device, in the order of their numbers."""
        for device_no in subscriber.device_nos:
            if not subscriber.peer.is_writable() and not await subscriber.peer.drain():
                return
            device = self._directory.by_no(device_no)
            if device is not None and _may_see(subscriber, device):
                frame = encode_frame(device, self._clock.now_ms())
                self._send(subscriber, device_no, frame, self._clock.monotonic_s())

    def on_changed(self, device_nos: Keys) -> None:
        """Send, or mark for later, a frame of each changed device to each of its subscribers."""
        now_s = self._clock.monotonic_s()
        for device_no in device_nos:
            subscribers = self._by_device.get(device_no)
            device = self._directory.by_no(device_no)
            if not subscribers or device is None:
                continue
            frame: bytes | None = None
            for subscriber in subscribers:
                last_s = subscriber.sent_s.get(device_no)
                if last_s is None:
                    continue  # its snapshot is still to come and will show this change
                if not _may_see(subscriber, device):
                    continue
                if now_s - last_s < self._cadence_s or not subscriber.peer.is_writable():
                    subscriber.due[device_no] = None
                    self._waiting[subscriber] = None
                    continue
                if frame is None:
                    frame = encode_frame(device, self._clock.now_ms())
                self._send(subscriber, device_no, frame, now_s)

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

    async def _send_due(self) -> None:
        frames: dict[int, bytes] = {}
        for number, subscriber in enumerate(tuple(self._waiting)):
            if number % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
                frames.clear()  # what has come meanwhile is newer
            self._send_due_to(subscriber, frames)

    def _send_due_to(self, subscriber: Subscriber, frames: dict[int, bytes]) -> None:
        now_s = self._clock.monotonic_s()
        for device_no in tuple(subscriber.due):
            if not subscriber.peer.is_writable():
                if subscriber.paused_since_s is None:
                    subscriber.paused_since_s = now_s
                return
            if now_s - subscriber.sent_s[device_no] < self._cadence_s:
                continue
            del subscriber.due[device_no]
            device = self._directory.by_no(device_no)
            if device is None or not _may_see(subscriber, device):
                continue
            frame = frames.get(device_no)
            if frame is None:
                frame = frames[device_no] = encode_frame(device, self._clock.now_ms())
            self._send(subscriber, device_no, frame, now_s)
        subscriber.paused_since_s = None
        if not subscriber.due:
            self._waiting.pop(subscriber, None)

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
        return None


def _may_see(subscriber: Subscriber, device: Device) -> bool:
    """Tell whether the device is still the subscriber's: it may have moved to another operator."""
    return device.operator_id == subscriber.principal.operator_id
