"""A store with one rollout, its chargers and their commands, in a few lines."""

import copy
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from tellus.commands.model import Phase
from tellus.firmware import rules_members, rules_rollouts
from tellus.firmware.model import Patience
from tellus.firmware.model_rollouts import (
    ACTIONS,
    Member,
    MemberState,
    Rollout,
    RolloutState,
    Sight,
)

OLD, NEW = "3.1.0", "3.2.0"
PATIENCE = Patience(preparing_ms=86_400_000, installing_ms=1_800_000, life_ms=604_800_000)
SETTLED_PHASES = (Phase.COMPLETED, Phase.FAILED, Phase.LAPSED)
STATE_AFTER = {
    "pause": RolloutState.PAUSED,
    "resume": RolloutState.RUNNING,
    "rollback": RolloutState.ROLLING_BACK,
    "cancel": RolloutState.CANCELLED,
}


class Crash(Exception):
    """The engine's process ends here."""


@dataclass
class Charger:
    """A charger: what it runs, and what was done to it."""

    version: str = OLD
    online: bool = True
    idle: bool = True
    faults: set[str] = field(default_factory=set)
    installs: int = 0


@dataclass
class Order:
    """A command of the model: for whom, to which version, and where it stands."""

    device_no: int
    version: str
    phase: Phase = Phase.QUEUED
    why: str | None = None
    delivered: bool = False
    moved_ms: int = 0


class World:
    """A store with one rollout, its chargers and their commands."""

    def __init__(self, rollout: Rollout, members: list[Member]) -> None:
        self.rollout = rollout
        self.members = {member.device_no: member for member in members}
        self.chargers = {member.device_no: Charger() for member in members}
        self.orders: dict[str, Order] = {}
        self.left: int | None = None
        self.cancelled: set[int] = set()

    # ------------------------------------------------------------------ the engine

    def turn(self, now_ms: int, crash_after: int | None = None) -> None:
        """Take a step as the engine does; it ends after so many writes, None for never."""
        self.left = crash_after
        if self.rollout.ended_ms is not None:
            return
        seen = {no: self.look(no) for no in self.members}
        step = rules_rollouts.next_step(
            self.rollout, list(self.members.values()), seen, now_ms, PATIENCE
        )
        self.write()
        self.rollout = step.rollout
        self.members |= {member.device_no: member for member in step.changed}
        for member in step.withdraw:
            self.write()
            self.recall(member.device_no, now_ms)
        for member in step.send:
            self.write()
            self.send(member.device_no, now_ms)

    def come_to_rest(self, now_ms: int) -> None:
        """Take turns until one has nothing left to do."""
        for _ in range(5):
            before = copy.deepcopy(self.picture())
            self.turn(now_ms)
            if self.picture() == before:
                return
        raise AssertionError("there is always something more to do")

    def write(self) -> None:
        if self.left is not None:
            if self.left == 0:
                raise Crash
            self.left -= 1

    def look(self, device_no: int) -> Sight:
        member, charger = self.members[device_no], self.chargers[device_no]
        order = self.orders.get(member.current_command_id or "")
        return Sight(
            online=charger.online,
            idle=charger.idle,
            offline_ms=0 if charger.online else 60_000,
            runs_new=charger.version == NEW,
            runs_old=charger.version == OLD,
            phase=order.phase if order else None,
            why=order.why if order else None,
            moved_ms=order.moved_ms if order else 0,
            undelivered=order is not None and not order.delivered,
            faults=frozenset(charger.faults),
        )

    def send(self, device_no: int, now_ms: int) -> None:
        """Store a command and mark its device, in one transaction."""
        member = self.members[device_no]
        back = member.state is MemberState.ROLLBACK_WAITING
        command_id = f"{device_no} {'back' if back else 'on'} {now_ms}"
        assert command_id not in self.orders, "sent twice at one moment"
        self.orders[command_id] = Order(device_no, OLD if back else NEW, moved_ms=now_ms)
        version = self.chargers[device_no].version
        self.members[device_no] = rules_members.sent(member, command_id, version, None, now_ms)

    def recall(self, device_no: int, now_ms: int) -> None:
        """Take a command back unless it has left, in one transaction."""
        member = self.members[device_no]
        order = self.orders[member.current_command_id or ""]
        if order.phase is Phase.QUEUED and not order.delivered:
            order.phase, order.why = Phase.LAPSED, "cancelled"
            self.members[device_no] = rules_members.recalled(self.rollout, member, now_ms)

    # ------------------------------------------------------------------ chargers and people

    def answer(self, device_no: int, word: str, now_ms: int) -> None:
        """Let a charger, or the platform's patience with it, move its command on."""
        order = self.orders.get(self.members[device_no].current_command_id or "")
        if order is None or order.phase in SETTLED_PHASES:
            return
        charger = self.chargers[device_no]
        order.moved_ms = now_ms
        if word == "fetch":
            order.delivered = True
        elif word == "accept" and order.delivered:
            order.phase = Phase.ACCEPTED
        elif word in {"complete", "pretend"} and order.phase is Phase.ACCEPTED:
            order.phase = Phase.COMPLETED
            if word == "complete":
                charger.version = order.version
                charger.installs += order.version == NEW
        elif word == "fail" and order.delivered:
            order.phase = Phase.FAILED
        elif word == "vanish" and order.delivered:
            order.phase, order.why = Phase.LAPSED, "no_response"
        elif word == "cancel" and order.phase is Phase.QUEUED:
            order.phase, order.why = Phase.LAPSED, "cancelled"
            self.cancelled.add(device_no)

    def act(self, action: str, now_ms: int) -> None:
        """Let a person do something to the rollout."""
        if self.rollout.state not in ACTIONS[action]:
            return
        halt = None if action == "resume" else self.rollout.halt
        self.rollout = replace(
            self.rollout, state=STATE_AFTER[action], halt=halt, reached_ms=None, ended_ms=None
        )
        if action == "resume":
            excused = rules_members.excuse(self.members.values(), now_ms)
            self.members |= {member.device_no: member for member in excused}

    def picture(self) -> Any:
        """All that is stored, and all that chargers have been through."""
        return self.rollout, self.members, self.orders, self.chargers
