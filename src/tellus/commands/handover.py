"""What becomes of commands and schedules when a device goes to another operator.

Nothing that the operator before asked for goes on: what its charger has not answered is given up,
its schedules are dropped, and the charger is told to disable each of them. Those orders are the
platform's own: neither operator sees them, and none can call them off.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from tellus.bus.port import COMMAND_PENDING, Bus
from tellus.commands import rules, store, store_schedules
from tellus.commands.model import PLATFORM, SET_SCHEDULE, Command, Signal
from tellus.commands.rules_schedules import params_of
from tellus.commands.service import CommandService
from tellus.fleet.administration import DeviceMoved
from tellus.kernel.ids import new_id
from tellus.storage.database import Tx


class _Target(NamedTuple):
    """A schedule as the charger knows it."""

    connector_id: int
    schedule_id: str


class Handover:
    """Follows devices that change hands, in the transaction of the move."""

    def __init__(
        self, commands: CommandService, bus: Bus, expires_after_ms: Mapping[str, int]
    ) -> None:
        self._commands = commands
        self._bus = bus
        self._life_ms: Final = expires_after_ms[SET_SCHEDULE]

    def clear(self, tx: Tx, moved: DeviceMoved) -> None:
        """Give up what is queued, drop all schedules, and queue the orders that disable them."""
        tx.lock(f"commands:{moved.device_no}")
        doomed: dict[_Target, dict[str, Any]] = {}
        for command in store.list_queued(tx, moved.device_no):
            current = rules.settle(command, moved.now_ms)
            if current is command and command.operator_id == PLATFORM:
                continue
            if current is command:
                current = rules.lapse(command, Signal.CANCELLED, moved.now_ms)
            store.update_command(tx, current)
            # Delivered, it may have been heard; a removal must not get lost with its operator.
            doomed.update(_schedule_of(command))
        doomed.update(_list_stored(tx, moved.device_no))
        store_schedules.remove_all(tx, moved.device_no)
        for target, params in doomed.items():
            store.append_command(tx, self._make_order(moved, target, params))

    def tell(self, moved: DeviceMoved) -> None:
        """Let the charger fetch what was queued for it, after the commit."""
        self._commands.look_again(moved.device_no)
        self._bus.publish(COMMAND_PENDING, [moved.device_no])

    def _make_order(self, moved: DeviceMoved, target: _Target, params: dict[str, Any]) -> Command:
        return Command(
            command_id=new_id("cmd"),
            device_no=moved.device_no,
            device_id=moved.device_id,
            connector_id=target.connector_id,
            operator_id=PLATFORM,
            client_id=PLATFORM,
            command=SET_SCHEDULE,
            params=msgspec.json.encode(params | {"enabled": False}).decode(),
            transaction_id=None,
            created_ms=moved.now_ms,
            updated_ms=moved.now_ms,
            expires_ms=moved.now_ms + self._life_ms,
        )


def _schedule_of(command: Command) -> Iterator[tuple[_Target, dict[str, Any]]]:
    if command.command == SET_SCHEDULE:
        params: dict[str, Any] = msgspec.json.decode(command.params)
        yield _Target(command.connector_id, params["schedule_id"]), params


def _list_stored(tx: Tx, device_no: int) -> Iterator[tuple[_Target, dict[str, Any]]]:
    for connector_id, plan in store_schedules.list_plans(tx, device_no):
        if plan.enabled:
            params = {"connector_id": connector_id, **params_of(plan)}
            yield _Target(connector_id, plan.schedule_id), params
