"""The fold of a connector's facts into sessions with their energy by the minute.

Everything is whole numbers and depends on the facts alone: permuted or repeated facts give the same
result, and so does folding in pieces, byte for byte.
"""

from typing import NamedTuple

from tellus.energy.model import Facts, Folded, Session
from tellus.energy.rules_bins import MINUTES
from tellus.energy.rules_machine import Machine


class Before(NamedTuple):
    """Where an earlier fold ended: its sessions without an end, and its carry.

    There may be a carry without a session (the counter counts from the last idle sample), and
    more than one session (records that overlap and are not over). Where nothing is open and the
    carry is not kept, fold from the last idle sample, event or end of a record on instead.
    """

    sessions: list[Session]
    carry: bytes | None


def fold(
    facts: Facts, limit_mw: int | None, before: Before | None = None, until_ms: int | None = None
) -> Folded:
    """Fold the facts of one connector into sessions.

    The order of the facts and their repeats do not matter. ``limit_mw`` is 1.2 times the
    connector's rating (mW), None where that is unknown: then nothing is judged by power.

    To go on from an earlier fold give its open sessions and its carry as ``before``, and facts that
    are all later than its. The sessions returned replace those of ``before``. A record
    is carried until it is over; till then it may be given again: it counts once.

    ``until_ms`` says that every fact earlier than that is now in, and none that is later. A record
    that reaches up to or beyond it has a session without an end (its minutes are settled as far as
    is known). Without ``until_ms`` no record is waited for; give it wherever the fold goes on.
    Other sessions are open until a boundary closes them.
    """
    machine = Machine(limit_mw, MINUTES, until_ms)
    if before is not None and before.carry is not None:
        machine.go_on(before.sessions, before.carry)
    machine.run(facts)
    return machine.outcome()
