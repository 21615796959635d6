"""Which instants the recent log holds, per connector, in memory.

The log is keyed by time first, which makes writing cheap and reading one connector a scan. With the
instants known, reading one connector is a few hundred look-ups by key instead. Losing this index is
harmless: it is read back from the log at start.
"""

from array import array
from collections.abc import Iterator, Sequence

from tellus.telemetry.model import Sample

CONNECTOR_BITS = 8

Position = tuple[int, int]

Span = tuple[int, int]
"""The instants (ms) from the first up to, but not including, the second."""

_MANY_INSTANTS = 1_000
_NONE = array("q")


class LogIndex:
    """The instants (ms) in the log by (device, connector), in order of arrival."""

    def __init__(self) -> None:
        self._times: dict[int, array[int]] = {}
        self.packed_to_ms = 0
        """Before this instant samples may have left the log for their packed hours."""
        self.packings = 0
        """Counts the times that a connector's samples were packed."""
        self._packed_at: dict[Position, int] = {}

    def __len__(self) -> int:
        return sum(len(times) for times in self._times.values())

    def note_packed(self, position: Position) -> None:
        """Remember, inside the transaction that does it, that a connector's samples are packed."""
        self.packings += 1
        self._packed_at[position] = self.packings

    def was_packed_since(self, position: Position, version: int) -> bool:
        """Tell whether a connector's samples were packed after ``version`` was read."""
        return self._packed_at.get(position, 0) > version

    def note(self, samples: Sequence[Sample]) -> None:
        """Remember samples that the log now holds."""
        times = self._times
        for sample in samples:
            key = sample.device_no << CONNECTOR_BITS | sample.connector_id
            held = times.get(key)
            if held is None:
                times[key] = array("q", (sample.time_ms,))
            else:
                held.append(sample.time_ms)

    def note_time(self, device_no: int, connector_id: int, time_ms: int) -> None:
        """Remember one instant, as read back at start."""
        key = device_no << CONNECTOR_BITS | connector_id
        self._times.setdefault(key, array("q")).append(time_ms)

    def newest(self, device_no: int, connector_id: int) -> int:
        """Return the instant of a known connector that was noted last: at the start, its newest."""
        return self._times[device_no << CONNECTOR_BITS | connector_id][-1]

    def between(self, device_no: int, connector_id: int, from_ms: int, to_ms: int) -> list[int]:
        """Return the connector's instants in ``[from_ms, to_ms)``, ascending, each once."""
        held = self._times.get(device_no << CONNECTOR_BITS | connector_id, ())
        return sorted({time_ms for time_ms in held if from_ms <= time_ms < to_ms})

    def copy(self, device_no: int, connector_id: int) -> "array[int]":
        """Return the connector's instants as they came; cheap, as sorting is left to others."""
        return self._times.get(device_no << CONNECTOR_BITS | connector_id, _NONE)[:]

    def connectors(self) -> Iterator[Position]:
        """Return (device, connector) of everything in the log."""
        mask = (1 << CONNECTOR_BITS) - 1
        for key in tuple(self._times):
            yield key >> CONNECTOR_BITS, key & mask

    def outside(self, device_no: int, connector_id: int, span: Span) -> tuple[list[int], int]:
        """Return the instants outside ``span`` and how far the index was read for them."""
        key = device_no << CONNECTOR_BITS | connector_id
        held = self._times.get(key, array("q"))
        if len(held) > _MANY_INSTANTS:
            # A charger that repeats itself: the log holds each sample once, so once will do here.
            held = self._times[key] = array("q", sorted(set(held)))
        from_ms, to_ms = span
        left = {time_ms for time_ms in held if not from_ms <= time_ms < to_ms}
        return sorted(left), len(held)

    def forget(self, device_no: int, connector_id: int, span: Span, read: int) -> None:
        """Drop instants outside ``span`` among the first ``read``; what came since stays."""
        key = device_no << CONNECTOR_BITS | connector_id
        held = self._times.get(key)
        if held is None:
            return
        from_ms, to_ms = span
        kept = array("q", (time_ms for time_ms in held[:read] if from_ms <= time_ms < to_ms))
        kept.extend(held[read:])
        if kept:
            self._times[key] = kept
        else:
            del self._times[key]
