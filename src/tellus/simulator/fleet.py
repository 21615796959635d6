"""A fleet: many chargers in one process, one scheduler, one connection pool.

Each charger costs one wake-up in the scheduler for its physics and one for its heartbeat, a
worker task only while it has something to send, and one parked long-poll per connector.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tellus.simulator.chance import seeded
from tellus.simulator.clock import SimClock
from tellus.simulator.control import (
    EVERY_CHARGER,
    ControlRefused,
    ControlRequest,
    ControlSocket,
)
from tellus.simulator.credentials import CredentialStore
from tellus.simulator.device import ChargerSpec, ChargerTwin
from tellus.simulator.figures import default_figures
from tellus.simulator.identity import Identity
from tellus.simulator.link import ChargerLink
from tellus.simulator.messages import PendingCommand, utc_text
from tellus.simulator.report import FleetReport, Ledger, Recorder
from tellus.simulator.roster import build_roster
from tellus.simulator.scheduler import Scheduler
from tellus.simulator.terms import LinkTerms
from tellus.simulator.triggers import CAUSES, describe, obey_trigger, strikes_site
from tellus.simulator.wire import Wire

_HEARTBEAT_S = 30.0
_POLL_WAIT_S = 30
_REGISTERING_AT_ONCE = 32
_SHUTDOWN_S = 4.0
_FASTEST_UNBATCHED = 10.0
_TURN_S = 0.25
_SAVE_S = 2.0


@dataclass(frozen=True, slots=True)
class FleetConfig:
    """What to run.

    ``chargers`` is a number or an explicit list. ``time_scale`` speeds up simulated time (see
    ``SimClock``); above 10 it needs ``batch_replay``, because single uploads are limited to ten
    a second and device. ``start_rate_per_s`` spreads the registrations. ``duration_s`` None runs
    until stopped; ``credentials`` wins over ``state_file``. ``head_start_s`` is how long a charger
    has lived already when it first speaks; what it would have said comes as a backlog.
    ``control_path`` is the unix socket on which the running fleet can be told what to do.
    """

    base_url: str
    chargers: int | list[ChargerSpec] = 24
    seed: int = 42
    duration_s: float | None = None
    time_scale: float = 1.0
    scenario: str = "sandbox"
    state_file: Path | None = None
    ledger_file: Path | None = None
    enrolment_token: str | None = None
    timezone: str = "UTC"
    poll: bool = True
    batch_replay: bool = False
    start_rate_per_s: float = 25.0
    heartbeat_s: float = _HEARTBEAT_S
    poll_wait_s: int = _POLL_WAIT_S
    shutdown_s: float = _SHUTDOWN_S
    head_start_s: float = 0.0
    control_path: Path | None = None
    credentials: CredentialStore | None = field(default=None, repr=False)

    def roster(self) -> list[ChargerSpec]:
        """Return the chargers."""
        if not isinstance(self.chargers, int):
            return list(self.chargers)
        return build_roster(
            self.chargers,
            self.seed,
            enrolment_token=self.enrolment_token,
            timezone=self.timezone,
        )

    def check(self) -> None:
        """Raise ValueError or KeyError for what cannot run."""
        if self.time_scale > _FASTEST_UNBATCHED and not self.batch_replay:
            raise ValueError(
                f"a time scale above {_FASTEST_UNBATCHED:g} needs batch replay: single uploads "
                "are limited to ten a second and device"
            )
        for spec in self.roster():
            default_figures().scenario(spec.scenario or self.scenario)
            default_figures().model(spec.model)
            ZoneInfo(spec.timezone)


Progress = Callable[[FleetReport], None]


class _Member:
    """One charger of the fleet: its twin, its link, and when it is next woken."""

    __slots__ = ("link", "twin", "wake_sim_ms")

    def __init__(self, twin: ChargerTwin, link: ChargerLink) -> None:
        self.twin = twin
        self.link = link
        self.wake_sim_ms = 0

    def brief_link(self) -> None:
        """Let heartbeats say what the charger would."""
        link, twin = self.link, self.twin
        link.fault_code = twin.fault_code
        link.config_profile_id = twin.profile.profile_id
        link.config_hash = twin.profile.config_hash

    def is_called(self, name: str) -> bool:
        """Tell whether this is its serial number, or the platform's id for it."""
        return name in {self.twin.spec.sn, self.link.device_id} - {""}


