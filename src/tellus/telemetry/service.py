"""Use cases of telemetry: take samples in, keep the log small, read history."""

import asyncio
from collections.abc import Sequence

from tellus.bus.port import Bus
from tellus.fleet.directory import Directory
from tellus.fleet.model import Reading
from tellus.kernel.clock import Clock
from tellus.kernel.errors import NotFound
from tellus.kernel.units import MINUTE_MS
from tellus.storage.database import Database, HotKind
from tellus.telemetry import store
from tellus.telemetry.history import read_samples
from tellus.telemetry.ingest import FleetDoor, TelemetryKind
from tellus.telemetry.model import PastSample, Sample
from tellus.telemetry.recent import Packed, RecentLog, Upload, find_packed
from tellus.telemetry.recent_own import OwnLog
from tellus.telemetry.recent_shared import SharedLog
from tellus.telemetry.rules import make_sample
from tellus.telemetry.states import StateWriter

# The writer counts operations: small ones let it keep its turns short when many catch up at once.
_SAMPLES_AT_ONCE = 50
_ALL = 2**63
_BEFORE_ALL_MS = -(2**63)
# Longer than the rounds are apart, so that each sample is looked at once at least.
_CATCH_UP_MS = 3 * MINUTE_MS

HotOperation = tuple[HotKind, Upload]
"""What the hot door takes: the kind and one operation of it."""


class TelemetryService:
    """Samples in and out."""

    def __init__(
        self, database: Database, directory: Directory, fleet: FleetDoor, bus: Bus, clock: Clock
    ) -> None:
        self._database = database
        self._directory = directory
        self._clock = clock
        self._own = None if database.is_shared else OwnLog()
        self.index: RecentLog = SharedLog() if self._own is None else self._own
        self.packing = asyncio.Lock()
        """Held while packs change in this process: what was read of them is still true then."""
        self.kind = TelemetryKind(directory, fleet, self.index, bus)
        self._states = StateWriter(database, self.kind.keep_states, bus)
        if database.is_shared:
            self.kind.on_moved = self._states.owe

    async def start(self) -> None:
        """Learn what the recent log holds, and what connectors last said by it."""
        await self.index.load(self._database)
        if self._own is not None:
            await self._own.recover(self._database, self.kind.recover)
        else:
            await self._catch_up(_BEFORE_ALL_MS)
            await self._states.settle()

    async def stop(self) -> None:
        """Write what other nodes are owed.

        Raises:
            ApiError: the store does not take it; it is in the log.
        """
        await self._states.settle()

    async def _catch_up(self, since_ms: int) -> None:
        """Find what the log tells and the table does not: a node died before it wrote that."""
        ahead = await self._database.read(store.list_ahead_of_states, since_ms)
        self.kind.catch_up(ahead)

    def judge(
        self, device_no: int, connector_id: int, time_ms: int, received_ms: int, reading: Reading
    ) -> Sample:
        """Return the sample of a reading, with the key by which a repeat is known."""
        return make_sample(device_no, connector_id, time_ms, received_ms, reading)

    async def ingest(self, sample: Sample) -> None:
        """Store one sample; returns once it is durable, also for a repeat."""
        await self._database.submit(self.kind, await self._prepare((sample,)))

    def prepare(self, sample: Sample) -> HotOperation | None:
        """Return the operation that stores one sample; None where packed hours must be read first.

        It is for the hot door at once: later, more may be packed.
        """
        version = self.index.version()
        if self.index.list_late((sample,)):
            return None
        return self.kind, Upload((sample,), version=version)

    async def ingest_many(self, samples: Sequence[Sample]) -> list[bool]:
        """Store the samples of one device; tell per sample whether it was new."""
        if not samples:
            return []
        upload = await self._prepare(tuple(samples))
        parts = [
            upload._replace(samples=upload.samples[start : start + _SAMPLES_AT_ONCE], told=True)
            for start in range(0, len(samples), _SAMPLES_AT_ONCE)
        ]
        outcomes = await asyncio.gather(*(self._database.submit(self.kind, part) for part in parts))
        return [stored for outcome in outcomes for stored in outcome]

    async def _prepare(self, samples: tuple[Sample, ...]) -> Upload:
        """Return the upload, with what packed hours are found to hold of it already."""
        version = self.index.version()
        late = self.index.list_late(samples)
        packed = await self._database.read(find_packed, late) if late else Packed()
        return Upload(samples, False, packed.keys, version, packed.sizes)

    async def compact(self) -> int:
        """Pack what has aged; return how many samples moved."""
        now_ms = self._clock.now_ms()
        if self._own is None:
            await self._catch_up(now_ms - _CATCH_UP_MS)
        async with self.packing:
            return await self.index.compact(self._database, self.kind.keep_states, now_ms)

    async def history(
        self,
        device_id: str,
        operator_id: str,
        connector_id: int,
        from_ms: int,
        to_ms: int,
        *,
        enough: int = _ALL,
    ) -> tuple[list[PastSample], int]:
        """Return a connector's samples in ``[from_ms, to_ms)``, ascending, and up to where.

        Once it has more than ``enough`` of them it may stop before the end of the range. What came
        before the device was its present operator's is not among them.

        Raises:
            NotFound: the device is absent or another operator's, or has no such connector.
        """
        device = self._directory.owned(device_id, operator_id)
        if device is None or connector_id not in device.connectors:
            raise NotFound
        place = (device.device_no, connector_id)
        read_recent = self.index.reader(place, from_ms, to_ms)
        samples, reached_ms = await self._database.read(
            read_samples, place, from_ms, to_ms, read_recent, enough
        )
        since_ms = device.owned_since_ms
        return [sample for sample in samples if sample.received_ms >= since_ms], reached_ms
