"""The sandbox's chargers: their past, which fills in beside their present.

The past is computed first, because each charger carries on from where its meters stood.
"""

import asyncio
import logging
import os
import queue
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from tellus.cli.sandbox_world import DemoCharger, Plan, build_chargers
from tellus.simulator.credentials import CredentialStore
from tellus.simulator.device import ChargerSpec
from tellus.simulator.fleet import FleetConfig, run_fleet
from tellus.simulator.history import DeviceHistory, Period, device_history
from tellus.simulator.metering import Registers
from tellus.simulator.report import FleetReport
from tellus.simulator.upload import upload_history

_STATE_FILE: Final = "fleet-state.json"
_LOG_FILE: Final = "fleet.log"
_CONTROL_FILE: Final = "fleet.sock"
_NICENESS: Final = 5
_CHARGERS_AT_ONCE: Final = 4


class Start(msgspec.Struct):
    """What the parent says once the platform is set up.

    ``readings_kwh`` are the newest net meter readings that the platform holds, by serial number and
    connector id.
    """

    base_url: str
    readings_kwh: dict[str, dict[int, float]] = {}


def run_demo_fleet(folder: Path, said: "queue.Queue[bytes]") -> int:
    """Live until SIGTERM; return the exit code. The first line of ``said`` is a ``Start``."""
    logging.basicConfig(
        filename=folder / _LOG_FILE, level=logging.WARNING, format="%(asctime)s %(message)s"
    )
    plan = Plan.load(folder)
    chargers = build_chargers(plan.seed)
    period = Period(plan.from_ms, plan.to_ms)
    histories: list[DeviceHistory] = []
    if not plan.history_done:
        pasts = [one.enacted(plan.to_ms, is_past=True) for one in chargers]
        histories = [device_history(past, period, plan.seed) for past in pasts]
    start = msgspec.json.decode(said.get(), type=Start)
    os.nice(_NICENESS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_live(folder, plan, chargers, histories, start))
    return 0


def live_spec(
    charger: DemoCharger,
    history: DeviceHistory | None,
    readings_kwh: dict[int, float],
    present_ms: int = 0,
) -> ChargerSpec:
    """Return a charger as it lives now: no meter stands lower than it was ever read."""
    registers = dict(history.registers) if history is not None else {}
    for connector_id, reading_kwh in readings_kwh.items():
        held = registers.get(connector_id)
        if held is None or held.import_kwh - held.export_kwh < reading_kwh:
            registers[connector_id] = Registers(reading_kwh, 0.0)
    spec = replace(charger.enacted(present_ms), scenario=charger.scenario, registers=registers)
    return spec if history is None else replace(spec, contactor_cycles=history.contactor_cycles)


def _specify(
    charger: DemoCharger, plan: Plan, history: DeviceHistory | None, start: Start
) -> ChargerSpec:
    spec = live_spec(charger, history, start.readings_kwh.get(charger.sn, {}), plan.to_ms)
    counted = plan.contactor_cycles.get(charger.sn)
    return spec if counted is None else replace(spec, contactor_cycles=counted)


async def _live(
    folder: Path,
    plan: Plan,
    chargers: list[DemoCharger],
    histories: list[DeviceHistory],
    start: Start,
) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    store = CredentialStore(folder / _STATE_FILE)
    pasts = {history.spec.sn: history for history in histories}
    specs = [_specify(one, plan, pasts.get(one.sn), start) for one in chargers]
    config = FleetConfig(
        start.base_url,
        specs,
        seed=plan.seed,
        credentials=store,
        head_start_s=plan.head_start_s(time.time()),
        control_path=folder / _CONTROL_FILE,
    )
    plan.lived_until_ms = None
    plan.save(folder)
    async with asyncio.TaskGroup() as group:
        fleet = group.create_task(run_fleet(config, stop))
        if histories:
            group.create_task(_fill_in(folder, plan, histories, store, start.base_url, stop))
    plan.lived_until_ms = int(1000 * time.time())
    plan.contactor_cycles = fleet.result().contactor_cycles
    plan.save(folder)


async def _fill_in(
    folder: Path,
    plan: Plan,
    histories: list[DeviceHistory],
    store: CredentialStore,
    base_url: str,
    stop: asyncio.Event,
) -> None:
    report = await upload_history(
        base_url,
        histories,
        store,
        stop,
        at_once=_CHARGERS_AT_ONCE,
        progress=_teller(len(histories)),
    )
    if stop.is_set():
        return
    for error in report.errors:
        logging.getLogger(__name__).warning("history: %s", error)
    kinds = report.kinds
    _say(
        f"history: complete, {kinds['charging_record'].acknowledged} charging records,"
        f" {kinds['event'].acknowledged} events, {kinds['telemetry'].acknowledged} samples"
    )
    plan.history_done = True
    plan.save(folder)


def _teller(chargers: int) -> Callable[[FleetReport], None]:
    """Return what tells of the upload now and then: at each third of the chargers."""
    steps = {chargers // 3, 2 * chargers // 3}

    def tell(report: FleetReport) -> None:
        if report.chargers in steps:
            _say(f"history: {report.chargers} of {chargers} chargers")

    return tell


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
