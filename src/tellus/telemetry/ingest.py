"""The hot kind of telemetry: uploads applied many at a time, then memory moved forward."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol, TypeAlias

from tellus.bus.port import DEVICE_CHANGED, Bus
from tellus.fleet.directory import Connector, Directory
from tellus.storage.database import Tx
from tellus.telemetry import rules, store
from tellus.telemetry.model import Sample
from tellus.telemetry.recent import Key, Place, RecentLog, Upload, find_packed
from tellus.telemetry.rules import FOREVER_MS

Moved: TypeAlias = Callable[[Mapping[Place, Sample]], None]
InTransaction: TypeAlias = Callable[[Tx, Sequence[Sample]], None]
AfterCommit: TypeAlias = Callable[[Sequence[Sample]], None]


class FleetDoor(Protocol):
    """What ingest asks of the fleet inside its transaction."""

    def advance_connectors(
        self, tx: Tx, states: Sequence[tuple[int, int, int, str, bytes]]
    ) -> None:
        """Upsert current state rows (device, connector, time, state, content) where newer."""
        ...

    def list_owned_since(self, tx: Tx, device_nos: Iterable[int]) -> dict[int, int]:
        """Return since when (ms) each living device among these is its present operator's."""
        ...

    def see_connectors(self, tx: Tx, keys: Iterable[tuple[int, int]], now_ms: int) -> None:
        """Let connectors (device, connector) come into being."""
        ...


