"""The twin of one connector: the order of a visit, and what it says on the way.

available > plugged > handshake stages > charging (> full) > stopping > finishing > available;
a discharge negotiates and synchronises after the handshake and is discharging instead.
Time is epoch milliseconds and always a parameter. A connector never acts before ``due_ms``, so
that an idle one costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tellus.simulator.agenda import NEVER_MS
from tellus.simulator.chance import uniform_ms
from tellus.simulator.connector_state import ConnectorState
from tellus.simulator.discharge import refusal_of, refuse_discharge
from tellus.simulator.figures import default_figures
from tellus.simulator.heat import watch_pins
from tellus.simulator.incidents import await_trouble, engages, stalls, stay_live
from tellus.simulator.messages import record_message
from tellus.simulator.metering import reading_kwh
from tellus.simulator.planning import follow_plan
from tellus.simulator.session import (
    Session,
    StartOrder,
    close_session,
    completion_details,
    departure_ms,
    goals_kwh,
)
from tellus.simulator.stages import (
    DISCHARGE,
    FLOWING,
    HANDSHAKING,
    PREPARING,
    Stage,
    handshake_after,
)

if TYPE_CHECKING:
    from tellus.simulator.scenario import Visit

_TIMING = default_figures().timing
_GOAL_KWH = 1e-7
_REMOTE_STAY_MS = 3_600_000
_REMOTE_AUTHORISE_S = (0.1, 1.0)


class ConnectorTwin(ConnectorState):
    """One connector: what happens at it, by itself or because it is told to."""

    # ------------------------------------------------------------------ time

    def due_ms(self) -> int:
        """Return the earliest time at which something happens here by itself."""
        if self.is_blocked:
            return min(self._display.due_ms, self._depart_ms)
        due = min(
            self._stage_due_ms, self._display.due_ms, self._depart_ms, self._limit_due_ms(),
            self.bounds.due_ms,
        )  # fmt: skip
        if self.stage is Stage.AVAILABLE and self.visit is not None:
            return min(due, self.visit.arrive_ms)
        return due

    def _limit_due_ms(self) -> int:
        """Return when to begin stopping, so that the power is down when the time is over."""
        if self.stage not in FLOWING or self.session is None:
            return NEVER_MS
        end_ms = self.session.end_limit_ms
        return NEVER_MS if end_ms is None else end_ms - self.power.ramp_ms()

    def fire(self, now_ms: int) -> None:
        """Do everything that is due: changes of stage first, the telemetry frame last."""
        while not self.is_blocked and self._change_stage(now_ms):
            pass
        if self.is_blocked and self._depart_ms <= now_ms:
            self._plug_out(now_ms)
        if self._display.due_ms <= now_ms:
            self._display.send(self, now_ms)

    def _change_stage(self, now_ms: int) -> bool:
        if self.bounds.due_ms <= now_ms:
            self.bounds.refresh(now_ms)
            follow_plan(self, now_ms)
        elif self.stage is Stage.AVAILABLE:
            if self.visit is None or self.visit.arrive_ms > now_ms:
                return False
            self._plug_in(now_ms, self.visit)
        elif self._stage_due_ms <= now_ms:
            self._stage_due_ms = NEVER_MS
            self._end_stage(now_ms)
        elif self._depart_ms <= now_ms:
            self._depart_ms = NEVER_MS
            self._leave(now_ms)
        elif self._limit_due_ms() <= now_ms:
            self.begin_stop(now_ms, "time_limit")
        else:
            return False
        return True

    def _end_stage(self, now_ms: int) -> None:
        if self.mishaps.stall and stalls(self):
            return
        if self.stage is Stage.PLUGGED:
            method = "rfid" if self.order is None else "remote"
            self.cached_authorisations += self.order is None
            self.tell("auth_ok", now_ms, {"method": method})
            self._next_handshake(now_ms)
        elif self.stage is Stage.NEGOTIATION and (refusal := refusal_of(self)) is not None:
            refuse_discharge(self, refusal, now_ms)
        elif self.stage in HANDSHAKING:
            self._next_handshake(now_ms)
        elif self.stage is Stage.FULL:
            self.begin_stop(now_ms, "ev_full")
        elif self.stage is Stage.STOPPING:
            self._open_contactor(now_ms)

    # ----------------------------------------------------------------- visit

    @property
    def _present(self) -> Visit:
        if self.visit is None:
            raise RuntimeError(f"connector {self.connector_id}: nobody is here in {self.stage}")
        return self.visit

    def _plug_in(self, now_ms: int, visit: Visit) -> None:
        self.stage = Stage.PLUGGED
        self.power.connect(visit)
        self._depart_ms = visit.depart_ms
        self.tell("plug_in", now_ms, {"vehicle_connected": True})
        if self.home.scenario.local_authorisation or self.order is not None:
            self._stage_due_ms = now_ms + uniform_ms(visit.rng, _TIMING.authorise_s)
        self._display.show_step(now_ms)
        follow_plan(self, now_ms)

    def _next_handshake(self, now_ms: int) -> None:
        if self.stage is Stage.CABLE_CHECK:
            self.isolation.measure(now_ms)
        kind = DISCHARGE if self.is_discharging else self.home.model.kind
        step = handshake_after(kind, self.stage)
        if step is None:
            if engages(self, now_ms):
                self._begin_session(now_ms)
            return
        self.stage, span_s = step
        self._stage_due_ms = now_ms + uniform_ms(self._present.rng, span_s)

    def _begin_session(self, now_ms: int) -> None:
        net_kwh = self.power.meter.net_kwh
        self.stage = Stage.DISCHARGING if self.is_discharging else Stage.CHARGING
        self.contactor.count(is_discharge=self.is_discharging)
        soc_pct = self.power.battery.soc_pct
        self.session = Session(self._present, now_ms, net_kwh, soc_pct, self.order)
        reason = "user_request"
        if self.order is not None:
            reason = "remote" if self.order.command_id else "schedule"
        data = {"reason": reason, "meter_start": reading_kwh(net_kwh)}
        self.tell("start", now_ms, self._with_transaction(data))
        self._display.show_begin(now_ms)
        await_trouble(self, self.session, now_ms)

    def _with_transaction(self, data: dict[str, Any]) -> dict[str, Any]:
        if self.order is not None and self.order.transaction_id is not None:
            data["transaction_id"] = self.order.transaction_id
        return data

    def begin_stop(self, now_ms: int, reason: str, details: dict[str, Any] | None = None) -> None:
        """Ramp down and open; the session ends when no power flows any more."""
        session = self.session
        if session is None or self.stage is Stage.STOPPING:
            return
        session.stop_reason = reason
        session.stop_details = details or {}
        self.stage = Stage.STOPPING
        # A frame that says "charging" must be older than the stop.
        self._stage_due_ms = self._display.after_last_ms(now_ms + self.power.ramp_ms())
        self.power.start_ramp_down(self._stage_due_ms)

    def _open_contactor(self, now_ms: int) -> None:
        session, self.session = self.session, None
        if session is None:
            return
        self.power.warm(now_ms)
        flow = self.power.flow
        has_opened = self.contactor.opens(session.current_a)
        self.power.cut()
        self.stage = Stage.FINISHING
        record = close_session(session, self, now_ms)
        data = {"reason": session.stop_reason, "meter_end": record.meter_end}
        self.tell("stop", now_ms, self._with_transaction(data))
        self.home.emit(record_message(record, now_ms))
        self._display.show_end(now_ms)
        self._complete_commands(session, record.energy, now_ms)
        self._depart_ms = departure_ms(session, self.home.usage, now_ms)
        if not has_opened:
            stay_live(self, self._live_voltage_v(flow.voltage_v), now_ms)
        follow_plan(self, now_ms)

    def _live_voltage_v(self, voltage_v: float) -> float:
        return voltage_v if voltage_v > 0.0 else self.home.supply.voltage_v(0)

    def _complete_commands(self, session: Session, energy_kwh: float, now_ms: int) -> None:
        details = completion_details(session, energy_kwh, now_ms)
        if self.order is not None:
            self.report(self.order.command_id, "completed", now_ms, "Session finished", details)
            self.order = None
        for command_id in session.stop_command_ids:
            self.report(command_id, "completed", now_ms, "Session stopped", details)

    def _leave(self, now_ms: int) -> None:
        if self.stage in FLOWING or self.stage is Stage.FULL:
            self.begin_stop(now_ms, "user_request")
        elif self.stage is not Stage.STOPPING:
            self._plug_out(now_ms)

    def _plug_out(self, now_ms: int) -> None:
        self.abandon_order(now_ms, "the vehicle left before charging began")
        self.tell("plug_out", now_ms, {"vehicle_connected": False})
        self.vacate(now_ms)

    def vacate(self, now_ms: int) -> None:
        """Be free for the next vehicle."""
        self.stage = Stage.AVAILABLE
        self.power.disconnect()
        self._stage_due_ms = self._depart_ms = NEVER_MS
        if self.mishaps.stall == "vehicle":
            self.mishaps.stall = ""
        self.visit = self.visits.next_after(now_ms)
        self._display.show_step(now_ms)

    # --------------------------------------------------------------- control

    def abandon_order(self, now_ms: int, why: str, details: dict[str, Any] | None = None) -> None:
        """Fail a remote start that has not led to a session."""
        self.abandon_following(now_ms, why)
        if self.order is not None:
            self.report(self.order.command_id, "failed", now_ms, why, details)
            self.order = None

    def abandon_following(self, now_ms: int, why: str) -> None:
        """Fail an order that waits for the end of the present session."""
        if self.following is not None:
            self.report(self.following.command_id, "failed", now_ms, why)
            self.following = None

    def expect(self, visit: Visit) -> None:
        """Let this vehicle come next instead of the one planned."""
        self.visit = visit

    def authorise_remotely(self, order: StartOrder, now_ms: int) -> None:
        """Bind a remote start to the vehicle that is, or will be, plugged in."""
        self.order = order
        if self.is_waiting:
            self.stage = Stage.PLUGGED
            self._stage_due_ms = now_ms + uniform_ms(self._present.rng, _REMOTE_AUTHORISE_S)
            self._depart_ms = max(self._present.depart_ms, now_ms + _REMOTE_STAY_MS)
            self._display.show_step(now_ms)

    def send_away(self, now_ms: int) -> None:
        """Let the vehicle leave as soon as nothing flows any more."""
        if self.visit is not None and self.stage is not Stage.AVAILABLE:
            self.visit = self.visit._replace(depart_ms=now_ms)
            self._depart_ms = now_ms
            if self.session is not None:
                self.session.visit = self.visit

    def cancel_start(self, now_ms: int) -> None:
        """End a handshake or an expected arrival without a session."""
        self.abandon_order(now_ms, "stopped before charging began")
        self.mishaps.try_again()
        if self.stage is Stage.AVAILABLE:
            self.visit = self.visits.next_after(now_ms)
            return
        self.stage = Stage.FINISHING
        self._stage_due_ms = NEVER_MS
        self._display.show_step(now_ms)

    def shake_hands_again(self, now_ms: int) -> None:
        """Begin a handshake anew that had come to a standstill."""
        may_begin = self.home.scenario.local_authorisation or self.order is not None
        is_unauthorised = self.stage is Stage.PLUGGED and self._stage_due_ms == NEVER_MS
        if self.is_stalled or (is_unauthorised and may_begin):
            self.stage = Stage.PLUGGED
            self._stage_due_ms = now_ms + uniform_ms(self._present.rng, _TIMING.authorise_s)
            self._display.show_step(now_ms)

    def cut(
        self, now_ms: int, reason: str, why: str, details: dict[str, Any] | None = None
    ) -> None:
        """Open at once: a session ends as ``reason``, a start under way fails for ``why``."""
        now_ms = self._display.after_last_ms(now_ms)
        self.abandon_following(now_ms, why)
        if self.session is not None:
            self.begin_stop(now_ms, reason, details)
            self.session.stop_reason = reason
            self._stage_due_ms = NEVER_MS
            self._open_contactor(now_ms)
        elif self.stage in PREPARING:
            self.stage = Stage.FINISHING
            self._stage_due_ms = NEVER_MS
        self.abandon_order(now_ms, why)

    def finish_now(self, now_ms: int) -> None:
        """End whatever goes on at once: the run is over and everybody leaves."""
        now_ms = self._display.after_last_ms(now_ms)
        self.cut(now_ms, "user_request", "the charger shut down")
        if self.stage is not Stage.AVAILABLE:
            self._plug_out(now_ms)
        self._display.send(self, now_ms)

    def show(self, now_ms: int) -> None:
        """Send a frame now."""
        self._display.show(now_ms)

    # --------------------------------------------------------------- physics

    def settle_flow(self, now_ms: int, dt_s: float, share_kw: float) -> None:
        """Set what flows during the coming ``dt_s``."""
        if self.home.model.kind == "dc":
            self.power.set_dc_flow(now_ms, dt_s, share_kw)
        elif self.stage is Stage.CHARGING:
            self.power.set_ac_flow(min(self.limit_kw, share_kw))

    def apply(self, end_ms: int, dt_s: float) -> None:
        """Let the flow run for ``dt_s``, then see whether it is enough."""
        self.power.run(end_ms, dt_s)
        if self.session is None:
            return
        self.session.note_flow(self.power.flow)
        pins = self.power.pins
        if pins.temperature_c > pins.warning_c or self.is_hot:
            watch_pins(self, end_ms)
        if self.stage not in FLOWING:
            return
        for left_kwh, reason in goals_kwh(self.session, self.power):
            if left_kwh <= _GOAL_KWH:
                self.begin_stop(end_ms, reason)
                return
        if self.power.is_tapered_off:
            self.stage = Stage.FULL
            self.power.cut()
            self._stage_due_ms = end_ms + uniform_ms(self._present.rng, _TIMING.full_wait_s)
