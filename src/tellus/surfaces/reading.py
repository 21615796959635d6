"""The accounting of reads at the edge: whose data an answer or a stream was of."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from msgspec import UNSET

from tellus.coexistence.ledger import ReadLedger
from tellus.coexistence.model import DataKind, ReaderKind, ReadGroup, ReadScope
from tellus.fleet.directory import Device, Directory
from tellus.kernel.call import Audience, Call, Principal
from tellus.kernel.clock import Clock
from tellus.kernel.units import SECOND_MS
from tellus.surfaces.consenting import Subjects

# Made for every read: the plain values are quicker than the enumerations.
_PEER: Final = ReaderKind.PEER.value
_CLIENT: Final = ReaderKind.CLIENT.value
_CUSTOMER: Final = ReaderKind.CUSTOMER.value
_ADMINISTRATOR: Final = ReaderKind.ADMINISTRATOR.value
_DEVICE: Final = ReadScope.DEVICE.value
_SITE: Final = ReadScope.SITE.value
_OPERATOR: Final = ReadScope.OPERATOR.value
_NOBODY: Final = frozenset({None, UNSET})
_LIVE: Final = DataKind.LIVE.value
_STREAMS_AT_ONCE: Final = 20
FLUSH_S: Final = 10.0
"""How often counts are written: what a killed process had not written yet is lost, but for the
first read of each day."""
_STREAMS_EVERY_S: Final = 60.0
_PRUNE_EVERY_S: Final = 60.0


class OpenStream(NamedTuple):
    """A stream, and up to when (ms) its duration is counted."""

    principal: Principal
    device_nos: tuple[int, ...]
    counted_ms: int


class ReadAccounting:
    """Counts what was read, from the call and its answer."""

    def __init__(
        self, ledger: ReadLedger, directory: Directory, subjects: Subjects, clock: Clock
    ) -> None:
        self._subjects = subjects
        self._ledger = ledger
        self._clock = clock
        self._directory = directory
        self._streams: dict[object, OpenStream] = {}

    def begin(self, run_every: Callable[..., None]) -> None:
        """Let what is counted reach the store every few seconds, and go once it is old."""
        run_every(FLUSH_S, self._ledger.flush)
        run_every(_STREAMS_EVERY_S, self.count_streams)
        run_every(_PRUNE_EVERY_S, self._ledger.prune, once=True)

    def count(self, kind: str, call: Call[Any, Any], answer: Any) -> bool:
        """Count a read; tell whether it is to be on disk before it is answered (``flush``).

        ``answer`` is what the handler returned, for a file what it is about.
        """
        principal = call.principal
        device_id = call.path.get("device_id")
        if device_id is not None and principal.operator_id:
            key = (principal.principal_id, kind, device_id)
            is_new = self._ledger.count_again(key, call.now_ms)
            if is_new is not None:
                return is_new
        scope, scope_ids = _scopes(call, answer)
        if principal.operator_id:
            group = _group(principal, kind, scope, principal.operator_id)
            return self._ledger.count(group, scope_ids, call.now_ms)
        is_new = False
        for operator_id, some in self._by_operator(scope_ids).items():
            group = _group(principal, kind, scope, operator_id)
            is_new |= self._ledger.count(group, some, call.now_ms)
        return is_new

    async def subject_of(self, call: Call[Any, Any]) -> Device | None:
        """Return the device of the thing that a call names by an identifier of its own, or None."""
        kind = next((name for name in call.path if name in self._subjects.kinds), None)
        if kind is None:
            return None
        device_no = await self._subjects.find_device_no(kind, call.path[kind])
        return self._directory.by_no(device_no or 0)

    async def flush(self) -> None:
        """Have on disk what was counted."""
        await self._ledger.settle()

    def _by_operator(self, device_ids: Iterable[str]) -> dict[str, list[str]]:
        """Return by operator the devices that an administrator has read."""
        operators: dict[str, list[str]] = {}
        for device_id in device_ids:
            device = self._directory.by_id(device_id)
            if device is not None:
                operators.setdefault(device.operator_id, []).append(device_id)
        return operators

    def _streamed(self, held: OpenStream) -> tuple[ReadGroup, list[str]]:
        """Return what the seconds of a stream are counted under, and for which devices."""
        principal = held.principal
        operator_id = principal.operator_id
        devices = [self._directory.by_no(device_no) for device_no in held.device_nos]
        own = [one.device_id for one in devices if one and one.operator_id == operator_id]
        return _group(principal, _LIVE, _DEVICE, operator_id), own

    async def open_stream(
        self, stream: object, principal: Principal, device_nos: Sequence[int], now_ms: int
    ) -> None:
        """Count the opening of a stream; return once the first of today is on disk."""
        held = self._streams[stream] = OpenStream(principal, tuple(device_nos), now_ms)
        if self._ledger.count(*self._streamed(held), now_ms):
            await self._ledger.settle()

    def close_stream(self, stream: object, now_ms: int) -> None:
        """Count how long a stream was open since it was last counted, for the last time."""
        held = self._streams.pop(stream, None)
        if held is not None:
            self._count(held, now_ms)

    async def count_streams(self) -> None:
        """Count how long open streams have been open since they were last counted."""
        now_ms = self._clock.now_ms()
        for number, (stream, held) in enumerate(tuple(self._streams.items()), 1):
            self._streams[stream] = held._replace(counted_ms=self._count(held, now_ms))
            if number % _STREAMS_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _count(self, held: OpenStream, now_ms: int) -> int:
        """Count the whole seconds of a stream; return up to when (ms) they are counted."""
        seconds = (now_ms - held.counted_ms) // SECOND_MS
        if seconds <= 0:
            return held.counted_ms
        self._ledger.count(*self._streamed(held), now_ms, seconds=seconds)
        return held.counted_ms + seconds * SECOND_MS


def _group(principal: Principal, kind: str, scope: str, operator_id: str) -> ReadGroup:
    if principal.audience is Audience.ADMIN:
        reader_kind = _ADMINISTRATOR
    elif principal.customer:
        reader_kind = _CUSTOMER
    else:
        reader_kind = _PEER if _PEER in principal.scopes else _CLIENT
    return ReadGroup(principal.principal_id, kind, scope, operator_id, reader_kind)


def _scopes(call: Call[Any, Any], answer: Any) -> tuple[str, Iterable[str]]:
    """Return what a read was of: the devices of the answer, else the site or operator asked for."""
    device_id = call.path.get("device_id")
    if device_id is None:
        device_id = getattr(call.query, "device_id", None)
        if not isinstance(device_id, str):
            device_id = getattr(answer, "device_id", None)
    if isinstance(device_id, str):
        return _DEVICE, (device_id,)
    items = getattr(answer, "items", None)
    if isinstance(items, list):
        if not items:
            return _DEVICE, ()
        # Some items of a list may be about no single device, as an alert of a whole site is.
        named: set[Any] = {getattr(one, "device_id", None) for one in items}
        named -= _NOBODY
        if named:
            return _DEVICE, named
    sites = _sites_of(call)
    if sites:
        return _SITE, sites
    return _OPERATOR, (call.principal.operator_id,)


def _sites_of(call: Call[Any, Any]) -> list[str]:
    """Return the sites that a call names, in its path or as ``site_id`` or ``site_ids``."""
    named = (
        call.path.get("site_id"),
        getattr(call.query, "site_id", None),
        getattr(call.query, "site_ids", None),
    )
    for value in named:
        if isinstance(value, str) and value:
            return [one.strip() for one in value.split(",") if one.strip()]
    return []
