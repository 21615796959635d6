"""What a run did: counts by kind, sessions, and a ledger of what was acknowledged."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import BinaryIO

import msgspec

from tellus.simulator.messages import Kind, Message

_RECORDS_KEPT = 10_000
_FLUSH_BYTES = 64 * 1024
_ERRORS_KEPT = 50


class Tally(msgspec.Struct):
    """Counts of one kind of message.

    ``sent`` counts messages, not attempts: each is in the end acknowledged, failed (refused for
    good) or unsent. ``retried`` counts repeated attempts, ``duplicates`` what the platform said
    it knew already, or for commands what it delivered again.
    """

    sent: int = 0
    acknowledged: int = 0
    retried: int = 0
    failed: int = 0
    duplicates: int = 0
    unsent: int = 0
    dropped: int = 0


class DeviceTally(msgspec.Struct):
    """What one charger got acknowledged, to compare with what the platform stored."""

    sn: str
    device_id: str = ""
    telemetry: int = 0
    events: int = 0
    records: int = 0
    energy_kwh: float = 0.0


class RecordLine(msgspec.Struct):
    """One acknowledged charging record."""

    record_id: str
    sn: str
    connector_id: int
    energy_kwh: float


KIND_NAMES = {
    Kind.RECORD: "charging_record",
    Kind.EVENT: "event",
    Kind.COMMAND_STATUS: "command_status",
    Kind.FIRMWARE_STATUS: "firmware_status",
    Kind.TELEMETRY: "telemetry",
}
_UNLEDGERED = frozenset({Kind.COMMAND_STATUS, Kind.FIRMWARE_STATUS})
_ALL_NAMES = ("register", "token", "heartbeat", "command_poll", *KIND_NAMES.values())


class FleetReport(msgspec.Struct):
    """The sum of a run. Energies in kWh, times in seconds.

    ``commands`` counts by name, and what was received and refused; ``effects`` counts by command
    id how often one took effect, of the newest 10,000: more than 1 would be a broken promise.
    ``contactor_cycles`` are by serial number and connector id, as they stood in the end.
    """

    seed: int
    chargers: int
    connectors: int
    scenario: str
    time_scale: float
    started_at: str = ""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    kinds: dict[str, Tally] = msgspec.field(
        default_factory=lambda: {name: Tally() for name in _ALL_NAMES}
    )
    chargers_online: int = 0
    chargers_refused: int = 0
    sessions: int = 0
    energy_kwh: float = 0.0
    records: list[RecordLine] = []
    commands: dict[str, int] = {}
    effects: dict[str, int] = {}
    devices: list[DeviceTally] = []
    contactor_cycles: dict[str, dict[int, int]] = {}
    errors: list[str] = []

    @property
    def is_clean(self) -> bool:
        """Return whether nothing failed, was dropped, or stayed unsent."""
        lost = sum(one.failed + one.unsent + one.dropped for one in self.kinds.values())
        return lost == 0 and self.chargers_refused == 0

    def to_json(self) -> bytes:
        """Return the report as indented JSON, with ``clean`` for scripts."""
        document = {**msgspec.to_builtins(self), "clean": self.is_clean}
        return msgspec.json.format(msgspec.json.encode(document), indent=2)


class Ledger:
    """A file of JSON lines, one for each acknowledged sample, event and record."""

    def __init__(self, path: Path | None) -> None:
        self._file: BinaryIO | None = None if path is None else path.open("ab")
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0

    def note(self, sn: str, device_id: str, message: Message) -> None:
        """Write down one acknowledged message; the body stands as it was sent."""
        if self._file is None or message.kind in _UNLEDGERED:
            return
        now_ms = int(1000 * time.time())
        head = (
            f'{{"kind":"{KIND_NAMES[message.kind]}","sn":"{sn}","device_id":"{device_id}",'
            f'"acknowledged_ms":{now_ms},"body":'
        )
        line = head.encode() + message.body + b"}\n"
        self._waiting.append(line)
        self._waiting_bytes += len(line)
        if self._waiting_bytes >= _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the operating system."""
        if self._file is not None and self._waiting:
            self._file.write(b"".join(self._waiting))
            self._file.flush()
        self._waiting.clear()
        self._waiting_bytes = 0

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None


class Recorder:
    """Gathers what the links of a fleet report."""

    def __init__(self, report: FleetReport, ledger: Ledger) -> None:
        self.report = report
        self.ledger = ledger
        self.devices: dict[str, DeviceTally] = {}
        self._records: deque[RecordLine] = deque(maxlen=_RECORDS_KEPT)

    def tally(self, name: str) -> Tally:
        """Return the counts of a kind by its name in the report."""
        return self.report.kinds[name]

    def acknowledged(
        self, sn: str, device_id: str, message: Message, *, is_duplicate: bool = False
    ) -> None:
        """Count a message that the platform has taken."""
        tally = self.tally(KIND_NAMES[message.kind])
        tally.acknowledged += 1
        tally.duplicates += is_duplicate
        device = self.devices.setdefault(sn, DeviceTally(sn, device_id))
        device.device_id = device_id
        if message.kind is Kind.TELEMETRY:
            device.telemetry += 1
        elif message.kind is Kind.EVENT:
            device.events += 1
        elif message.kind is Kind.RECORD:
            self._note_record(sn, device, message)
        self.ledger.note(sn, device_id, message)

    def _note_record(self, sn: str, device: DeviceTally, message: Message) -> None:
        device.records += 1
        device.energy_kwh = round(device.energy_kwh + message.energy_kwh, 6)
        self.report.sessions += 1
        self.report.energy_kwh = round(self.report.energy_kwh + message.energy_kwh, 6)
        self._records.append(RecordLine(message.ref, sn, message.connector_id, message.energy_kwh))

    def error(self, text: str) -> None:
        """Keep the first few errors for the report."""
        if len(self.report.errors) < _ERRORS_KEPT:
            self.report.errors.append(text)

    def snapshot(self) -> FleetReport:
        """Return the report as it stands."""
        self.report.records = list(self._records)
        self.report.devices = sorted(self.devices.values(), key=lambda one: one.sn)
        return self.report
