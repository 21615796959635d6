"""Remote commands at the charger: each takes effect once, whatever the network repeats."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from tellus.simulator.chance import uniform_ms
from tellus.simulator.figures import default_figures
from tellus.simulator.messages import Message, PendingCommand
from tellus.simulator.session import StartOrder
from tellus.simulator.stages import PREPARING, Stage

if TYPE_CHECKING:
    from tellus.simulator.connector import ConnectorTwin
    from tellus.simulator.device import ChargerTwin

_REMEMBERED = 256
_REMOTE_STAY_S = 3_600
_AFTERWARDS_S = 300
_Handler = Callable[["ConnectorTwin", PendingCommand, int], None]


class CommandRefused(Exception):
    """The command cannot be carried out; the text goes to the platform."""


def _number(params: dict[str, Any], name: str) -> float | None:
    value = params.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CommandRefused(f"{name} is not a number")
    return float(value)


def read_start_order(command: PendingCommand) -> StartOrder:
    """Return the checked limits of a start command; CommandRefused names a bad one."""
    power_kw = _number(command.params, "charge_power")
    duration_s = _number(command.params, "duration")
    target_pct = _number(command.params, "target_soc")
    if power_kw is not None and power_kw <= 0.0:
        raise CommandRefused("charge_power must be positive")
    if duration_s is not None and duration_s <= 0.0:
        raise CommandRefused("duration must be positive")
    if target_pct is not None and not 0.0 <= target_pct <= 100.0:
        raise CommandRefused("target_soc must lie between 0 and 100")
    transaction_id = command.params.get("transaction_id")
    return StartOrder(
        command_id=command.command_id,
        charge_power_kw=power_kw,
        duration_s=None if duration_s is None else round(duration_s),
        target_soc_pct=None if target_pct is None else round(target_pct),
        transaction_id=None if transaction_id is None else str(transaction_id),
    )


def has_expired(command: PendingCommand, wall_ms: int) -> bool:
    """Return whether the command's expiry has passed; an unreadable one never has."""
    if command.expiry is None:
        return False
    try:
        expiry = datetime.fromisoformat(command.expiry)
    except ValueError:
        return False
    if expiry.tzinfo is None:
        expiry = expiry.replace(tzinfo=UTC)
    return 1000.0 * expiry.timestamp() <= wall_ms


class CommandDesk:
    """Receives commands, remembers the last 256, counts what came of them."""

    def __init__(self, charger: ChargerTwin) -> None:
        self._charger = charger
        self._latest: OrderedDict[str, Message | None] = OrderedDict()
        self.received = 0
        self.duplicates = 0
        self.effects: Counter[str] = Counter()
        self._handlers: dict[str, _Handler] = {
            "start_charging": self._start,
            "stop_charging": self._stop,
        }

    def remember_status(self, message: Message) -> None:
        """Keep the newest status of a known command, to repeat it if the command comes again."""
        if message.ref in self._latest:
            self._latest[message.ref] = message

    def receive(
        self, command: PendingCommand, polled_connector_id: int, now_ms: int, wall_ms: int
    ) -> None:
        """Carry out a new command, or repeat the last report of one that is known."""
        self.received += 1
        if command.command_id in self._latest:
            self.duplicates += 1
            known = self._latest[command.command_id]
            if known is not None:
                self._charger.outbox.append(msgspec.structs.replace(known, attempts=0))
            return
        self._latest[command.command_id] = None
        while len(self._latest) > _REMEMBERED:
            self._latest.popitem(last=False)
        connector = self._charger.connectors[0]
        try:
            connector = self._find_connector(command, polled_connector_id)
            handler = self._find_handler(command, wall_ms)
            handler(connector, command, now_ms)
        except CommandRefused as refusal:
            connector.report(command.command_id, "rejected", now_ms, str(refusal))
            self.effects["rejected"] += 1
        else:
            self.effects[command.command] += 1

    def _find_handler(self, command: PendingCommand, wall_ms: int) -> _Handler:
        if has_expired(command, wall_ms):
            raise CommandRefused("the command has expired")
        handler = self._handlers.get(command.command)
        if handler is None:
            raise CommandRefused(f"this charger does not know {command.command}")
        return handler

    def _find_connector(self, command: PendingCommand, polled_connector_id: int) -> ConnectorTwin:
        wanted = command.params.get("connector_id", polled_connector_id)
        for connector in self._charger.connectors:
            if connector.connector_id == wanted:
                return connector
        raise CommandRefused(f"there is no connector {wanted}")

    def _start(self, connector: ConnectorTwin, command: PendingCommand, now_ms: int) -> None:
        order = read_start_order(command)
        if connector.is_energised:
            raise CommandRefused("the connector is already charging")
        if connector.order is not None:
            raise CommandRefused("a remote start is already under way")
        text = "Start accepted"
        if connector.stage is Stage.AVAILABLE:
            self._await_vehicle(connector, order, now_ms)
            text = "Start accepted, waiting for the vehicle"
        elif connector.stage is Stage.FINISHING and connector.power.battery.soc_pct >= 99.5:
            raise CommandRefused("the vehicle is full")
        connector.report(command.command_id, "accepted", now_ms, text)
        connector.authorise_remotely(order, now_ms)

    def _await_vehicle(self, connector: ConnectorTwin, order: StartOrder, now_ms: int) -> None:
        if not self._charger.scenario.arrive_on_remote_start:
            raise CommandRefused("no vehicle is plugged in")
        span_s = default_figures().timing.remote_arrival_s
        soon_ms = now_ms + uniform_ms(self._charger.rng, span_s)
        planned = connector.visit
        if planned is None or planned.arrive_ms > soon_ms:
            planned = connector.visits.visit_at(soon_ms)
        # Who comes because of the order stays for it.
        stay_s = max(_REMOTE_STAY_S, (order.duration_s or 0) + _AFTERWARDS_S)
        connector.expect(planned._replace(depart_ms=planned.arrive_ms + 1000 * stay_s))

    def _stop(self, connector: ConnectorTwin, command: PendingCommand, now_ms: int) -> None:
        if connector.session is not None:
            connector.report(command.command_id, "accepted", now_ms, "Stop accepted")
            connector.session.stop_command_ids.append(command.command_id)
            reason = command.params.get("reason")
            details = None if reason is None else {"requested_reason": str(reason)}
            connector.begin_stop(now_ms, "remote", details)
        elif connector.order is not None or connector.stage in PREPARING:
            connector.report(command.command_id, "accepted", now_ms, "Start cancelled")
            connector.cancel_start(now_ms)
            nothing = {"energy_delivered": 0.0, "duration": 0}
            connector.report(command.command_id, "completed", now_ms, "Nothing flowed", nothing)
        else:
            raise CommandRefused("there is no session to stop")
