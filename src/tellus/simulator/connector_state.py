"""What a connector is at one instant, and what may be asked of it without changing anything."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tellus.simulator.agenda import NEVER_MS
from tellus.simulator.bounds import Bounds
from tellus.simulator.chance import seeded
from tellus.simulator.contactor import Contactor
from tellus.simulator.display import Display
from tellus.simulator.figures import default_figures
from tellus.simulator.inverter import Inverter
from tellus.simulator.isolation import Isolation
from tellus.simulator.mishaps import Mishaps
from tellus.simulator.power import PowerPath
from tellus.simulator.session import Session, StartOrder, goals_kwh
from tellus.simulator.stages import ENERGISED, FLOWING, HANDSHAKING, Installation, Stage
from tellus.simulator.voice import Voice

if TYPE_CHECKING:
    from tellus.simulator.metering import Registers
    from tellus.simulator.scenario import Visit, Visits

_WEAR = default_figures().wear


class ConnectorState(Voice):
    """The parts and the present of one connector.

    ``power`` is its physics, ``stage`` where the visit stands, ``mishaps`` what is going to go
    wrong here; ``contactor``, ``isolation`` and ``inverter`` are its parts that wear.
    """

    def __init__(
        self,
        connector_id: int,
        home: Installation,
        visits: Visits,
        registers: Registers,
        now_ms: int,
    ) -> None:
        super().__init__(connector_id, home)
        self.visits = visits
        self.bounds = Bounds()
        self.power = PowerPath(home, registers, now_ms)
        self.stage = Stage.AVAILABLE
        # Parts draw from a source of their own: what happens to them changes no visit.
        rng = seeded(home.charger.seed, home.sn, connector_id, "parts")
        cycles = home.charger.spec.contactor_cycles.get(
            connector_id, round(registers.import_kwh / _WEAR.kwh_per_cycle)
        )
        self.contactor = Contactor(home.model, rng, cycles)
        self.isolation = Isolation(home.sn, rng, now_ms)
        self.inverter = Inverter(rng)
        self.mishaps = Mishaps(rng)
        self.is_out_of_service = False
        self.is_hot = False
        self.fault_code: int | str | None = None
        self.cached_authorisations = 0
        self.visit: Visit | None = visits.next_after(now_ms)
        self.session: Session | None = None
        self.order: StartOrder | None = None
        self.following: StartOrder | None = None
        self._stage_due_ms = NEVER_MS
        self._depart_ms = NEVER_MS
        self._display = Display(connector_id, home, now_ms)

    @property
    def is_energised(self) -> bool:
        """Return whether the contactor is closed."""
        return self.stage in ENERGISED

    @property
    def is_blocked(self) -> bool:
        """Return whether nobody is served: a fault, a weld, or out of service."""
        return self.is_out_of_service or self.fault_code is not None or self.contactor.is_welded

    @property
    def is_busy(self) -> bool:
        """Return whether a session runs or is about to begin; a standstill leads to none."""
        if self.is_energised or self.is_stalled:
            return self.is_energised
        return self.order is not None or self.stage in HANDSHAKING

    @property
    def is_discharging(self) -> bool:
        """Return whether energy flows out of the vehicle, or is about to."""
        order = self.order if self.session is None else self.session.order
        return order is not None and order.is_discharge

    @property
    def is_waiting(self) -> bool:
        """Return whether a vehicle stands there that nobody has authorised, or that is done."""
        is_idle = self.stage is Stage.PLUGGED and self._stage_due_ms == NEVER_MS
        return is_idle or self.stage is Stage.FINISHING

    @property
    def is_stalled(self) -> bool:
        """Return whether a handshake has come to a standstill."""
        return self.stage in HANDSHAKING and self._stage_due_ms == NEVER_MS

    @property
    def limit_kw(self) -> float:
        """Return the power limit in force either way, infinite without one."""
        if self.session is None or self.session.order is None:
            return self.bounds.limit_kw
        limit_kw = self.session.order.power_kw
        return self.bounds.limit_kw if limit_kw is None else min(limit_kw, self.bounds.limit_kw)

    def demand_kw(self, dt_s: float) -> float:
        """Return what this connector asks of a shared cabinet for the coming step."""
        return self.power.demand_kw(dt_s, self.limit_kw, is_discharge=self.is_discharging)

    def seconds_to_goal(self) -> float:
        """Return how long the present power takes to the nearest goal."""
        power_kw = abs(self.power.flow.power_kw)
        if self.session is None or self.stage not in FLOWING or power_kw == 0.0:
            return math.inf
        nearest_kwh = min(left_kwh for left_kwh, _ in goals_kwh(self.session, self.power))
        return max(0.0, nearest_kwh) * 3600.0 / power_kw
