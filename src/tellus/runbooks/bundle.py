"""The bundle of a run: one zip with a page to read and the data that it is made of."""

import asyncio
import csv
import io
import tempfile
import zipfile
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import IO, Any, Final

import msgspec

from tellus.commands.model import CommandFilter
from tellus.fleet.queries import DeviceView
from tellus.health.model import HealthSpan
from tellus.kernel.errors import NotFound
from tellus.kernel.files import FileAnswer
from tellus.kernel.tables import guard_formula
from tellus.kernel.units import HOUR_MS, MINUTE_MS, to_text
from tellus.runbooks.collecting import Collector
from tellus.runbooks.model import Photo, Run, StepRecord
from tellus.runbooks.model_catalogue import Runbook
from tellus.runbooks.report_page import Report, render
from tellus.runbooks.scene import Scene
from tellus.runbooks.sources import Sources
from tellus.telemetry.model import PastSample

_BEFORE_MS: Final = HOUR_MS
_WINDOW_MS: Final = 6 * HOUR_MS
_SAMPLES_MOST: Final = 20_000
_COMMANDS_MOST: Final = 100
_IN_MEMORY: Final = 1024 * 1024
_PIECE: Final = 256 * 1024
_STORED: Final = zipfile.ZIP_STORED
_OF_CHARGERS: Final = frozenset({"data", "result"})
_LAST_MS: Final = 253_402_300_799_999  # the end of the year 9999
_COLUMNS: Final = (
    "timestamp", "connector_id", "state", "power_kw", "voltage_v", "current_a",
    "energy_kwh", "soc_pct", "temperature_c",
)  # fmt: skip


