"""Durable telemetry with energy summed up beside it, against the same without, in one run.

    python -m bench.energy_ingest [--seconds 6] [--rounds 5] [--devices 64]

Both servers have one core, and take turns. The one without neither marks what is late nor folds.
"""

import argparse
import asyncio
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.figures import Figure, at_least, at_most, format_figures, middle
from bench.processes import SERVER_CORE
from bench.telemetry import Target
from bench.tellus_server import PROGRAM, client_tokens, register, tellus
from bench.wire import HttpConnection, get
from bench.wrk import Load, require_wrk

RUNNER = "energy_ingest"
DEVICES = 64
CONNECTIONS = 64
WITH, WITHOUT = "energy summed up", "energy left alone"
_GOAL = 0.85
# A session of each charger: 50 kW by its own clock, so that the counter is believed.
_CONTENT = """
local body = [[{"timestamp":"%s.%03dZ","connector_id":1,"state":"charging","voltage":401.2,]]
  .. [["current":125.4,"power":50.3,"energy_delivered":%.4f,"soc":%d,"temperature":35.6,]]
  .. [["phase_details":{"phase_a":{"voltage":230.1,"current":72.4},]]
  .. [["phase_b":{"voltage":229.8,"current":72.6},"phase_c":{"voltage":230.4,"current":72.1}}}]]

local function content(device, time_ms, count)
  local second = math.floor(time_ms / 1000)
  if second ~= device.second then
    device.second = second
    device.text = os.date("!%Y-%m-%dT%H:%M:%S", second)
  end
  local hours = (time_ms - BEGUN_MS) / 3600000
  return string.format(body, device.text, time_ms % 1000, 100 + hours * 50.3, 40)
end
"""
_LEFT_ALONE = """
from tellus.energy import marks, service
async def rest(self): pass
for name in ("on_samples", "on_events", "on_records", "on_durable"):
    setattr(marks.Marker, name, lambda self, *_: None)
for name in ("start", "turn", "watch"):
    setattr(service.EnergyService, name, rest)
from tellus.cli.main import main
"""
