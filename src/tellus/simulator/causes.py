"""The causes of faults: what an injection changes at a charger, and what a repair changes back.

``strength`` is, by fault: F-0203 factor on the contact resistance, or K of heat wave; F-0204 speed
ratio of the fan, factor on resistance or loss, or K of drift; F-0301 seconds; F-0302 number of
reconnects; F-0411 index of the module; F-0512 power in %; F-0601 speed ratio of the fan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tellus.simulator.breakdown import SILENT_MODULE, break_down
from tellus.simulator.cabinet import SILENT, SOUND
from tellus.simulator.control import ControlRefused
from tellus.simulator.figures import default_figures
from tellus.simulator.incidents import end_unexpectedly, lose_sync
from tellus.simulator.stages import FLOWING

if TYPE_CHECKING:
    from tellus.simulator.connector import ConnectorTwin
    from tellus.simulator.device import ChargerTwin

_INJECTION = default_figures().injection
_HEAT = default_figures().thermal
_REBOOT_S = default_figures().downtime.reboot_s
STALLS = ("connector", "contactor", "vehicle", "auth")


class Site(NamedTuple):
    """Where and how: charger, connector, variant, strength (None = usual) and time."""

    charger: ChargerTwin
    connector: ConnectorTwin
    variant: str
    strength: float | None
    now_ms: int

    def strong(self, usual: float) -> float:
        """Return the strength asked for, or the usual one."""
        return usual if self.strength is None else self.strength


def weld(site: Site) -> None:
    """Let the contactor weld when it opens next (F-0101)."""
    site.connector.contactor.will_weld = True
    site.connector.contactor.is_reported = site.variant == "weld"


def disengage(site: Site) -> None:
    """Keep the contactor from engaging: once, every time, or now and then (F-0421)."""
    contactor = site.connector.contactor
    contactor.mend()
    if site.variant == "intermittent":
        contactor.is_intermittent = True
    else:
        contactor.stuck_closes = 1 if site.variant == "once" else 1_000_000


def mend_contactor(site: Site) -> None:
    """Put in a sound contactor; its counter is reset by command alone."""
    site.connector.contactor.mend()
    site.connector.power.stay_live(0.0)
    site.connector.show(site.now_ms)


def heat_connector(site: Site) -> None:
    """Oxidise the pins of this connector, or let it be hot for the whole charger (F-0203)."""
    if site.variant == "pins":
        site.connector.power.pins.contact_factor = site.strong(_INJECTION.oxidised_factor)
    else:
        site.charger.home.climate.offset_k = site.strong(_INJECTION.heat_wave_k)


def cool_connector(site: Site) -> None:
    """Clean the pins, and let the weather change."""
    site.connector.power.pins.contact_factor = 1.0
    site.charger.home.climate.offset_k = 0.0


def heat_cabinet(site: Site) -> None:
    """Let the cabinet get too hot under load (F-0204), or its sensor say so.

    The usual strength suffices in the present weather at a third of rated power.
    """
    cabinet = site.charger.cabinet
    end_c = _HEAT.cabinet_critical_c + _INJECTION.telling_excess_k
    factor = cabinet.factor_for(_INJECTION.telling_load_ratio, end_c)
    if site.variant == "fan" and cabinet.fan is not None:
        ratio = min(_INJECTION.dying_fan_ratio, factor ** (-1.0 / _HEAT.fan_exponent))
        span_ms = round(1000 * _INJECTION.fan_decline_s)
        cabinet.fan.decline(site.now_ms, span_ms, site.strong(ratio))
    elif site.variant == "vents":
        cabinet.vents_factor = site.strong(max(_INJECTION.blocked_vents_factor, factor))
    elif site.variant == "load":
        cabinet.loss_factor = site.strong(max(_INJECTION.overload_factor, factor))
        site.charger.heat.only_limits = True
    else:
        drift_k = max(_INJECTION.sensor_drift_k, end_c - cabinet.temperature_c)
        cabinet.drift_k = site.strong(drift_k)


def cool_cabinet(site: Site) -> None:
    """Clean the vents, put in a new fan and a new sensor, and let the cabinet cool down."""
    cabinet = site.charger.cabinet
    cabinet.vents_factor = cabinet.loss_factor = 1.0
    cabinet.drift_k = 0.0
    if cabinet.fan is not None:
        cabinet.fan.mend()
    cabinet.temperature_c = min(cabinet.temperature_c, _HEAT.cabinet_clear_c - 1.0)
    site.charger.heat.only_limits = False
    site.charger.heat.release(site.now_ms)


def cut_off(site: Site) -> None:
    """Let the charger fall silent, for good or for ``strength`` seconds (F-0301)."""
    power = site.charger.power_state
    if site.variant == "power":
        power.go_down(site.now_ms, site.strong(_REBOOT_S), reason="power_loss")
    else:
        power.drop_link(site.now_ms, site.strength)


def reconnect(site: Site) -> None:
    """Mend the link."""
    site.charger.power_state.restore_link()


def storm(site: Site) -> None:
    """Lose the link and build it up again every 20 s, ``strength`` times (F-0302)."""
    period_ms = round(1000 * _INJECTION.storm_period_s)
    down_s = _INJECTION.storm_down_s
    power = site.charger.power_state
    power.is_storming = True

    def flap(now_ms: int) -> None:
        if power.is_storming and not power.is_dark:
            power.drop_link(now_ms, down_s)

    for turn in range(round(site.strong(_INJECTION.storm_reconnects))):
        site.charger.agenda.at(site.now_ms + turn * period_ms, flap)


def calm(site: Site) -> None:
    """End the storm."""
    site.charger.power_state.is_storming = False


def silence_module(site: Site) -> None:
    """Let one power module of this connector fall silent (F-0411)."""
    cabinet, connector = site.charger.cabinet, site.connector
    fed = cabinet.modules_of(connector.connector_id)
    index = connector.mishaps.rng.choice(fed) if site.strength is None else round(site.strength)
    if not 0 <= index < len(cabinet.modules):
        raise ControlRefused(f"there is no module {index}")
    cabinet.set_module(index, SILENT)
    struck = site.charger.connectors[cabinet.fed_by(index) - 1]
    flow = struck.power.flow
    details = {
        "module_index": index,
        "bus_voltage_v": round(flow.voltage_v or 780.0, 1),
        "bus_current_a": round(flow.current_a, 1),
    }
    text = "a power module does not answer"
    break_down(struck, SILENT_MODULE, site.now_ms, text, module_index=index, details=details)


def revive_modules(site: Site) -> None:
    """Let every module answer again."""
    cabinet = site.charger.cabinet
    for index in range(len(cabinet.modules)):
        cabinet.set_module(index, SOUND)


def drift(site: Site) -> None:
    """Change the configuration on the spot, or lose a push half-way (F-0512)."""
    charger = site.charger
    if site.variant == "override":
        power_pct = site.strong(100.0 * _INJECTION.overridden_power_ratio)
        charger.profile.override(max_power_pct=power_pct)
    else:
        charger.profile.interrupt()
    charger.heed_profile()


def restore_profile(site: Site) -> None:
    """Go back to the profile of the factory."""
    site.charger.profile.reset()
    site.charger.heed_profile()


def slow_fan(site: Site) -> None:
    """Slow the fan down (F-0601); a dying one ends too slow for any load, a bearing takes days."""
    fan = site.charger.cabinet.fan
    if fan is None:
        return
    ratio = _INJECTION.slow_fan_ratio
    if site.variant != "worn":
        ratio = _HEAT.fan_still_air_ratio
    span_s = _INJECTION.bearing_decline_s if site.variant == "bearing" else _INJECTION.fan_decline_s
    fan.decline(site.now_ms, round(1000 * span_s), site.strong(ratio))


def mend_fan(site: Site) -> None:
    """Put in a new fan; its counter is reset by command alone."""
    if site.charger.cabinet.fan is not None:
        site.charger.cabinet.fan.mend()


def disturb_inverter(site: Site) -> None:
    """Let a discharge lose the grid (F-0701): the present one at once, else the next."""
    connector, inverter = site.connector, site.connector.inverter
    inverter.trouble = site.variant
    if site.variant == "grid":
        # An excursion of the grid passes; what is wrong with the charger stays.
        due_ms = site.now_ms + round(1000 * _INJECTION.resync_s)
        site.charger.agenda.at(due_ms, lambda _: inverter.settle_with_grid())
    if connector.is_discharging and connector.stage in FLOWING:
        lose_sync(connector, site.variant, site.now_ms)


def calm_inverter(site: Site) -> None:
    """Mend the inverter."""
    site.connector.inverter.trouble = ""
    site.connector.inverter.resync()


def let_refuse(site: Site) -> None:
    """Let vehicles refuse to discharge (F-0702)."""
    site.connector.mishaps.refusal = site.variant


def let_agree(site: Site) -> None:
    """Let vehicles discharge again."""
    site.connector.mishaps.refusal = ""


def end_early(site: Site) -> None:
    """Let a session end as nobody wanted (F-0805): the present one at once, else the next."""
    site.connector.mishaps.unexpected_end = site.variant
    if site.connector.session is not None and site.connector.stage in FLOWING:
        end_unexpectedly(site.connector, site.variant, site.now_ms)


def end_normally(site: Site) -> None:
    """Forget about an unexpected end that has not come."""
    site.connector.mishaps.unexpected_end = ""


def disturb_supply(site: Site) -> None:
    """Take the last supply phase away, or some of its voltage."""
    ratio = _INJECTION.unbalanced_phase_ratio
    if site.variant == "lost-phase":
        ratio = _INJECTION.lost_phase_ratio
    site.charger.home.supply.faulty_phase_ratio = site.strong(ratio)


def restore_supply(site: Site) -> None:
    """Bring the supply in order."""
    site.charger.home.supply.faulty_phase_ratio = 1.0


def stall(site: Site) -> None:
    """Keep handshakes from ending: the connector stays in preparing."""
    site.connector.mishaps.stall = site.variant


def unstall(site: Site) -> None:
    """Let handshakes end again."""
    site.connector.mishaps.stall = ""
    site.connector.shake_hands_again(site.now_ms)