class Bundler:
    """Puts bundles together, anew at each download, from what the platform holds then."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._collector = Collector(sources)

    async def build(
        self,
        runbook: Runbook,
        run: Run,
        records: Sequence[StepRecord],
        photos: Sequence[Photo],
        now_ms: int,
    ) -> FileAnswer:
        """Return a run's bundle as a file.

        Raises:
            NotFound: the device went to another operator or was erased.
        """
        view = self._sources.queries.get_device(run.device_id, run.operator_id, now_ms)
        scene = Scene(runbook, run, view, now_ms)
        parts = await self._read(scene)
        report = Report(runbook, run, tuple(records), tuple(photos), parts, now_ms)
        texts = await asyncio.to_thread(_write_texts, report)
        texts["telemetry.csv"] = await self._telemetry(scene)
        spool = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed below
        try:
            size = await self._write(spool, texts, photos)
        except BaseException:
            spool.close()
            raise
        return FileAnswer(f"{run.run_id}.zip", "application/zip", size, _pieces(spool))

    async def _read(self, scene: Scene) -> dict[str, Any]:
        from_ms, to_ms = window_of(scene.run, scene.now_ms)
        health = await self._sources.database.read(
            self._sources.health.read_minutes, scene.run.device_no, from_ms, to_ms
        )
        wanted = CommandFilter(scene.run.operator_id, scene.run.device_no, from_ms=from_ms)
        _, commands = await self._sources.commands.list_commands(
            wanted, 0, _COMMANDS_MOST, scene.now_ms
        )
        return {
            "faults": await self._collector.fault_log(scene),
            "firmware": await self._collector.firmware(scene),
            "vehicle": await self._collector.vehicle(scene),
            "device": _device_facts(scene.view),
            "component_health": await asyncio.to_thread(_health_facts, health),
            "commands": [
                {
                    "command_id": one.command_id,
                    "command": one.command,
                    "connector_id": one.connector_id,
                    "status": one.status,
                    "created_at": to_text(one.created_ms),
                    "updated_at": to_text(one.updated_ms),
                    "delivered_at": None if one.delivered_ms is None else to_text(one.delivered_ms),
                    "result": one.result,
                }
                for one in reversed(commands)
            ],
        }

    async def _telemetry(self, scene: Scene) -> bytes:
        from_ms, to_ms = window_of(scene.run, scene.now_ms)
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(_COLUMNS)
        for connector_id in sorted(scene.view.device.connectors):
            samples, _ = await self._sources.telemetry.history(
                scene.run.device_id,
                scene.run.operator_id,
                connector_id,
                scene.by_its_clock(from_ms),
                scene.by_its_clock(to_ms),
                enough=_SAMPLES_MOST,
            )
            await asyncio.to_thread(writer.writerows, _sample_rows(connector_id, samples))
        return text.getvalue().encode()

    async def _write(
        self, spool: IO[bytes], texts: dict[str, bytes], photos: Sequence[Photo]
    ) -> int:
        """Write the zip, and return its size (bytes); photos go through it piece by piece."""
        with zipfile.ZipFile(spool, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in texts.items():
                await asyncio.to_thread(archive.writestr, name, content)
            for number, photo in enumerate(photos, 1):
                info = zipfile.ZipInfo(photo_name(number, photo))
                info.compress_type = _STORED
                try:
                    with archive.open(info, "w") as entry:
                        async for piece in self._sources.files.open(photo.file_id):
                            await asyncio.to_thread(entry.write, piece)
                except NotFound:  # it has outlived its time; the rest of the bundle has not
                    continue
        size = spool.tell()
        spool.seek(0)
        return size


def _write_texts(report: Report) -> dict[str, bytes]:
    """Return the page and the data of a report by the names that they have in the bundle."""
    kept = ("faults", "firmware", "commands", "component_health", "vehicle", "device")
    data = {f"{name}.json": _to_json(report.parts[name]) for name in kept}
    return {"report.html": render(report), "run.json": _to_json(run_facts(report)), **data}


def _health_facts(spans: Sequence[HealthSpan]) -> list[dict[str, Any]]:
    return [{"start": to_text(span.start_ms)} | msgspec.to_builtins(span) for span in spans]


def _sample_rows(connector_id: int, samples: Iterable[PastSample]) -> Iterator[tuple[Any, ...]]:
    for sample in samples:
        reading = sample.reading
        yield (
            to_text(sample.time_ms), connector_id,
            guard_formula(reading.detail_state or reading.state), reading.power_kw,
            reading.voltage_v, reading.current_a, reading.energy_kwh,
            reading.soc_pct, reading.temperature_c,
        )  # fmt: skip


def photo_name(number: int, photo: Photo) -> str:
    """Return the name of a photo in the bundle; numbers count from 1."""
    return f"photos/{number:02}.{photo.media_type.rpartition('/')[2]}"


def window_of(run: Run, now_ms: int) -> tuple[int, int]:
    """Return which time a bundle's telemetry is of: an hour before the run to its end (ms).

    Of a run of days only the last hours.
    """
    end_ms = now_ms if run.ended_ms is None else min(now_ms, run.ended_ms + MINUTE_MS)
    return max(run.created_ms - _BEFORE_MS, end_ms - _WINDOW_MS), end_ms


def run_facts(report: Report) -> dict[str, Any]:
    """Return a run with its steps as data."""
    facts: dict[str, Any] = msgspec.to_builtins(report.run)
    facts["runbook"] = {"slug": report.runbook.slug, "title": report.runbook.title}
    facts["steps"] = msgspec.to_builtins(report.records)
    facts["photos"] = [
        {"name": photo_name(number, photo)} | msgspec.to_builtins(photo)
        for number, photo in enumerate(report.photos, 1)
    ]
    told: dict[str, Any] = _with_times(facts)
    return told


def _with_times(value: Any) -> Any:
    """Return data with every time as text beside its milliseconds' name.

    What a charger sent is left as it came: what it calls milliseconds need be no time.
    """
    if isinstance(value, dict):
        return {
            key.removesuffix("_ms") + "_at" if _is_time(key, one) else key: (
                to_text(one)
                if _is_time(key, one)
                else one
                if key in _OF_CHARGERS
                else _with_times(one)
            )
            for key, one in value.items()
        }
    return [_with_times(one) for one in value] if isinstance(value, list | tuple) else value


def _is_time(key: str, value: Any) -> bool:
    return key.endswith("_ms") and type(value) is int and 0 <= value <= _LAST_MS


def _device_facts(view: DeviceView) -> dict[str, Any]:
    device = view.device
    return {
        "device_id": device.device_id,
        "serial_number": device.sn,
        "model": device.model,
        "firmware_version": device.firmware_version,
        "site_id": device.site_id,
        "status": "online" if view.online else "offline",
        "last_heartbeat": None
        if view.last_heartbeat_ms is None
        else to_text(view.last_heartbeat_ms),
        "v2g": view.v2g,
        "rated_power_kw": view.rated_power_kw,
    }


def _to_json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2)


async def _pieces(spool: IO[bytes]) -> AsyncIterator[bytes]:
    try:
        while piece := await asyncio.to_thread(spool.read, _PIECE):
            yield piece
    finally:
        spool.close()
