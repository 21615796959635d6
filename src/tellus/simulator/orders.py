"""Commands about sessions: start, stop, discharge, limits and schedules at one connector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tellus.simulator.agenda import NEVER_MS
from tellus.simulator.breakdown import clear_fault
from tellus.simulator.chance import uniform_ms
from tellus.simulator.figures import default_figures
from tellus.simulator.limits import PowerLimit
from tellus.simulator.messages import PendingCommand, utc_text
from tellus.simulator.planning import follow_plan, leave_plan
from tellus.simulator.schedule import BadPlan, read_plan
from tellus.simulator.session import StartOrder
from tellus.simulator.stages import FLOWING, PREPARING, Stage

if TYPE_CHECKING:
    from tellus.simulator.connector import ConnectorTwin
    from tellus.simulator.device import ChargerTwin

_REMOTE_STAY_S = 3_600
_AFTERWARDS_S = 300
_RAMP_KW_PER_S = default_figures().electrical.ramp_down_kw_per_s
_BIDIRECTIONAL = default_figures().bidirectional


class CommandRefused(Exception):
    """The command cannot be carried out; the text goes to the platform."""


@dataclass(frozen=True, slots=True)
class Job:
    """One command at its connector. ``wall_ms`` is the time of the world, for what it names."""

    charger: ChargerTwin
    connector: ConnectorTwin
    command: PendingCommand
    now_ms: int
    wall_ms: int

    def accept(self, text: str) -> None:
        """Say that the command will be carried out."""
        self.connector.report(self.command.command_id, "accepted", self.now_ms, text)

    def complete(self, now_ms: int, text: str, details: dict[str, Any] | None = None) -> None:
        """Say that it has been carried out."""
        self.connector.report(self.command.command_id, "completed", now_ms, text, details)

    def fail(self, now_ms: int, text: str, details: dict[str, Any] | None = None) -> None:
        """Say that it could not be carried out after all."""
        self.connector.report(self.command.command_id, "failed", now_ms, text, details)

    def later(self, wait_s: float, action: Callable[[int], None]) -> None:
        """Do something after a while, unless the power fails before."""
        due_ms = self.now_ms + round(1000 * wait_s)
        self.charger.agenda.at(due_ms, action, self.command.command_id)

    def number(self, name: str) -> float | None:
        """Return a parameter as a number, None where it is missing."""
        return as_number(self.command.params.get(name), name)


Handler = Callable[[Job], None]


def as_number(value: Any, name: str) -> float | None:
    """Return a JSON number as float; CommandRefused for anything else but None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CommandRefused(f"{name} is not a number")
    return float(value)


