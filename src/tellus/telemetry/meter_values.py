"""Use cases of meter values: the samples of a device or session, connector by connector merged."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import NamedTuple, Protocol

from tellus.consent.model import NotConsented, Service
from tellus.fleet.directory import Directory
from tellus.kernel.errors import NotFound
from tellus.kernel.units import HOUR_MS
from tellus.storage.database import Database
from tellus.telemetry.model import PastSample
from tellus.telemetry.model_measurands import MeterValue
from tellus.telemetry.model_tiers import Resolution, SessionSpan, TierPart
from tellus.telemetry.rules_measurands import to_values
from tellus.telemetry.service import TelemetryService
from tellus.telemetry.tiers import read_part

_BEFORE_ALL = -(2**63)
_SAMPLES_AT_ONCE = 500


class FindSession(Protocol):
    """What this feature asks of those above it, which know sessions."""

    async def find_session(self, session_id: str, operator_id: str) -> SessionSpan | None:
        """Return a session of the operator by the platform's identifier, or None."""
        ...

    async def find_record(
        self, device_id: str, record_id: str, operator_id: str
    ) -> SessionSpan | None:
        """Return what a charging record of the operator spans, by the charger's own id, or None."""
        ...


class Span(NamedTuple):
    """Some connectors of an operator's device, ``[from_ms, to_ms)``."""

    device_id: str
    operator_id: str
    connectors: tuple[int, ...]
    from_ms: int
    to_ms: int


class Key(NamedTuple):
    """The place of a sample in the series of a device."""

    time_ms: int
    connector_id: int
    digest: int


class Taken(NamedTuple):
    """A sample and the connector it was taken of."""

    connector_id: int
    sample: PastSample

    @property
    def key(self) -> Key:
        """Return its place in the series of the device."""
        return Key(self.sample.time_ms, self.connector_id, self.sample.digest)

    def values(self) -> list[MeterValue]:
        """Return what the sample holds, always in the same order."""
        return to_values(self.sample.reading)


def first_key(time_ms: int) -> Key:
    """Return the place before all samples from ``time_ms`` on."""
    return Key(time_ms, -1, _BEFORE_ALL)


class MeterValueService:
    """Samples as series of whole devices and of sessions."""

    def __init__(
        self,
        database: Database,
        telemetry: TelemetryService,
        directory: Directory,
        sessions: FindSession,
    ) -> None:
        self._database = database
        self._telemetry = telemetry
        self._directory = directory
        self._sessions = sessions

    async def find_session(self, session_id: str, operator_id: str) -> SessionSpan:
        """Return where and when a session was.

        Raises:
            NotFound: it is another operator's or does not exist.
        """
        found = await self._sessions.find_session(session_id, operator_id)
        if found is None:
            raise NotFound
        return found

    async def find_named(self, device_id: str, name: str, operator_id: str) -> SessionSpan:
        """Return the session of a device that has the record ``name``, or that identifier itself.

        Raises:
            NotFound: the device has neither, or is another operator's.
        """
        found = await self._sessions.find_record(device_id, name, operator_id)
        if found is None:
            found = await self.find_session(name, operator_id)
        if found.device_id != device_id:
            raise NotFound
        return found

    def list_connectors(self, device_id: str, operator_id: str) -> tuple[int, ...]:
        """Return the numbers of a device's connectors.

        Raises:
            NotFound: the device is absent or another operator's.
        """
        device = self._directory.owned(device_id, operator_id)
        if device is None:
            raise NotFound
        return tuple(sorted(device.connectors))

    async def read(self, span: Span, after: Key, *, enough: int) -> tuple[list[Taken], int]:
        """Return the samples from ``after`` on (it included), ascending, and up to where (ms).

        Once it has more than ``enough`` of them it may stop before the end of the span.

        Raises:
            NotFound: the device is absent or another operator's, or lacks a connector.
            NotConsented: the device's owner has not agreed, or no longer does.
        """
        device = self._directory.owned(span.device_id, span.operator_id)
        withheld = self._directory.withheld(span.operator_id, Service.DIAGNOSTICS)
        if device is not None and device.device_no in withheld:
            raise NotConsented(Service.DIAGNOSTICS)
        from_ms = max(span.from_ms, after.time_ms)
        if from_ms >= span.to_ms:
            return [], span.to_ms
        parts = await asyncio.gather(
            *(self._read_connector(span, number, from_ms, enough) for number in span.connectors)
        )
        reached_ms = min((reached for _, reached in parts), default=span.to_ms)
        series = [samples for samples, _ in parts]
        # Thousands of samples at a time are too many for the event loop.
        return await asyncio.to_thread(_merge, series, after, reached_ms), reached_ms

    async def read_session(
        self, session: SessionSpan, operator_id: str, range_ms: tuple[int, int], *, enough: int
    ) -> TierPart:
        """Return what comes first in a range of a session, as far as it is of one resolution.

        Raises:
            NotFound: the device is absent or another operator's now.
        """
        device = self._directory.owned(session.device_id, operator_id)
        if device is None:
            raise NotFound
        from_ms, to_ms = range_ms
        if from_ms >= to_ms:
            return TierPart(Resolution.NONE, to_ms)
        place = (device.device_no, session.connector_id)
        read_recent = self._telemetry.index.reader(place, from_ms, to_ms)
        part = await self._database.read(read_part, place, from_ms, to_ms, read_recent, enough)
        if part.resolution is Resolution.NONE and session.hours:
            hours = [hour for hour in session.hours if hour.hour_ms + HOUR_MS > from_ms]
            return TierPart(Resolution.HOUR, to_ms, hours=hours)
        since_ms = device.owned_since_ms
        return part._replace(
            samples=[sample for sample in part.samples if sample.received_ms >= since_ms],
            means=[mean for mean in part.means if mean.minute_ms >= since_ms],
        )

    async def pages(self, span: Span) -> AsyncGenerator[Sequence[Taken], None]:
        """Yield all samples of the span, ascending, some at a time.

        Raises:
            NotFound: as ``read``.
        """
        reached_ms = span.from_ms
        while reached_ms < span.to_ms:
            after = first_key(reached_ms)
            found, reached_ms = await self.read(span, after, enough=_SAMPLES_AT_ONCE)
            for start in range(0, len(found), _SAMPLES_AT_ONCE):
                yield found[start : start + _SAMPLES_AT_ONCE]

    async def _read_connector(
        self, span: Span, connector_id: int, from_ms: int, enough: int
    ) -> tuple[tuple[int, list[PastSample]], int]:
        samples, reached_ms = await self._telemetry.history(
            span.device_id, span.operator_id, connector_id, from_ms, span.to_ms, enough=enough
        )
        return (connector_id, samples), reached_ms


def _merge(
    series: Sequence[tuple[int, list[PastSample]]], after: Key, before_ms: int
) -> list[Taken]:
    """Return the samples of several connectors from a place on and before a time, in order."""
    found = [
        Taken(connector_id, sample)
        for connector_id, samples in series
        for sample in samples
        if sample.time_ms < before_ms
    ]
    return sorted((taken for taken in found if taken.key >= after), key=lambda taken: taken.key)
