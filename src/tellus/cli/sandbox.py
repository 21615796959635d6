"""``tellus sandbox``: a platform with a living fleet to play with, on this machine alone."""

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import click
import msgspec

from tellus.cli.checkup_server import try_port
from tellus.cli.client import ADMIN_FILE, AdminAccess, Api, CommandFailed, ExitCode, find_access
from tellus.cli.environment import ENV_FILE
from tellus.cli.output import hint
from tellus.cli.sandbox_processes import Child
from tellus.cli.sandbox_setup import ReadingsKwh, SandboxSetup
from tellus.cli.sandbox_words import describe_ready, describe_stories
from tellus.cli.sandbox_world import SITES, DemoCharger, Plan, build_chargers, tell_stories

FOLDER: Final = Path("var/sandbox")
_HOST: Final = "127.0.0.1"
_PLATFORM_LOG: Final = "platform.log"
_START_PATIENCE_S: Final = 60.0
_FLEET_PATIENCE_S: Final = 30.0
_STOP_FLEET_S: Final = 8.0
_STOP_ALONE_S: Final = 1.0
_STOP_PLATFORM_S: Final = 20.0
_LOOK_EVERY_S: Final = 0.1
_READY: Final = 200


@click.command()
@click.option("--port", default=8600, show_default=True, type=click.IntRange(0, 65_535))
@click.option(
    "--seed", default=42, show_default=True, type=click.IntRange(0), help="Same seed, same world."
)
@click.option(
    "--limit-scale", default=1.0, show_default=True, type=float, help="Multiplies every rate limit."
)
@click.option("--keep", is_flag=True, help="Go on with what var/sandbox holds.")
@click.option("--stories", is_flag=True, help="Say what is planted in the fleet, and end.")
def sandbox(port: int, seed: int, limit_scale: float, *, keep: bool, stories: bool) -> None:
    """Run the platform with 24 simulated chargers until Ctrl-C or SIGTERM.

    Everything is stored in var/sandbox, which starts empty unless --keep is given; credentials go
    to .env.tellus. Both are in the working directory. Seven faults with a known truth are planted
    in the fleet, each with a decoy beside it: --stories tells them.
    """
    if stories:
        click.echo(describe_stories(tell_stories(seed)))
        return
    if limit_scale <= 0:
        raise click.UsageError("--limit-scale must be above 0")
    problem = try_port(_HOST, port)
    if problem is not None:
        message = f"{_HOST}:{port} is {problem}; stop that, or choose another with --port"
        raise CommandFailed(message)
    try:
        with _only_one():
            plan, is_fresh = _prepare(seed, keep=keep)
            options = Options(port or _free_port(), limit_scale, is_fresh)
            code = asyncio.run(Sandbox(plan, options).run())
    except OSError as error:
        raise CommandFailed(f"{error.filename or FOLDER}: {error.strerror or error}") from error
    sys.exit(code)


@dataclass(frozen=True, slots=True)
class Options:
    """How to run; ``is_fresh`` where the world is still to be made."""

    port: int
    limit_scale: float
    is_fresh: bool