def read_time_ms(text: str) -> int:
    """Return an ISO 8601 time as epoch milliseconds, no zone = UTC; ValueError if it is none."""
    moment = datetime.fromisoformat(text)
    return round(1000 * (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _positive(job: Job, name: str) -> float | None:
    value = job.number(name)
    if value is not None and value <= 0.0:
        raise CommandRefused(f"{name} must be positive")
    return value


def _percent(job: Job, name: str) -> int | None:
    value = job.number(name)
    if value is None:
        return None
    if not 0.0 <= value <= 100.0:
        raise CommandRefused(f"{name} must lie between 0 and 100")
    return round(value)


def _read_start(job: Job) -> StartOrder:
    duration_s = _positive(job, "duration")
    transaction_id = job.command.params.get("transaction_id")
    return StartOrder(
        command_id=job.command.command_id,
        power_kw=_positive(job, "charge_power"),
        duration_s=None if duration_s is None else round(duration_s),
        target_soc_pct=_percent(job, "target_soc"),
        transaction_id=None if transaction_id is None else str(transaction_id),
    )


def _read_discharge(job: Job) -> StartOrder:
    if not job.charger.model.v2g:
        raise CommandRefused("unsupported_hardware: this charger cannot discharge")
    power_kw = _positive(job, "discharge_power")
    if power_kw is None:
        raise CommandRefused("discharge_power is missing")
    if power_kw < _BIDIRECTIONAL.minimum_kw:
        raise CommandRefused(f"discharge_power is below {_BIDIRECTIONAL.minimum_kw:g} kW")
    duration_s = _positive(job, "duration")
    return StartOrder(
        command_id=job.command.command_id,
        power_kw=power_kw,
        duration_s=None if duration_s is None else round(duration_s),
        is_discharge=True,
        min_soc_pct=_percent(job, "min_soc"),
    )


def start(job: Job) -> None:
    """Charge the vehicle that is there, or that comes because of it."""
    _begin(job, _read_start(job), "Start")


def discharge(job: Job) -> None:
    """Take energy out of the vehicle."""
    _begin(job, _read_discharge(job), "Discharge")


def _begin(job: Job, order: StartOrder, word: str) -> None:
    connector = job.connector
    if connector.is_blocked:
        has_fault = connector.fault_code is not None
        word_for_it = "has a fault" if has_fault else "is out of service"
        raise CommandRefused(f"the connector {word_for_it}")
    if order.is_discharge and connector.is_energised and not connector.is_discharging:
        _turn_round(job, order)
        return
    if connector.is_energised:
        raise CommandRefused("the connector is already in a session")
    if connector.order is not None:
        raise CommandRefused("a remote start is already under way")
    text = f"{word} accepted"
    if connector.stage is Stage.AVAILABLE:
        _await_vehicle(job, order)
        text = f"{word} accepted, waiting for the vehicle"
    elif (
        connector.stage is Stage.FINISHING
        and not order.is_discharge
        and connector.power.battery.soc_pct >= 99.5
    ):
        raise CommandRefused("the vehicle is full")
    job.accept(text)
    connector.authorise_remotely(order, job.now_ms)


def _turn_round(job: Job, order: StartOrder) -> None:
    """End a charge that runs; the vehicle gives back as soon as nothing flows any more."""
    if job.connector.following is not None:
        raise CommandRefused("a discharge is already under way")
    job.accept("Discharge accepted, the charge ends first")
    job.connector.following = order
    job.connector.begin_stop(job.now_ms, "remote")


def _await_vehicle(job: Job, order: StartOrder) -> None:
    charger, connector = job.charger, job.connector
    if not charger.scenario.arrive_on_remote_start:
        raise CommandRefused("no vehicle is plugged in")
    span_s = default_figures().timing.remote_arrival_s
    soon_ms = job.now_ms + uniform_ms(charger.rng, span_s)
    planned = connector.visit
    if planned is None or planned.arrive_ms > soon_ms:
        planned = connector.visits.visit_at(soon_ms)
    if order.is_discharge:
        planned = planned._replace(soc_pct=planned.rng.uniform(*_BIDIRECTIONAL.arrival_soc_pct))
    # Who comes because of the order stays for it.
    stay_s = max(_REMOTE_STAY_S, (order.duration_s or 0) + _AFTERWARDS_S)
    connector.expect(planned._replace(depart_ms=planned.arrive_ms + 1000 * stay_s))


def stop(job: Job) -> None:
    """End the session, or a start that has not led to one."""
    connector, now_ms = job.connector, job.now_ms
    if connector.session is not None:
        job.accept("Stop accepted")
        connector.abandon_following(now_ms, "stopped before it began")
        connector.session.stop_command_ids.append(job.command.command_id)
        reason = job.command.params.get("reason")
        details = None if reason is None else {"requested_reason": str(reason)}
        connector.begin_stop(now_ms, "remote", details)
    elif connector.order is not None or connector.stage in PREPARING:
        job.accept("Start cancelled")
        connector.cancel_start(now_ms)
        job.complete(now_ms, "Nothing flowed", {"energy_delivered": 0.0, "duration": 0})
    elif connector.contactor.is_intermittent and connector.fault_code is not None:
        # Cycling the state is what helps a contactor that closes now and then.
        job.accept("Start cancelled")
        clear_fault(job.charger, connector, now_ms)
        job.complete(now_ms, "Nothing flowed", {"energy_delivered": 0.0, "duration": 0})
    else:
        raise CommandRefused("there is no session to stop")


def _read_limits(job: Job) -> tuple[PowerLimit, ...]:
    items = job.command.params.get("limits")
    if not isinstance(items, list):
        raise CommandRefused("limits is not a list")
    limits = []
    for item in items:
        if not isinstance(item, dict):
            raise CommandRefused("a limit is not an object")
        limit_kw = as_number(item.get("power_limit_kw"), "power_limit_kw")
        if limit_kw is None or limit_kw < 0.0:
            raise CommandRefused("power_limit_kw is missing or negative")
        try:
            left_ms = read_time_ms(str(item.get("until"))) - job.wall_ms
        except ValueError:
            raise CommandRefused("until is not a time") from None
        # A clock of its own, perhaps a fast one: what counts is how long the limit still runs.
        limits.append(PowerLimit(str(item.get("control_id")), limit_kw, job.now_ms + left_ms))
    return tuple(limits)


def set_power_limit(job: Job) -> None:
    """Hold the lowest of the given limits, each until its end; completed once power is below."""
    limits = _read_limits(job)
    connector = job.connector
    job.accept("Limit accepted")
    connector.bounds.set_limits(limits, job.now_ms)
    limit_kw = connector.bounds.limit_kw
    details: dict[str, Any] = {"active_limits": sum(one.until_ms > job.now_ms for one in limits)}
    if limit_kw < connector.home.model.rated_kw:
        details["power_limit_kw"] = limit_kw
    over_kw = 0.0
    if connector.stage in FLOWING:
        over_kw = max(0.0, abs(connector.power.flow.power_kw) - limit_kw)
    wait_s = 1.0 + over_kw / _RAMP_KW_PER_S
    # What is stored holds over a power cut: the answer comes all the same, after the boot.
    due_ms = job.now_ms + round(1000 * wait_s)
    job.charger.agenda.at(due_ms, lambda now_ms: job.complete(now_ms, "Limit applied", details))


def set_schedule(job: Job) -> None:
    """Store a plan, or remove one that is disabled; from now on it runs without the platform."""
    connector, now_ms = job.connector, job.now_ms
    try:
        schedule_id, plan = read_plan(job.command.params, now_ms, job.charger.spec.timezone)
    except BadPlan as error:
        raise CommandRefused(str(error)) from error
    if plan is not None and not job.charger.model.v2g:
        _refuse_discharge_slots([slot.action for slot in plan.slots])
    job.accept("Schedule accepted")
    connector.bounds.store(schedule_id, plan, now_ms)
    if plan is None:
        leave_plan(connector, schedule_id, now_ms)
    details: dict[str, Any] = {"schedule_id": schedule_id, "stored": plan is not None}
    if plan is not None and (change_ms := plan.next_change_ms(now_ms)) < NEVER_MS:
        details["next_change"] = utc_text(change_ms)
    follow_plan(connector, now_ms)
    job.complete(now_ms, "Schedule stored" if plan else "Schedule removed", details)


def _refuse_discharge_slots(actions: list[str]) -> None:
    if "discharge" in actions:
        raise CommandRefused("unsupported_hardware: this charger cannot discharge")


SESSION_HANDLERS: dict[str, Handler] = {
    "start_charging": start,
    "stop_charging": stop,
    "discharge": discharge,
    "set_power_limit": set_power_limit,
    "set_schedule": set_schedule,
}
