"""The command line as a test uses it: a platform in a process of its own, commands in this one."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from tellus.cli import main

PATIENCE_S = 30.0
TELLUS = [sys.executable, "-c", "from tellus.cli import main; main()"]


def clean_environment(**more: str) -> dict[str, str]:
    """Return the environment without anything that is about a platform."""
    held = {name: text for name, text in os.environ.items() if not name.startswith("TELLUS")}
    return held | more


def wait_until(is_true: Any, what: str, patience_s: float = PATIENCE_S) -> None:
    """Wait for something that happens in another process."""
    ends_s = time.monotonic() + patience_s
    while not is_true():
        assert time.monotonic() < ends_s, f"waited too long for: {what}"
        time.sleep(0.05)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


@dataclass
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


@dataclass
class Console:
    """Runs commands; ``variables`` are the environment, besides what is no platform's."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()

    def run(self, *words: str, stdin: str | None = None) -> Ended:
        """Run a command and return how it ended."""
        environment: dict[str, str | None] = {
            name: None for name in os.environ if name.startswith("TELLUS")
        }
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            result = CliRunner().invoke(
                main, [*words, *self.options], input=stdin, env=environment | self.variables
            )
        finally:
            os.chdir(before)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)

    def json(self, *words: str) -> Any:
        """Run a command that succeeds; return its result."""
        ended = self.run(*words, "--json")
        assert ended.code == 0, (words, ended.err)
        return ended.json


class Served:
    """A platform on a free port, with its data in ``data_dir``."""

    def __init__(self, data_dir: Path, *options: str) -> None:
        self.data_dir = data_dir
        self._log = data_dir.with_name(data_dir.name + ".log")
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*TELLUS, "serve", "--data-dir", str(data_dir), "--port", "0", *options],
                env=clean_environment(), stdout=log, stderr=log, cwd=data_dir.parent,
            )  # fmt: skip

    def await_ready(self) -> None:
        """Return once it has said how to administer it."""

        def is_there() -> bool:
            assert self.process.poll() is None, self._log.read_text()
            return (self.data_dir / "admin.json").exists()

        wait_until(is_there, "the platform")

    @property
    def access(self) -> dict[str, str]:
        """The file for administrators."""
        held: dict[str, str] = json.loads((self.data_dir / "admin.json").read_text())
        return held

    @property
    def variables(self) -> dict[str, str]:
        """The same as environment variables."""
        held = self.access
        return {
            "TELLUS_BASE_URL": held["base_url"],
            "TELLUS_ADMIN_ID": held["service_account_id"],
            "TELLUS_ADMIN_SECRET": held["service_account_secret"],
        }

    def stop(self) -> int:
        """End it; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)