class Fleet:
    """The chargers of one run; use ``run_fleet``."""

    def __init__(self, config: FleetConfig, wire: Wire, recorder: Recorder) -> None:
        self._config = config
        self._wire = wire
        self._recorder = recorder
        self._store = config.credentials or CredentialStore(config.state_file)
        self._gate = asyncio.Semaphore(_REGISTERING_AT_ONCE)
        self._scheduler = Scheduler()
        self._closing = asyncio.Event()
        self._clock = SimClock(time.time(), config.time_scale, config.duration_s)
        self._members: list[_Member] = []
        real_now_s = time.time()
        for index, spec in enumerate(config.roster()):
            start_s = real_now_s + index / config.start_rate_per_s
            self._scheduler.at(start_s, partial(self._join, spec))

    def _join(self, spec: ChargerSpec, now_s: float) -> None:
        """Let a charger begin its life: it registers, beats, and its physics run."""
        config = self._config
        scenario = default_figures().scenario(spec.scenario or config.scenario)
        begin_ms = self._clock.sim_ms(now_s - config.head_start_s)
        twin = ChargerTwin(spec, scenario, config.seed, begin_ms)
        twin.platform_url = config.base_url
        rng = seeded(config.seed, spec.sn, "link")
        member: _Member

        def obey(command: PendingCommand, connector_id: int) -> None:
            self._obey(member, command, connector_id)

        link = ChargerLink(
            spec,
            self._wire,
            Identity(spec, self._wire, self._store, self._recorder, self._gate, rng),
            self._recorder,
            LinkTerms(
                rng=rng,
                obey=obey,
                device_time_ms=lambda: self._clock.sim_ms(time.time()),
                closing=self._closing,
                use_batches=config.batch_replay,
                poll_wait_s=config.poll_wait_s if config.poll else 0,
            ),
        )
        member = _Member(twin, link)
        self._members.append(member)
        self._beat(member, now_s)
        self._plan_physics(member)

    # ------------------------------------------------------------- wake-ups

    def _beat(self, member: _Member, now_s: float) -> None:
        if member.link.is_refused:
            return
        if not member.link.is_dark:
            member.brief_link()
            member.link.beat()
        self._scheduler.at(now_s + self._config.heartbeat_s, partial(self._beat, member))

    def _plan_physics(self, member: _Member) -> None:
        due_ms = member.twin.due_ms
        member.wake_sim_ms = due_ms
        self._scheduler.at(self._clock.real_s(due_ms), partial(self._move, member, due_ms))

    def _move(self, member: _Member, planned_ms: int, now_s: float) -> None:
        """Bring a twin up to what is due; a wake-up that a command has overtaken does nothing."""
        if planned_ms != member.wake_sim_ms or member.link.is_refused:
            return
        twin = member.twin
        now_ms = self._clock.sim_ms(now_s)
        # To due times exactly, never to the clock: late wake-ups must not change the physics.
        while twin.due_ms <= now_ms:
            twin.advance(twin.due_ms)
        self._speak(member)

    def _speak(self, member: _Member) -> None:
        """Hand over what a twin has said, and plan when it is next woken."""
        power = member.twin.power_state
        member.link.push(member.twin.take())
        member.link.set_dark(is_dark=power.is_dark)
        member.brief_link()
        if power.needs_heartbeat and not power.is_dark:
            power.needs_heartbeat = False
            member.link.beat()
        self._plan_physics(member)

    def _obey(self, member: _Member, command: PendingCommand, connector_id: int) -> None:
        twin = member.twin
        real_s = time.time()
        twin.advance(max(twin.time_ms, self._clock.sim_ms(real_s)))
        twin.execute(command, connector_id, int(1000 * real_s))
        self._speak(member)

    # --------------------------------------------------------------- control

    def answer(self, request: ControlRequest) -> Any:
        """Do what was asked over the control socket; ControlRefused says why not."""
        if request.action == "list":
            return [describe(one.twin, is_online=one.link.is_online) for one in self._members]
        if request.sn == EVERY_CHARGER:
            return self._tell_all(request)
        member = next((one for one in self._members if one.is_called(request.sn)), None)
        if member is None:
            raise ControlRefused(f"there is no charger {request.sn}")
        if request.action in CAUSES and strikes_site(request):
            return self._tell_all(request, member.twin.spec.site)
        return self._tell(member, request)

    def _tell_all(self, request: ControlRequest, site: str | None = None) -> list[dict[str, Any]]:
        """Tell every charger, or those of a site; where it makes no sense, one is passed over."""
        done, refusal = [], ControlRefused("the fleet is empty")
        for member in self._members:
            if site is not None and member.twin.spec.site != site:
                continue
            try:
                done.append(self._tell(member, request))
            except ControlRefused as reason:
                refusal = reason
        if not done:
            raise refusal
        return done

    def _tell(self, member: _Member, request: ControlRequest) -> dict[str, Any]:
        twin = member.twin
        twin.advance(max(twin.time_ms, self._clock.sim_ms(time.time())))
        done = obey_trigger(twin, request)
        self._speak(member)
        return done

    # ------------------------------------------------------------------ life

    async def run(self, stop: asyncio.Event, progress: Progress | None) -> None:
        """Live until ``stop`` or the duration is over, then shut down."""
        began_s = time.monotonic()
        next_save_s = began_s
        while not stop.is_set():
            now_s = time.monotonic()
            if self._config.duration_s is not None and (now_s - began_s >= self._config.duration_s):
                break
            if now_s >= next_save_s:
                next_save_s = now_s + _SAVE_S
                self._keep_books(now_s - began_s, progress)
            if self._scheduler.run_due(time.time()):
                await asyncio.sleep(0)
                continue
            await self._sleep(stop)
        await self._shut_down(is_hurried=stop.is_set())
        self._keep_books(time.monotonic() - began_s, progress)

    async def _sleep(self, stop: asyncio.Event) -> None:
        due_s = self._scheduler.next_due_s()
        left_s = _TURN_S if due_s is None else min(_TURN_S, due_s - time.time())
        if left_s <= 0.0:
            return
        if left_s < _TURN_S:
            await asyncio.sleep(left_s)
            return
        try:
            await asyncio.wait_for(stop.wait(), left_s)
        except TimeoutError:
            return

    def _keep_books(self, wall_s: float, progress: Progress | None) -> None:
        self._store.save()
        self._recorder.ledger.flush()
        report = self._recorder.report
        report.wall_s = round(wall_s, 3)
        report.chargers_online = sum(member.link.is_online for member in self._members)
        report.commands = self._count_commands()
        report.effects = {
            command_id: count
            for member in self._members
            for command_id, count in member.twin.desk.effects_by_id.items()
        }
        if progress is not None:
            progress(report)

    def _count_commands(self) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for member in self._members:
            desk = member.twin.desk
            counts["received"] += desk.received
            counts["duplicates"] += desk.duplicates
            counts.update(desk.effects)
        return dict(counts)

    async def _shut_down(self, *, is_hurried: bool) -> None:
        """End all sessions, send what is left, say goodbye; bounded in time."""
        # A run that ends by itself may take longer with a large fleet than a user would wait.
        patience_s = self._config.shutdown_s
        if not is_hurried:
            patience_s = max(patience_s, len(self._members) / 100.0)
        self._closing.set()
        polls = [poll for member in self._members for poll in member.link.polls]
        for poll in polls:
            poll.cancel()
        await asyncio.gather(*polls, return_exceptions=True)
        now_ms = self._clock.sim_ms(time.time())
        for index, member in enumerate(self._members):
            self._retire(member, now_ms)
            if index % 50 == 0:
                await asyncio.sleep(0)
        await self._drain(patience_s)
        for member in self._members:
            member.link.count_leftovers()
            cycles = member.twin.contactor_cycles
            self._recorder.report.contactor_cycles[member.twin.spec.sn] = cycles

    def _retire(self, member: _Member, now_ms: int) -> None:
        if member.link.is_refused:
            return
        while member.twin.due_ms <= now_ms:
            member.twin.advance(member.twin.due_ms)
        member.twin.shut_down()
        member.link.set_dark(is_dark=False)
        member.link.push(member.twin.take())
        member.link.beat("offline")

    async def _drain(self, patience_s: float) -> None:
        deadline_s = time.monotonic() + patience_s
        while True:
            workers = [member.link.worker for member in self._members]
            running = [worker for worker in workers if worker is not None]
            left_s = deadline_s - time.monotonic()
            if not running or left_s <= 0.0:
                break
            await asyncio.wait(running, timeout=left_s)
        for worker in running:
            worker.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def run_fleet(
    config: FleetConfig, stop: asyncio.Event, progress: Progress | None = None
) -> FleetReport:
    """Run a fleet until ``stop`` is set or its duration is over, and report.

    After ``stop`` it ends within 5 s: sessions are closed and their records sent, then an
    ``offline`` heartbeat. ``progress`` is called every two seconds with the report so far.
    Raises ValueError or KeyError for a configuration that cannot run, ControlRefused where the
    control socket cannot be opened.
    """
    config.check()
    roster = config.roster()
    report = FleetReport(
        seed=config.seed,
        chargers=len(roster),
        connectors=sum(spec.connector_count for spec in roster),
        scenario=config.scenario,
        time_scale=config.time_scale,
        started_at=utc_text(int(1000 * time.time())),
    )
    recorder = Recorder(report, Ledger(config.ledger_file))
    began_cpu_s = time.process_time()
    try:
        async with Wire(config.base_url) as wire:
            fleet = Fleet(config, wire, recorder)
            async with ControlSocket(config.control_path, fleet.answer):
                await fleet.run(stop, progress)
    finally:
        recorder.ledger.close()
    report.cpu_s = round(time.process_time() - began_cpu_s, 3)
    return recorder.snapshot()
