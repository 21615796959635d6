"""Causes that are planted in a charger from the start, each with its time."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import msgspec

from tellus.simulator.agenda import Action
from tellus.simulator.control import ControlRefused, ControlRequest
from tellus.simulator.figures import default_figures
from tellus.simulator.injection import inject
from tellus.simulator.session import StartOrder
from tellus.simulator.stages import Stage
from tellus.simulator.triggers import obey_trigger

if TYPE_CHECKING:
    from tellus.simulator.device import ChargerTwin

_BIDIRECTIONAL = default_figures().bidirectional
_GIVE_KW = 15.0
_GIVE_S = 600
_STAY_MS = 3_600_000
INJECT = "inject"


class Plant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happens to a charger at ``at_ms``, or ``after_start_s`` after its life begins.

    ``action`` is a word of the control socket. A cause that is older than the charger's present
    life is there from its beginning.
    """

    value: str | None = None
    variant: str | None = None
    strength: float | None = None
    connector_id: int = 1
    action: str = INJECT
    at_ms: int | None = None
    after_start_s: float = 0.0


def plant(charger: ChargerTwin) -> None:
    """Put what is planted into the agenda of a charger that begins to live."""
    for one in charger.spec.plants:
        begin_ms = charger.time_ms + round(1000 * one.after_start_s)
        due_ms = begin_ms if one.at_ms is None else max(begin_ms, one.at_ms)
        charger.agenda.at(due_ms, _growing(charger, one))
    if charger.spec.gives_back_every_s is not None:
        _plan_giving(charger, charger.time_ms, charger.spec.gives_back_every_s)


def _growing(charger: ChargerTwin, planted: Plant) -> Action:
    def happen(now_ms: int) -> None:
        connector = charger.connectors[planted.connector_id - 1]
        if planted.action == INJECT:
            since_ms = now_ms if planted.at_ms is None else min(now_ms, planted.at_ms)
            code = planted.value or ""
            inject(charger, connector, code, planted.variant, planted.strength, since_ms)
            return
        request = ControlRequest(
            planted.action, charger.spec.sn, planted.connector_id, planted.value
        )
        with contextlib.suppress(ControlRefused):
            obey_trigger(charger, request)

    return happen


def _plan_giving(charger: ChargerTwin, now_ms: int, every_s: float) -> None:
    """Let a vehicle come now and then that is to give energy back by a stored programme."""

    def give(then_ms: int) -> None:
        _give(charger, then_ms)
        _plan_giving(charger, then_ms, every_s)

    wait_s = charger.connectors[0].mishaps.rng.uniform(0.5, 1.5) * every_s
    charger.agenda.at(now_ms + round(1000 * wait_s), give)


def _give(charger: ChargerTwin, now_ms: int) -> None:
    connector = charger.connectors[0]
    if connector.is_blocked or connector.order is not None:
        return
    if connector.stage is Stage.AVAILABLE:
        visit = connector.visits.visit_at(now_ms + 1_000)
        soc_pct = visit.rng.uniform(*_BIDIRECTIONAL.arrival_soc_pct)
        connector.expect(visit._replace(soc_pct=soc_pct, depart_ms=now_ms + _STAY_MS))
    elif not connector.is_waiting:
        return
    order = StartOrder("", power_kw=_GIVE_KW, duration_s=_GIVE_S, is_discharge=True)
    connector.authorise_remotely(order, now_ms)
