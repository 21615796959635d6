"""Remote commands at the charger: each takes effect once, whatever the network repeats."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import TYPE_CHECKING

import msgspec

from tellus.simulator.duties import DUTY_HANDLERS
from tellus.simulator.firmware import upgrade_firmware
from tellus.simulator.messages import Message, PendingCommand
from tellus.simulator.orders import (
    SESSION_HANDLERS,
    CommandRefused,
    Handler,
    Job,
    read_time_ms,
)

if TYPE_CHECKING:
    from tellus.simulator.connector import ConnectorTwin
    from tellus.simulator.device import ChargerTwin

_REMEMBERED = 256
_EFFECTS_KEPT = 10_000
HANDLERS: dict[str, Handler] = {
    **SESSION_HANDLERS,
    **DUTY_HANDLERS,
    "firmware_upgrade": upgrade_firmware,
}


def has_expired(command: PendingCommand, wall_ms: int) -> bool:
    """Return whether the command's expiry has passed; an unreadable one never has."""
    if command.expiry is None:
        return False
    try:
        return read_time_ms(command.expiry) <= wall_ms
    except ValueError:
        return False


class CommandDesk:
    """Receives commands, remembers the last 256, counts what came of them."""

    def __init__(self, charger: ChargerTwin) -> None:
        self._charger = charger
        self._latest: OrderedDict[str, Message | None] = OrderedDict()
        self.received = 0
        self.duplicates = 0
        self.effects: Counter[str] = Counter()
        self.effects_by_id: OrderedDict[str, int] = OrderedDict()

    @property
    def known_ids(self) -> list[str]:
        """Return the ids of the commands that are remembered, oldest first."""
        return list(self._latest)

    def remember_status(self, message: Message) -> None:
        """Keep the newest status of a known command, to repeat it if the command comes again."""
        if message.ref in self._latest:
            self._latest[message.ref] = message

    def receive(
        self, command: PendingCommand, polled_connector_id: int, now_ms: int, wall_ms: int
    ) -> None:
        """Carry out a new command, or repeat the last report of one that is known."""
        faults = self._charger.faults
        if faults.loses_command:
            return
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
        wait_ms = faults.draw_delay_ms()
        if wait_ms > 0:

            def act(then_ms: int) -> None:
                self._act(command, polled_connector_id, then_ms, wall_ms + then_ms - now_ms)

            self._charger.agenda.at(now_ms + wait_ms, act, command.command_id)
            return
        self._act(command, polled_connector_id, now_ms, wall_ms)

    def _act(
        self, command: PendingCommand, polled_connector_id: int, now_ms: int, wall_ms: int
    ) -> None:
        connector = self._charger.connectors[0]
        try:
            connector = self._find_connector(command, polled_connector_id)
            handler = self._find_handler(command, wall_ms)
            handler(Job(self._charger, connector, command, now_ms, wall_ms))
        except CommandRefused as refusal:
            connector.report(command.command_id, "rejected", now_ms, str(refusal))
            self.effects["rejected"] += 1
            return
        self._count_effect(command)
        self._charger.faults.after_acceptance(now_ms)

    def _count_effect(self, command: PendingCommand) -> None:
        self.effects[command.command] += 1
        count = self.effects_by_id.pop(command.command_id, 0)
        self.effects_by_id[command.command_id] = count + 1
        while len(self.effects_by_id) > _EFFECTS_KEPT:
            self.effects_by_id.popitem(last=False)

    def _find_handler(self, command: PendingCommand, wall_ms: int) -> Handler:
        if has_expired(command, wall_ms):
            raise CommandRefused("the command has expired")
        handler = HANDLERS.get(command.command)
        if handler is None:
            raise CommandRefused(f"this charger does not know {command.command}")
        if self._charger.faults.refuses:
            raise CommandRefused("the charger refuses")
        return handler

    def _find_connector(self, command: PendingCommand, polled_connector_id: int) -> ConnectorTwin:
        """Return the connector that is meant; 0 means the charger, for which its first one acts."""
        wanted = command.params.get("connector_id", polled_connector_id)
        if wanted == 0:
            return self._charger.connectors[0]
        for connector in self._charger.connectors:
            if connector.connector_id == wanted:
                return connector
        raise CommandRefused(f"there is no connector {wanted}")
