"""Use cases of telemetry: take samples in, keep the log small, read history."""

import asyncio
from collections.abc import Sequence

from tellus.bus.port import Bus
from tellus.fleet.directory import Directory
from tellus.fleet.model import Reading
from tellus.kernel.clock import Clock
from tellus.kernel.errors import NotFound
from tellus.storage.database import Database, HotKind
from tellus.telemetry import store
from tellus.telemetry.compaction import compact
from tellus.telemetry.history import read_samples
from tellus.telemetry.ingest import FleetDoor, Key, TelemetryKind, Upload, find_packed
from tellus.telemetry.log import LogIndex, Position
from tellus.telemetry.model import Instant, PastSample, Sample
from tellus.telemetry.rules import make_sample

# The writer counts operations: small ones let it keep its turns short when many catch up at once.
_SAMPLES_AT_ONCE = 50
_START_PAGE = 50_000
_INSTANTS_AT_ONCE = 500
_OLDER_AT_ONCE = 50
_ALL = 2**63
_BEFORE_ALL = (-(2**63), 0, 0, 0)


HotOperation = tuple[HotKind, Upload]
"""What the hot door takes: the kind and one operation of it."""


class TelemetryService:
    """Samples in and out."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        fleet: FleetDoor,
        bus: Bus,
        clock: Clock,
        *,
        writes_states: bool = True,
    ) -> None:
        self._database = database
        self._directory = directory
        self._clock = clock
        self.index = LogIndex()
        self.kind = TelemetryKind(directory, fleet, self.index, bus, writes_states=writes_states)

    async def start(self) -> None:
        """Read back which instants the recent log holds, and what connectors last said by it."""
        position: tuple[int, ...] = _BEFORE_ALL
        more = True
        while more:
            rows = await self._database.read(store.list_log_times, position, _START_PAGE)
            for time_ms, device_no, connector_id, _ in rows:
                self.index.note_time(device_no, connector_id, time_ms)
            more = len(rows) == _START_PAGE
            position = rows[-1] if more else position
        places = list(self.index.connectors())
        for start in range(0, len(places), _INSTANTS_AT_ONCE):
            part = places[start : start + _INSTANTS_AT_ONCE]
            newest = [(self.index.newest(*place), *place) for place in part]
            found = await self._recover(newest)
            for place in part:
                if place not in found:
                    await self._recover_older(place)

    async def _recover(self, instants: Sequence[Instant]) -> set[Position]:
        """Follow what the log holds at these instants; return the connectors that it counts for."""
        return self.kind.recover(await self._database.read(store.list_log_instants, instants))

    async def _recover_older(self, place: Position) -> None:
        """Follow the newest that counts of a connector: its last sample does not."""
        times_ms = self.index.between(*place, -_ALL, _ALL)
        for stop in range(len(times_ms), 0, -_OLDER_AT_ONCE):
            part = times_ms[max(0, stop - _OLDER_AT_ONCE) : stop]
            if await self._recover([(time_ms, *place) for time_ms in part]):
                return

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
        version = self.index.version
        if self.kind.list_late((sample,)):
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
        version = self.index.version
        late = self.kind.list_late(samples)
        packed = await self._database.read(find_packed, late) if late else frozenset[Key]()
        return Upload(samples, False, packed, version)

    async def compact(self) -> int:
        """Pack what has aged; return how many samples moved."""
        return await compact(
            self._database, self.index, self.kind.keep_states, self._clock.now_ms()
        )

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
        log_times_ms = self.index.between(device.device_no, connector_id, from_ms, to_ms)
        place = (device.device_no, connector_id)
        samples, reached_ms = await self._database.read(
            read_samples, place, from_ms, to_ms, log_times_ms, enough
        )
        since_ms = device.owned_since_ms
        return [sample for sample in samples if sample.received_ms >= since_ms], reached_ms
