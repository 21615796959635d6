"""The twin of one charger: connectors on one supply and one cabinet, and its commands.

The twin moves only when asked, to a time it is given, in steps of at most ``step_ms`` while
power flows and in one leap while none does. A fleet wakes it at ``due_ms`` and not before, so
that the same seed and start give the same messages however late the wake-up comes.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tellus.simulator.agenda import Agenda
from tellus.simulator.breakdown import code_form
from tellus.simulator.cabinet import Cabinet
from tellus.simulator.chance import seeded, uniform_ms
from tellus.simulator.climate import Climate
from tellus.simulator.commands import CommandDesk
from tellus.simulator.connector import ConnectorTwin
from tellus.simulator.downtime import PowerState
from tellus.simulator.electrics import Supply, split_equally_kw
from tellus.simulator.faults import FaultDice
from tellus.simulator.figures import Scenario, default_figures
from tellus.simulator.firmware import draw_failing_firmware
from tellus.simulator.heat import CabinetWatch
from tellus.simulator.messages import Kind, Message, PendingCommand
from tellus.simulator.metering import Registers
from tellus.simulator.plants import Plant, plant
from tellus.simulator.profile import RunningProfile
from tellus.simulator.scenario import Visits
from tellus.simulator.stages import LIVE_CADENCE, Cadence, Installation

if TYPE_CHECKING:
    from random import Random

    from tellus.simulator.figures import ChargerModel, Usage

_STEP_MS = 1_000
_FAULTS_KEPT = 50
_LIFETIME_KWH = (800.0, 60_000.0)


@dataclass(frozen=True, slots=True)
class ChargerSpec:
    """One charger to simulate.

    ``firmware_version`` and ``connectors`` default to the model's, ``scenario`` to the fleet's.
    ``registers`` maps connector ids to meter readings to carry on from. Chargers with the same
    ``site`` share what strikes a site. ``plants`` are the causes of faults in it; faults of one
    that is attended are reset after a while, as by an operator.
    """

    sn: str
    model: str
    firmware_version: str | None = None
    connectors: int | None = None
    scenario: str | None = None
    enrolment_token: str | None = None
    timezone: str = "UTC"
    site: str = ""
    registers: dict[int, Registers] = field(default_factory=dict)
    contactor_cycles: dict[int, int] = field(default_factory=dict)
    plants: tuple[Plant, ...] = ()
    gives_back_every_s: float | None = None
    is_attended: bool = False

    @property
    def charger_model(self) -> ChargerModel:
        """Return the model's figures; KeyError for an unknown name."""
        return default_figures().model(self.model)

    @property
    def connector_count(self) -> int:
        """Return how many connectors this unit has."""
        return self.connectors or self.charger_model.connectors

    @property
    def firmware(self) -> str:
        """Return the firmware version it reports."""
        return self.firmware_version or self.charger_model.firmware_version

    def usage(self, scenario: Scenario) -> Usage:
        """Return how its connectors are used under a scenario."""
        name = scenario.usage_ac if self.charger_model.kind == "ac" else scenario.usage_dc
        return default_figures().usage[name]


