"""Files of charging records (JSON lines), and what can be derived from a record."""

import json
import re
import sys
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import click

from tellus.cli.client import CommandFailed, ExitCode
from tellus.kernel.ids import is_identifier

BATCH_ITEMS: Final = 500
BATCH_BYTES: Final = 900_000
_DEVICE_KEY: Final = "device_key"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._:\-]+")
_SERIAL_CHARACTERS: Final = 50
_NOMINAL_V: Final = 400.0


@dataclass
class DeviceRecords:
    """The records of one device: bodies of the single upload, in the order of the file."""

    key: str
    serial: str
    records: list[dict[str, Any]] = field(default_factory=list)

    @property
    def connectors(self) -> int:
        """Return the highest connector number."""
        numbers = [record.get("connector_id") for record in self.records]
        return max((number for number in numbers if isinstance(number, int)), default=1)


def read_records(path: Path) -> list[DeviceRecords]:
    """Return the records of a file by device.

    Each line is an upload with an additional ``device_key`` that names its device; lines without
    one belong to a device named like the file.

    Raises:
        CommandFailed: a line is no JSON object; names the line.
    """
    devices: dict[str, DeviceRecords] = {}
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not isinstance(record, dict):
                message = f"{path}, line {number}: not a JSON object"
                raise CommandFailed(message, ExitCode.USAGE)
            key = str(record.pop(_DEVICE_KEY, path.stem))
            if key not in devices:
                devices[key] = DeviceRecords(key, serial_of(key))
            devices[key].records.append(record)
    return list(devices.values())


def serial_of(key: str) -> str:
    """Return a serial number for a device key: the key itself where it may be one."""
    if is_identifier(key):
        return key
    safe = _UNSAFE.sub("-", key)[:_SERIAL_CHARACTERS].lstrip("._:-") or "device"
    return f"{safe}-{zlib.crc32(key.encode()):08x}"


def cut_batches(items: list[dict[str, Any]]) -> Iterator[tuple[list[dict[str, Any]], bytes]]:
    """Yield the items in batches of up to 500 and about 900 kB, with the body of each."""
    part: list[dict[str, Any]] = []
    texts: list[str] = []
    size = 0
    for item in items:
        text = json.dumps(item, ensure_ascii=False)
        length = len(text.encode()) + 1
        if part and (len(part) == BATCH_ITEMS or size + length > BATCH_BYTES):
            yield part, _body(texts)
            part, texts, size = [], [], 0
        part.append(item)
        texts.append(text)
        size += length
    if part:
        yield part, _body(texts)


def _body(texts: list[str]) -> bytes:
    return ('{"items":[' + ",".join(texts) + "]}").encode()


def derive_events(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the four events of the session that a record tells of, at its own times."""
    data = {"origin": "replay", "record_id": record["record_id"]}
    times = (
        ("plug_in", record["start_time"]),
        ("start", record["start_time"]),
        ("stop", record["end_time"]),
        ("plug_out", record["end_time"]),
    )
    return [
        {
            "timestamp": time,
            "event_type": kind,
            "connector_id": record["connector_id"],
            "data": data,
        }
        for kind, time in times
    ]


def derive_samples(record: Mapping[str, Any], interval_s: float) -> list[dict[str, Any]]:
    """Return coarse telemetry of a record: uniform power, the counter and the SoC linear in time.

    Every ``interval_s`` from start to end, then one idle sample. Voltage and current are nominal;
    ``detail_state`` is ``replayed``, so that nobody takes it for measured. Nothing for a session
    without length.
    """
    start, end = _parse(record["start_time"]), _parse(record["end_time"])
    length_s = (end - start).total_seconds()
    energy_kwh = float(record["energy"])
    if length_s <= 0:
        return []
    power_kw = energy_kwh / (length_s / 3600)
    vehicle = record.get("vehicle_info") or {}
    state = "discharging" if energy_kwh < 0 else "charging"
    samples = []
    for k in range(int((length_s - 1e-9) // interval_s) + 1):
        share = k * interval_s / length_s
        samples.append(
            _sample(record, start + timedelta(seconds=k * interval_s), state)
            | {
                "power": round(power_kw, 6),
                "current": round(power_kw * 1000 / _NOMINAL_V, 3),
                "energy_delivered": round(energy_kwh * share, 6),
            }
            | _soc(vehicle, share)
        )
    idle = _sample(record, end, "idle")
    return [*samples, idle | {"energy_delivered": energy_kwh} | _soc(vehicle, 1.0)]


def _sample(record: Mapping[str, Any], time: datetime, state: str) -> dict[str, Any]:
    return {
        "timestamp": time.isoformat().replace("+00:00", "Z"),
        "connector_id": record["connector_id"],
        "state": state,
        "voltage": 0.0 if state == "idle" else _NOMINAL_V,
        "current": 0.0,
        "power": 0.0,
        "detail_state": "replayed",
    }


def _soc(vehicle: Mapping[str, Any], share: float) -> dict[str, int]:
    first, last = vehicle.get("soc_start"), vehicle.get("soc_end")
    if not isinstance(first, int | float) or not isinstance(last, int | float):
        return {}
    return {"soc": round(first + (last - first) * share)}


def _parse(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def is_replayable(record: Mapping[str, Any]) -> bool:
    """Tell whether a record has what events and telemetry are derived from."""
    try:
        derive_samples(record, 3600.0)
    except (KeyError, ValueError, TypeError, OverflowError):
        return False
    return "record_id" in record


def progress(total: int, label: str) -> Any:
    """Return a progress bar on the standard error stream."""
    return click.progressbar(length=total, label=label, file=sys.stderr, show_pos=True)