class Sandbox:
    """A platform and its fleet, each in a process of its own, watched by this one."""

    def __init__(self, plan: Plan, options: Options) -> None:
        self._options = options
        self._chargers = build_chargers(plan.seed)
        self._base_url = f"http://{_HOST}:{options.port}"
        self._stopping = asyncio.Event()
        self._ended_by: signal.Signals | None = None
        self._children: list[Child] = []

    async def run(self) -> int:
        """Run until told to stop, or until one side ends; return the exit code.

        Raises:
            CommandFailed: the world could not be set up.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop, number)
        try:
            platform = await self._start("platform", *self._platform_arguments())
            fleet = await self._start("fleet", str(FOLDER))
            return await self._watch(platform, fleet)
        finally:
            await self._end()

    def _platform_arguments(self) -> list[str]:
        options = self._options
        return [
            *("--sandbox", "--registration", "open", "--host", _HOST, "--port", str(options.port)),
            *("--data-dir", str(FOLDER), "--limit-scale", str(options.limit_scale)),
        ]

    async def _start(self, side: str, *arguments: str) -> Child:
        log = FOLDER / _PLATFORM_LOG if side == "platform" else None
        child = await Child.start(side, *arguments, log=log)
        self._children.append(child)
        return child

    def _stop(self, number: signal.Signals) -> None:
        """End in order; whoever asks twice does not want to wait."""
        if self._stopping.is_set():
            for child in self._children:
                child.kill()
        else:
            hint("\nStopping …")
        self._ended_by = self._ended_by or number
        self._stopping.set()

    async def _watch(self, platform: Child, fleet: Child) -> int:
        loop = asyncio.get_running_loop()
        bring_up = loop.create_task(self._bring_up(fleet))
        ends = [
            loop.create_task(work)
            for work in (platform.wait(), fleet.wait(), self._stopping.wait())
        ]
        try:
            await asyncio.wait([bring_up, *ends], return_when=asyncio.FIRST_COMPLETED)
            if bring_up.done() and not (self._stopping.is_set() or platform.has_ended):
                bring_up.result()
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (bring_up, *ends):
                task.cancel()
            await asyncio.gather(bring_up, *ends, return_exceptions=True)
        if self._ended_by is not None:
            is_interrupted = self._ended_by is signal.SIGINT
            return ExitCode.INTERRUPTED if is_interrupted else ExitCode.OK
        dead = platform if platform.has_ended else fleet
        hint(f"{dead.tail()}\nThe {dead.side} ended unexpectedly (exit code {dead.exit_code}).")
        return dead.exit_code

    async def _end(self) -> None:
        """End the fleet first, so that its chargers can say goodbye to a platform that hears it."""
        patience_s = {"fleet": _STOP_FLEET_S, "platform": _STOP_PLATFORM_S}
        if any(child.has_ended for child in self._children):
            patience_s["fleet"] = _STOP_ALONE_S
        for child in reversed(self._children):
            await child.stop(patience_s[child.side])

    async def _bring_up(self, fleet: Child) -> None:
        access = await self._await_platform()
        async with Api(access.base_url) as api:
            setup = SandboxSetup(api, access, await api.admin_token(access))
            operator_id = await setup.find_operator()
            readings_kwh: ReadingsKwh = {}
            if self._options.is_fresh:
                await setup.build_world(operator_id, self._chargers)
            variables = await setup.find_access(operator_id, keep=not self._options.is_fresh)
            if not self._options.is_fresh:
                readings_kwh = await setup.read_meters(variables)
            start = {"base_url": access.base_url, "readings_kwh": readings_kwh}
            fleet.say(json.dumps(start).encode())
            await self._await_fleet(setup, operator_id)
            devices = (
                await setup.find_device(self._chargers[0].sn),
                await setup.find_device(self._chargers[-1].sn),
            )
            setup.write_environment(variables, devices[0])
            if self._options.is_fresh:
                await setup.assign_profiles(variables, self._chargers)
        click.echo(_welcome(access, self._chargers, devices))

    async def _await_platform(self) -> AdminAccess:
        """Return the access to the platform, once it answers and has written it."""
        deadline_s = time.monotonic() + _START_PATIENCE_S
        async with aiohttp.ClientSession(self._base_url) as session:
            while time.monotonic() < deadline_s:
                with contextlib.suppress(aiohttp.ClientError, CommandFailed):
                    async with session.get("/readyz") as answer:
                        is_ready = answer.status == _READY
                    access = find_access(FOLDER)
                    if is_ready and access.base_url == self._base_url:
                        return access
                await asyncio.sleep(_LOOK_EVERY_S)
        message = f"The platform is not ready after {_START_PATIENCE_S:.0f} s"
        raise CommandFailed(message, ExitCode.TIMEOUT)

    async def _await_fleet(self, setup: SandboxSetup, operator_id: str) -> None:
        deadline_s = time.monotonic() + _FLEET_PATIENCE_S
        while await setup.count_online(operator_id) < len(self._chargers):
            if time.monotonic() > deadline_s:
                hint(f"Some chargers are not online yet; see {FOLDER}/fleet.log")
                return
            await asyncio.sleep(_LOOK_EVERY_S)


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    """Let only one sandbox run in this working directory.

    Raises:
        CommandFailed: another one runs.
    """
    FOLDER.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FOLDER.with_suffix(".lock")
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"Another sandbox runs in this folder ({lock} is held)"
            raise CommandFailed(message) from None
        yield


def _prepare(seed: int, *, keep: bool) -> tuple[Plan, bool]:
    """Return the plan, and whether the world is still to be made; empties the folder for that.

    Raises:
        CommandFailed: the folder holds something that no sandbox has put there.
    """
    if keep and Plan.marks(FOLDER) and (FOLDER / ADMIN_FILE).exists():
        try:
            plan = Plan.load(FOLDER)
        except msgspec.DecodeError as error:
            raise CommandFailed(f"{FOLDER} is damaged ({error}); start without --keep") from None
        if plan.seed != seed:
            hint(f"Going on with seed {plan.seed}, which {FOLDER} was made with.")
        return plan, False
    if FOLDER.exists():
        if any(FOLDER.iterdir()) and not Plan.marks(FOLDER):
            message = f"{FOLDER} holds something else than a sandbox; move it away first"
            raise CommandFailed(message)
        shutil.rmtree(FOLDER)
    FOLDER.mkdir(mode=0o700)
    plan = Plan.fresh(seed)
    plan.save(FOLDER)
    return plan, True


def _free_port() -> int:
    with socket.socket() as trial:
        trial.bind((_HOST, 0))
        port: int = trial.getsockname()[1]
        return port


def _welcome(access: AdminAccess, chargers: list[DemoCharger], devices: tuple[str, str]) -> str:
    return describe_ready(
        base_url=access.base_url,
        env_file=ENV_FILE,
        sites=len(SITES),
        chargers=len(chargers),
        connectors=sum(one.past.connector_count for one in chargers),
        devices=devices,
    )
