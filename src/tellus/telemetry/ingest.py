"""The hot kind of telemetry: uploads applied many at a time, then memory moved forward."""

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Protocol

from tellus.bus.port import DEVICE_CHANGED, Bus
from tellus.fleet.directory import Connector, Directory
from tellus.storage.database import Tx
from tellus.telemetry import rules, store
from tellus.telemetry.model import Sample
from tellus.telemetry.recent import Key, RecentLog, Upload, find_packed


class FleetDoor(Protocol):
    """What ingest asks of the fleet inside its transaction."""

    def advance_connectors(
        self, tx: Tx, states: Sequence[tuple[int, int, int, str, bytes]]
    ) -> None:
        """Upsert current state rows (device, connector, time, state, content) where newer."""
        ...

    def see_connectors(self, tx: Tx, keys: Iterable[tuple[int, int]], now_ms: int) -> None:
        """Let connectors (device, connector) come into being."""
        ...


class TelemetryKind:
    """Applies uploads in at most one statement per table and batch.

    The outcome of an upload is None, or for one that is ``told`` a list that says per sample
    whether it was stored (else it was a repeat).
    """

    name = "telemetry"

    def __init__(self, directory: Directory, fleet: FleetDoor, log: RecentLog, bus: Bus) -> None:
        self._directory = directory
        self._fleet = fleet
        self._log = log
        self._bus = bus
        self.stored = 0
        self.duplicates = 0

    def apply_many(self, tx: Tx, operations: Sequence[Upload]) -> list[list[bool] | None]:
        """Append the samples and move the current state of their connectors forward."""
        samples = list(chain.from_iterable(upload.samples for upload in operations))
        packed = self._find_packed(tx, operations)
        told = {key for upload in operations if upload.told for key in map(_key, upload.samples)}
        fresh = [sample for sample in samples if not packed or _key(sample) not in packed]
        silent = [sample for sample in fresh if not told or _key(sample) not in told]
        stored_keys: set[Key] = set()
        if silent:
            store.append_samples(tx, silent, partial(self._count, len(silent)))
        if told:
            loud = {_key(sample): sample for sample in fresh if _key(sample) in told}
            stored_keys = store.append_samples_told(tx, list(loud.values()))
        self._count(len(samples) - len(silent), len(stored_keys))
        self._advance(tx, samples)
        return [_outcome(upload, stored_keys) for upload in operations]

    def after_commit(
        self, operations: Sequence[Upload], outcomes: Sequence[list[bool] | None]
    ) -> None:
        """Move memory forward, remember the log's instants and wake the stream."""
        del outcomes  # a repeat is never newer than what memory holds
        samples = [sample for upload in operations for sample in upload.samples]
        self._log.note(samples)
        changed = []
        for (device_no, connector_id), sample in rules.pick_newest(samples).items():
            device = self._directory.by_no(device_no)
            if device is None:
                continue
            connector = device.connectors.get(connector_id)
            if connector is None:
                connector = device.connectors[connector_id] = Connector(connector_id)
            if (sample.time_ms, sample.content) > (connector.time_ms, connector.content):
                connector.time_ms = sample.time_ms
                connector.content = sample.content
                connector.reading = sample.reading
                changed.append(device_no)
        if changed:
            self._bus.publish(DEVICE_CHANGED, changed)

    def _count(self, samples: int, stored: int) -> None:
        self.stored += stored
        self.duplicates += samples - stored

    def _advance(self, tx: Tx, samples: Sequence[Sample]) -> None:
        newest = rules.pick_newest(samples)
        unseen = []
        states = []
        for (device_no, connector_id), sample in newest.items():
            device = self._directory.by_no(device_no)
            connector = device.connectors.get(connector_id) if device else None
            if connector is None:
                unseen.append((device_no, connector_id))
            elif sample.time_ms < connector.time_ms:
                continue
            reading = sample.reading
            states.append((device_no, connector_id, sample.time_ms, reading.state, sample.content))
        if unseen:
            self._fleet.see_connectors(tx, unseen, samples[0].received_ms)
        if states:
            self._fleet.advance_connectors(tx, states)

    def _find_packed(self, tx: Tx, operations: Sequence[Upload]) -> frozenset[Key]:
        """Return the keys among the uploads' samples that are packed already.

        What was found beforehand holds, except for hours into which something was packed since.
        """
        unsure = self._log.list_unsure(tx, operations)
        packed = find_packed(tx, unsure).keys if unsure else frozenset[Key]()
        return packed.union(*(upload.packed for upload in operations))


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
