"""InfluxDB 1.x taking one point per request, each synced to disk: the usual store of such data."""

import contextlib
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bench.processes import Server, SkippedError, free_port, serving

WRITE_PATH = "/write?db=bench&precision=ms"

# Pinned to one processor it runs four times slower unless it may start more than one thread.
_THREADS = "4"

_CONFIGURATION = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/influxdb/meta"
  logging-enabled = false
[data]
  dir = "{folder}/influxdb/data"
  wal-dir = "{folder}/influxdb/wal"
  wal-fsync-delay = "0s"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  enabled = true
  bind-address = "127.0.0.1:{port}"
  auth-enabled = false
  log-enabled = false
  write-tracing = false
[continuous_queries]
  enabled = false
[logging]
  level = "error"
"""


@contextlib.contextmanager
def influxdb(folder: Path) -> Iterator[Server]:
    """Run InfluxDB with a database named ``bench`` in ``folder``."""
    program = shutil.which("influxd")
    if program is None:
        raise SkippedError("InfluxDB is not installed (Debian: apt install influxdb)")
    port = free_port()
    configuration = folder / "influxdb.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, port=port, rpc=free_port()))
    command = [program, "run", "-config", str(configuration)]
    environment = {"GOMAXPROCS": _THREADS}
    with serving(command, port, folder / "influxdb.log", environment=environment) as server:
        request = urllib.request.Request(  # noqa: S310 - a fixed address of this machine
            f"{server.url}/query?q=CREATE+DATABASE+bench", method="POST"
        )
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310
            pass
        yield server