class TelemetryKind:
    """Applies uploads in at most one statement per table and batch.

    How connectors are now is not written with the batch. Memory follows it, reads it back from the
    log at the start (``recover``), and it is written when samples leave the log (``keep_states``):
    what a connector last said is at any instant the newest of what log and table tell. Where other
    nodes read the table, ``on_moved`` sees to it that it is written soon.

    The outcome of an upload is None, or for one that is ``told`` a list that says per sample
    whether it was stored (else it was a repeat).
    """

    name = "telemetry"

    def __init__(
        self,
        directory: Directory,
        fleet: FleetDoor,
        log: RecentLog,
        bus: Bus,
    ) -> None:
        self._directory = directory
        self._fleet = fleet
        self._log = log
        self._bus = bus
        self.on_moved: Moved | None = None
        """Called after a commit with the newest samples of connectors that moved forward."""
        self.in_tx: list[InTransaction] = []
        """Called with the samples of each batch, repeats among them, in its transaction."""
        self.told: list[AfterCommit] = []
        """Called with the samples of each batch once they are durable."""
        self.stored = 0
        self.duplicates = 0

    def apply_many(self, tx: Tx, operations: Sequence[Upload]) -> list[list[bool] | None]:
        """Append the samples; let their connectors exist."""
        samples = [sample for upload in operations for sample in upload.samples]
        packed = self._find_packed(tx, operations)
        if packed or any(upload.told for upload in operations):
            outcomes = self._append(tx, operations, packed)
        else:
            outcomes = [None] * len(operations)
            store.append_samples(tx, samples, partial(self._count, len(samples)))
        self._see_new(tx, samples)
        for react in self.in_tx:
            react(tx, samples)
        return outcomes

    def after_commit(
        self, operations: Sequence[Upload], outcomes: Sequence[list[bool] | None]
    ) -> None:
        """Move memory forward, remember the log's instants and wake the stream."""
        del outcomes  # a repeat is never newer than what memory holds
        samples = [sample for upload in operations for sample in upload.samples]
        self._log.note(samples)
        self._tell(self._follow(samples))
        for listener in self.told:
            listener(samples)

    def _tell(self, moved: dict[Place, Sample]) -> None:
        """Wake the stream here; the other nodes hear once they can read it."""
        if not moved:
            return
        self._bus.tell(DEVICE_CHANGED, tuple(dict.fromkeys(map(_device_no, moved))))
        if self.on_moved is not None:
            self.on_moved(moved)

    def _follow(self, samples: Iterable[Sample]) -> dict[Place, Sample]:
        """Move memory forward; return what each connector that moved now says."""
        find = self._directory.by_no
        moved: dict[Place, Sample] = {}
        for place, sample in rules.pick_newest(samples).items():
            device_no, connector_id = place
            device = find(device_no)
            if device is None:
                continue
            connector = device.connectors.get(connector_id)
            if connector is None:
                connector = device.connectors[connector_id] = Connector(connector_id)
            time_ms = sample.time_ms
            if time_ms > connector.time_ms or (
                time_ms == connector.time_ms and sample.content > connector.content
            ):
                connector.time_ms = time_ms
                connector.content = sample.content
                connector.take_reading(sample.reading)
                moved[place] = sample
        return moved

    def recover(self, samples: Iterable[Sample]) -> set[Place]:
        """Move memory forward to samples of the log, at the start; return whom one counted for."""
        counting = [sample for sample in samples if self._counts(sample)]
        self._follow(counting)
        return {(sample.device_no, sample.connector_id) for sample in counting}

    def catch_up(self, samples: Iterable[Sample]) -> None:
        """Follow samples of the log that the table does not tell of: another node took them in."""
        counting = [sample for sample in samples if self._counts(sample)]
        self._tell(self._follow(counting))
        if self.on_moved is not None:
            self.on_moved(rules.pick_newest(counting))

    def _counts(self, sample: Sample) -> bool:
        """Tell whether a sample is trusted and came when the device was its present operator's."""
        device = self._directory.by_no(sample.device_no)
        if device is None or sample.clock_suspect:
            return False
        return sample.received_ms >= device.owned_since_ms

    def keep_states(self, tx: Tx, samples: Sequence[Sample]) -> None:
        """Write the state that these samples tell, such as before they leave the log."""
        if not samples:
            return
        since_ms = self._fleet.list_owned_since(tx, {sample.device_no for sample in samples})
        owned = [
            sample
            for sample in samples
            if sample.received_ms >= since_ms.get(sample.device_no, FOREVER_MS)
        ]
        states = [_state(sample) for sample in rules.pick_newest(owned).values()]
        if states:
            self._fleet.advance_connectors(tx, states)

    def _see_new(self, tx: Tx, samples: Sequence[Sample]) -> None:
        if self._knows_all(samples):
            return
        unseen = []
        for device_no, connector_id in rules.pick_newest(samples):
            device = self._directory.by_no(device_no)
            if device is None or connector_id not in device.connectors:
                unseen.append((device_no, connector_id))
        if unseen:
            self._fleet.see_connectors(tx, unseen, samples[0].received_ms)

    def _knows_all(self, samples: Iterable[Sample]) -> bool:
        """Tell whether all connectors of these samples exist."""
        find = self._directory.by_no
        for sample in samples:
            device = find(sample.device_no)
            if device is None or sample.connector_id not in device.connectors:
                return False
        return True

    def _find_packed(self, tx: Tx, operations: Sequence[Upload]) -> frozenset[Key]:
        """Return the keys among the uploads' samples that are packed already.

        What was found beforehand holds, except for hours into which something was packed since.
        """
        unsure = self._log.list_unsure(tx, operations)
        packed = find_packed(tx, unsure).keys if unsure else frozenset[Key]()
        return packed.union(*(upload.packed for upload in operations if upload.packed))

    def _append(
        self, tx: Tx, operations: Sequence[Upload], packed: frozenset[Key]
    ) -> list[list[bool] | None]:
        """Append what is not ``packed``; return each outcome."""
        told = {key for upload in operations if upload.told for key in map(_key, upload.samples)}
        silent, loud, repeats = [], {}, 0
        for upload in operations:
            for sample in upload.samples:
                key = _key(sample)
                if key in told:
                    repeats += key in loud
                    loud[key] = sample
                elif key not in packed:
                    silent.append(sample)
                else:
                    repeats += 1
        if silent:
            store.append_samples(tx, silent, partial(self._count, len(silent)))
        asked = [sample for key, sample in loud.items() if key not in packed]
        stored = store.append_samples_told(tx, asked)
        self._count(len(loud) + repeats, len(stored))
        return [_outcome(upload, stored) for upload in operations]

    def _count(self, samples: int, stored: int) -> None:
        self.stored += stored
        self.duplicates += samples - stored


def _device_no(place: Place) -> int:
    return place[0]


def _state(sample: Sample) -> tuple[int, int, int, str, bytes]:
    return (
        sample.device_no,
        sample.connector_id,
        sample.time_ms,
        sample.reading.state,
        sample.content,
    )


def _key(sample: Sample) -> Key:
    return sample[:4]


def _outcome(upload: Upload, stored: set[Key]) -> list[bool] | None:
    """Tell per sample whether it was stored; of repeats within one batch the first was."""
    if not upload.told:
        return None
    outcome = []
    for sample in upload.samples:
        key = _key(sample)
        outcome.append(key in stored)
        stored.discard(key)
    return outcome
