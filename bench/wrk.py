"""wrk as load generator: a Lua script per run, and its figures read back."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.processes import LOAD_CORE, SkippedError, cores

# A thread of wrk has devices of its own, so a device is seen on this many connections at most:
# the platform allows eight.
CONNECTIONS_PER_THREAD = 8
LATE_MS = 3_600_000
DUPLICATE_SHARE = 0.01
LATE_SHARE = 0.01

TELEMETRY = """
local body = [[{"timestamp":"%s.%03dZ","connector_id":1,"state":"charging","voltage":401.2,]]
  .. [["current":125.4,"power":50.3,"energy_delivered":%.3f,"soc":%d,"temperature":35.6,]]
  .. [["phase_details":{"phase_a":{"voltage":230.1,"current":72.4},]]
  .. [["phase_b":{"voltage":229.8,"current":72.6},"phase_c":{"voltage":230.4,"current":72.1}}}]]

local function content(device, time_ms, count)
  local second = math.floor(time_ms / 1000)
  if second ~= device.second then
    device.second = second
    device.text = os.date("!%Y-%m-%dT%H:%M:%S", second)
  end
  return string.format(body, device.text, time_ms % 1000, count / 1000, count % 100)
end
"""

LINE = """
local function content(device, time_ms, count)
  return string.format("telemetry,device=%d,connector=1 state=\\"charging\\",voltage=401.2,"
    .. "current=125.4,power=50.3,energy_delivered=%.3f,soc=%di,temperature=35.6,"
    .. "voltage_a=230.1,current_a=72.4,voltage_b=229.8,current_b=72.6,voltage_c=230.4,"
    .. "current_c=72.1 %.0f", device.number, count / 1000, count % 100, time_ms)
end
"""

_SCRIPT = """
local ffi = require("ffi")
ffi.cdef("typedef struct { long s; long us; } moment; int gettimeofday(moment *now, void *zone);")
local moment = ffi.new("moment")

local function now_ms()
  ffi.C.gettimeofday(moment, nil)
  return tonumber(moment.s) * 1000 + math.floor(tonumber(moment.us) / 1000)
end

local threads = {}
local numbered = 0

function setup(thread)
  thread:set("number", numbered)
  numbered = numbered + 1
  table.insert(threads, thread)
end

function init(arguments)
  math.randomseed(SEED + number)
  devices = {}
  for line in io.lines(TOKENS) do
    local position, token = line:match("^(%d+) (%S+)$")
    if tonumber(position) % THREADS == number then
      table.insert(devices, {number = tonumber(position), clock = 0, late = 0,
        heads = {["Authorization"] = "Bearer " .. token, ["Content-Type"] = CONTENT_TYPE}})
    end
  end
  turn, sent, unique = 0, 0, 0
end

function request()
  turn = turn % #devices + 1
  local device = devices[turn]
  local chance = math.random()
  sent = sent + 1
  if chance < DUPLICATES and device.last then return device.last end
  unique = unique + 1
  local time_ms
  if chance > 1 - LATES then
    device.late = math.max(device.late + 1, now_ms() - LATE_MS)
    time_ms = device.late
  else
    device.clock = math.max(device.clock + 1, now_ms())
    time_ms = device.clock
  end
  device.last = wrk.format("POST", TARGET, device.heads, content(device, time_ms, unique))
  return device.last
end

if PAUSE_MS > 0 then
  -- Around the mean, so that chargers do not come in step.
  function delay() return math.random(0, 2 * PAUSE_MS) end
end

function done(summary, latency, requests)
  local total, different = 0, 0
  for _, thread in ipairs(threads) do
    total = total + thread:get("sent")
    different = different + thread:get("unique")
  end
  local errors = summary.errors
  io.write(string.format('\\nFIGURES {"requests":%d,"duration_us":%d,"sent":%d,"unique":%d,'
    .. '"refused":%d,"broken":%d,"p50_us":%d,"p99_us":%d}\\n',
    summary.requests, summary.duration, total, different, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What a run sends: where to, and whose."""

    url: str
    path: str
    tokens: Sequence[str]
    connections: int
    seconds: float
    content: str = TELEMETRY
    content_type: str = "application/json"
    duplicates: float = DUPLICATE_SHARE
    lates: float = LATE_SHARE
    pause_ms: int = 0
    """How long a connection rests between an answer and its next request, on average."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run; a request is ``sent`` when it was made, also if the run ended then."""

    requests: int
    duration_us: int
    sent: int
    unique: int
    refused: int
    broken: int
    p50_us: int
    p99_us: int

    @property
    def per_s(self) -> float:
        """Return answers with a status below 400 per second."""
        return (self.requests - self.refused) / (self.duration_us / 1e6)

    @property
    def unanswered(self) -> int:
        """Return how many requests nobody knows the outcome of."""
        return self.sent - self.requests

    @property
    def p99_ms(self) -> float:
        """Return the time that 99% of the answers took less than."""
        return self.p99_us / 1_000


def require_wrk() -> None:
    """Raise SkippedError where wrk is not installed."""
    if shutil.which("wrk") is None:
        raise SkippedError("wrk is not installed (Debian: apt install wrk)")


def run_wrk(load: Load, folder: Path, *, core: int | None = LOAD_CORE, seed: int = 1) -> Outcome:
    """Run wrk once and return its figures."""
    threads = max(1, load.connections // CONNECTIONS_PER_THREAD)
    tokens = folder / "tokens.txt"
    tokens.write_text("".join(f"{k} {token}\n" for k, token in enumerate(load.tokens)))
    constants = {
        "SEED": seed, "THREADS": threads, "LATE_MS": LATE_MS,
        "DUPLICATES": load.duplicates, "LATES": load.lates, "PAUSE_MS": load.pause_ms,
        "TOKENS": str(tokens), "TARGET": load.path, "CONTENT_TYPE": load.content_type,
    }  # fmt: skip
    script = folder / "load.lua"
    head = "".join(f"local {name} = {json.dumps(value)}\n" for name, value in constants.items())
    script.write_text(head + load.content + _SCRIPT)
    words = [
        *cores(core), "wrk", f"-t{threads}", f"-c{load.connections}",
        f"-d{max(1, round(load.seconds))}s", "--timeout", "10s", "--latency",
        "-s", str(script), load.url,
    ]  # fmt: skip
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    for line in ended.stdout.splitlines():
        if line.startswith("FIGURES "):
            return Outcome(**json.loads(line.removeprefix("FIGURES ")))
    raise RuntimeError(f"wrk told no figures:\n{ended.stdout}\n{ended.stderr}")