class ChargerTwin:
    """One charger from ``start_ms`` on. Messages gather in ``outbox`` until ``take`` is called.

    ``platform_url`` is where addresses without a host lead to; empty where there is no platform.
    """

    def __init__(
        self,
        spec: ChargerSpec,
        scenario: Scenario,
        seed: int,
        start_ms: int,
        *,
        cadence: Cadence = LIVE_CADENCE,
        step_ms: int = _STEP_MS,
    ) -> None:
        self.spec = spec
        self.seed = seed
        self.model = spec.charger_model
        self.scenario = scenario
        self.time_ms = start_ms
        self.outbox: list[Message] = []
        self.agenda = Agenda()
        self.power_state = PowerState(self)
        self.faults = FaultDice(self, scenario.command_faults, seeded(seed, spec.sn, "faults"))
        self.failing_firmware = draw_failing_firmware(scenario.command_faults, (seed, spec.sn))
        self.firmware_version = spec.firmware
        self.is_upgrading = False
        self.profile = RunningProfile(spec.model)
        self.heat = CabinetWatch(self)
        self.fault_log: deque[dict[str, object]] = deque(maxlen=_FAULTS_KEPT)
        self.platform_url = ""
        self.desk = CommandDesk(self)
        self.rng = seeded(seed, spec.sn)
        self._step_ms = step_ms
        self.home = self._build_home(cadence)
        parts_rng = seeded(seed, spec.sn, "cabinet")
        self.cabinet = Cabinet(self.model, self.home.climate, parts_rng, start_ms)
        self.connectors = [
            self._build_connector(seed, number + 1) for number in range(spec.connector_count)
        ]
        plant(self)
        # So far ahead nothing is due: a fleet asks this every time it looks at the charger.
        self.due_ms = self._next_due_ms()

    def _build_home(self, cadence: Cadence) -> Installation:
        spec = self.spec
        zone = ZoneInfo(spec.timezone)
        offset = datetime.fromtimestamp(self.time_ms / 1000, UTC).astimezone(zone).utcoffset()
        return Installation(
            sn=spec.sn,
            model=self.model,
            scenario=self.scenario,
            usage=spec.usage(self.scenario),
            cadence=cadence,
            climate=Climate(
                self.scenario.ambient_c,
                0 if offset is None else round(1000 * offset.total_seconds()),
            ),
            charger=self,
            supply=Supply(self.rng),
            emit=self._emit,
        )

    def _next_due_ms(self) -> int:
        if self.power_state.back_ms is not None:
            return self.power_state.back_ms
        return min(self.agenda.due_ms, *(connector.due_ms() for connector in self.connectors))

    def _build_connector(self, seed: int, connector_id: int) -> ConnectorTwin:
        spec, home = self.spec, self.home
        visits = Visits(
            (seed, spec.sn, connector_id), self.model.kind, home.usage, self.scenario, spec.timezone
        )
        registers = spec.registers.get(connector_id) or _drawn_registers(
            seeded(seed, spec.sn, connector_id, "registers")
        )
        connector = ConnectorTwin(connector_id, home, visits, registers, self.time_ms)
        if self.rng.random() < self.scenario.occupied_at_start_ratio:
            within_s = default_figures().timing.occupied_within_s
            arrive_ms = self.time_ms + uniform_ms(self.rng, (1.0, within_s))
            connector.visit = visits.visit_at(arrive_ms)
        return connector

    def _emit(self, message: Message) -> None:
        if message.kind is Kind.COMMAND_STATUS:
            self.desk.remember_status(message)
            self.faults.pass_on(message, self.time_ms)
            return
        self.outbox.append(message)

    def take(self) -> list[Message]:
        """Return what has been said since the last call."""
        said, self.outbox = self.outbox, []
        return said

    def advance(self, now_ms: int) -> None:
        """Move on to ``now_ms``, doing everything that is due on the way."""
        while True:
            self._fire()
            if self.time_ms >= now_ms:
                return
            self._step(min(now_ms, max(self.due_ms, self.time_ms + 1)))

    def _fire(self) -> None:
        """Do everything that is due now, in the order boot, duties, connectors."""
        self.power_state.boot_if_due(self.time_ms)
        if not self.power_state.is_frozen:
            self.agenda.run_due(self.time_ms)
        # A duty may just have turned the charger off.
        if not self.power_state.is_frozen:
            for connector in self.connectors:
                connector.fire(self.time_ms)
        self.due_ms = self._next_due_ms()

    def _step(self, horizon_ms: int) -> None:
        live = [connector for connector in self.connectors if connector.is_energised]
        end_ms = min(horizon_ms, self.time_ms + self._step_ms) if live else horizon_ms
        self.home.supply.advance((end_ms - self.time_ms) / 1000.0)
        power_kw = 0.0
        if live:
            end_ms = self._run(live, end_ms)
            power_kw = sum(abs(one.power.flow.power_kw) for one in live)
        self.time_ms = end_ms
        self.cabinet.advance(end_ms, power_kw)
        self.heat.look(end_ms)

    def _run(self, live: list[ConnectorTwin], end_ms: int) -> int:
        """Let power flow until ``end_ms``, or until the first vehicle has had enough."""
        dt_s = (end_ms - self.time_ms) / 1000.0
        shares_kw = self._share_cabinet(live, dt_s)
        goal_s = dt_s
        for connector, share_kw in zip(live, shares_kw, strict=True):
            connector.settle_flow(self.time_ms, dt_s, share_kw)
            goal_s = min(goal_s, connector.seconds_to_goal())
        if goal_s < dt_s:
            end_ms = min(end_ms, self.time_ms + int(1000.0 * goal_s) + 1)
            dt_s = (end_ms - self.time_ms) / 1000.0
        for connector in live:
            connector.apply(end_ms, dt_s)
        return end_ms

    def _share_cabinet(self, live: list[ConnectorTwin], dt_s: float) -> list[float]:
        capacity_kw = self.cabinet.capacity_kw
        if self.model.kind == "ac":
            return [capacity_kw] * len(live)
        demands_kw = [connector.demand_kw(dt_s) for connector in live]
        shares_kw = split_equally_kw(capacity_kw, [abs(one) for one in demands_kw])
        return [
            math.copysign(share, demand)
            for share, demand in zip(shares_kw, demands_kw, strict=True)
        ]

    def execute(self, command: PendingCommand, polled_connector_id: int, wall_ms: int) -> None:
        """Obey or refuse a command at the twin's present time; ``wall_ms`` judges its expiry.

        What comes while nobody listens is lost on the way.
        """
        if self.power_state.is_dark:
            return
        self.desk.receive(command, polled_connector_id, self.time_ms, wall_ms)
        self._fire()

    def settle(self) -> None:
        """Do what has fallen due by something that was done to the charger from outside."""
        self._fire()

    def shut_down(self) -> None:
        """End every session at the twin's present time; everybody leaves."""
        for connector in self.connectors:
            connector.finish_now(self.time_ms)

    @property
    def fault_code(self) -> int | str:
        """Return the fault code of the first connector that has one, 0 without."""
        codes = (one.fault_code for one in self.connectors if one.fault_code is not None)
        return next(codes, 0)

    def heed_profile(self) -> None:
        """Give no more power than the running configuration allows, and tell of it soon."""
        self.cabinet.rating_ratio = self.profile.rating_ratio(self.model.rated_kw)
        self.power_state.needs_heartbeat = True

    def write_code(self, code: str) -> int | str:
        """Return a code of the fault dictionary as this unit writes it."""
        return code_form(self.seed, self.spec.sn, code)

    @property
    def contactor_cycles(self) -> dict[int, int]:
        """Return how often each contactor has closed, by connector id."""
        return {one.connector_id: one.contactor.cycles for one in self.connectors}

    @property
    def registers(self) -> dict[int, Registers]:
        """Return the meter readings by connector id."""
        return {one.connector_id: one.power.meter.registers for one in self.connectors}


def _drawn_registers(rng: Random) -> Registers:
    return Registers(round(rng.uniform(*_LIFETIME_KWH), 4), 0.0)
