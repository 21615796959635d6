"""Brings a computed past to a platform, through the public device API like any backlog."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from tellus.simulator.chance import seeded
from tellus.simulator.credentials import CredentialStore
from tellus.simulator.history import DeviceHistory
from tellus.simulator.identity import Identity
from tellus.simulator.link import ChargerLink
from tellus.simulator.messages import PendingCommand, utc_text
from tellus.simulator.report import FleetReport, Ledger, Recorder
from tellus.simulator.terms import LinkTerms
from tellus.simulator.wire import Wire

_AT_ONCE = 8


async def upload_history(
    base_url: str,
    histories: Iterable[DeviceHistory],
    credentials: CredentialStore,
    stop: asyncio.Event,
    *,
    at_once: int = _AT_ONCE,
    progress: Callable[[FleetReport], None] | None = None,
) -> FleetReport:
    """Upload histories in batches of up to 500, two batches a second and charger.

    Records go first, then events, then telemetry. Chargers that ``credentials`` does not know
    register first, as a live fleet with the same store would. 429 and outages are waited out;
    ``stop`` ends early. Uploading the same history again changes nothing at the platform.
    """
    report = FleetReport(seed=0, chargers=0, connectors=0, scenario="history", time_scale=1.0)
    report.started_at = utc_text(int(1000 * time.time()))
    recorder = Recorder(report, Ledger(None))
    gate = asyncio.Semaphore(at_once)
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    async with Wire(base_url) as wire, asyncio.TaskGroup() as group:
        for history in histories:
            await gate.acquire()
            if stop.is_set():
                gate.release()
                break
            report.chargers += 1
            report.connectors += history.spec.connector_count
            uploader = _Uploader(history, wire, credentials, recorder, stop)
            task = group.create_task(uploader.run())
            task.add_done_callback(lambda _: gate.release())
            credentials.save()
            if progress is not None:
                progress(report)
    credentials.save()
    report.wall_s = round(time.monotonic() - began_s, 3)
    report.cpu_s = round(time.process_time() - began_cpu_s, 3)
    return recorder.snapshot()


class _Uploader:
    """Sends one history over a link that neither beats nor polls."""

    def __init__(
        self,
        history: DeviceHistory,
        wire: Wire,
        credentials: CredentialStore,
        recorder: Recorder,
        stop: asyncio.Event,
    ) -> None:
        self._history = history
        self._stop = stop
        rng = seeded(history.spec.sn, "upload")
        identity = Identity(history.spec, wire, credentials, recorder, asyncio.Semaphore(1), rng)
        terms = LinkTerms(
            rng=rng,
            obey=_ignore,
            device_time_ms=_now_ms,
            closing=stop,
            use_batches=True,
            poll_wait_s=0,
        )
        self._link = ChargerLink(history.spec, wire, identity, recorder, terms)

    async def run(self) -> None:
        """Send everything, or as much as there is time for."""
        link = self._link
        # A past is not a backlog that may be thinned.
        link.buffer.capacity = len(self._history.messages) + 1
        link.push(self._history.messages)
        worker = link.worker
        if worker is not None:
            stopped = asyncio.ensure_future(self._stop.wait())
            await asyncio.wait({worker, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            worker.cancel()
            await asyncio.gather(worker, stopped, return_exceptions=True)
        link.count_leftovers()


def _ignore(command: PendingCommand, connector_id: int) -> None:
    """Leave commands to the live charger: without heartbeats and polls none arrive here."""
    del command, connector_id


def _now_ms() -> int:
    return int(1000 * time.time())
