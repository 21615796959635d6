"""Faults as causes: what is done to a charger, and how it is undone.

A cause only prepares the ground. The symptoms come from the charger itself when their occasion
comes (a session, a discharge, heat), in the order in which a real one shows them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from tellus.simulator import causes
from tellus.simulator.breakdown import clear_fault, is_code
from tellus.simulator.causes import Site
from tellus.simulator.control import ControlRefused
from tellus.simulator.discharge import REFUSALS
from tellus.simulator.incidents import END_VARIANTS, LOSS_VARIANTS

if TYPE_CHECKING:
    from tellus.simulator.connector import ConnectorTwin
    from tellus.simulator.device import ChargerTwin

EVERYWHERE = frozenset({("F-0301", "site"), ("F-0302", "site"), ("F-0701", "grid")})
"""What strikes every charger of a site at once."""


class Injection(NamedTuple):
    """One fault: its variants, the usual one first; how it is brought about, and undone.

    ``needs`` is what the charger must have: ``dc`` or ``v2g``.
    """

    variants: tuple[str, ...]
    cause: Callable[[Site], None]
    cure: Callable[[Site], None]
    needs: str = ""


INJECTIONS: dict[str, Injection] = {
    "F-0101": Injection(("weld", "unreported"), causes.weld, causes.mend_contactor),
    "F-0203": Injection(("pins", "ambient"), causes.heat_connector, causes.cool_connector),
    "F-0204": Injection(
        ("fan", "vents", "load", "sensor-drift"), causes.heat_cabinet, causes.cool_cabinet, "dc"
    ),
    "F-0301": Injection(("partition", "power", "site"), causes.cut_off, causes.reconnect),
    "F-0302": Injection(("storm", "site"), causes.storm, causes.calm),
    "F-0411": Injection(("module",), causes.silence_module, causes.revive_modules, "dc"),
    "F-0421": Injection(("once", "stuck", "intermittent"), causes.disengage, causes.mend_contactor),
    "F-0512": Injection(("override", "interrupted"), causes.drift, causes.restore_profile),
    "F-0601": Injection(("worn", "dying", "bearing"), causes.slow_fan, causes.mend_fan, "dc"),
    "F-0701": Injection(LOSS_VARIANTS, causes.disturb_inverter, causes.calm_inverter, "v2g"),
    "F-0702": Injection(tuple(REFUSALS), causes.let_refuse, causes.let_agree, "v2g"),
    "F-0805": Injection(END_VARIANTS, causes.end_early, causes.end_normally),
    "supply": Injection(("unbalanced", "lost-phase"), causes.disturb_supply, causes.restore_supply),
    "stall": Injection(causes.STALLS, causes.stall, causes.unstall),
}
"""By code; a bad ``supply`` and a ``stall`` in preparing have no code of their own."""


def dictionary_form(code: str) -> str:
    """Return ``421``, ``F0421`` and the like as ``F-0421``; anything else as it is."""
    digits = code.upper().removeprefix("F").removeprefix("-")
    return f"F-{int(digits):04d}" if digits.isdecimal() else code


def find_injection(code: str, variant: str | None) -> tuple[str, Injection, str]:
    """Return code, injection and variant; ControlRefused names what there is."""
    code = dictionary_form(code)
    injection = INJECTIONS.get(code)
    if injection is None:
        raise ControlRefused(f"there is no fault {code} (known: {', '.join(INJECTIONS)})")
    chosen = variant or injection.variants[0]
    if chosen not in injection.variants:
        known = ", ".join(injection.variants)
        raise ControlRefused(f"{code} has no variant {chosen!r} (known: {known})")
    return code, injection, chosen


def _check(charger: ChargerTwin, code: str, needs: str) -> None:
    if needs == "dc" and charger.model.kind != "dc":
        raise ControlRefused(f"{code} needs a DC charger")
    if needs == "v2g" and not charger.model.v2g:
        raise ControlRefused(f"{code} needs a charger that can discharge")


def inject(
    charger: ChargerTwin,
    connector: ConnectorTwin,
    code: str,
    variant: str | None = None,
    strength: float | None = None,
    since_ms: int | None = None,
) -> None:
    """Bring about a fault at the charger's present time, or as one that began ``since_ms``.

    ``strength`` overrides the usual one; its unit depends on the fault (see ``causes``).
    Raises ControlRefused for an unknown fault, or one that this charger cannot have.
    """
    code, injection, chosen = find_injection(code, variant)
    _check(charger, code, injection.needs)
    now_ms = charger.time_ms if since_ms is None else since_ms
    injection.cause(Site(charger, connector, chosen, strength, now_ms))


def cure(charger: ChargerTwin, connector: ConnectorTwin, code: str) -> None:
    """Undo what brought a fault about, and the fault where it shows.

    Raises ControlRefused for an unknown fault.
    """
    code, injection, variant = find_injection(code, None)
    injection.cure(Site(charger, connector, variant, None, charger.time_ms))
    for one in charger.connectors:
        if is_code(one.fault_code, code) if code.startswith("F-") else False:
            clear_fault(charger, one, charger.time_ms)
