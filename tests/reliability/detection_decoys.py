"""What only looks like a fault: each is a charger beside the one that has one."""

from collections.abc import Awaitable, Callable
from functools import partial

from tellus.fleet.model import EventType
from tests.reliability.detection_scenarios import (
    CLEAN,
    DC_MODELS,
    Scenario,
    reconnects,
    set_heat,
)

Decoy = Callable[[Scenario, str, float], Awaitable[None]]


async def warm(scenario: Scenario, site_id: str, begin_s: float) -> None:
    """Warm, but not too warm."""
    charger = await scenario.charger(site_id)
    scenario.session(charger, begin_s, begin_s + 600)
    peak_c = (65 if charger.is_ac else 75) - scenario.rng.uniform(2, 9)
    for k in range(1, 6):
        scenario.at(begin_s + 60 * k, partial(set_heat, charger, 30 + (peak_c - 30) * k / 5))


async def fan_dips(scenario: Scenario, site_id: str, begin_s: float) -> None:
    """A good fan with a reading now and then that is far too low."""
    charger = await scenario.charger(site_id, scenario.rng.choice(DC_MODELS))
    good_rpm = 1_800 * scenario.rng.uniform(0.92, 1.05)
    charger.fan_rpm = good_rpm

    def set_rpm(rpm: float) -> None:
        charger.fan_rpm = rpm

    for k in range(3):
        scenario.at(begin_s + 300 * k, partial(set_rpm, 700.0))
        scenario.at(begin_s + 300 * k + 70, partial(set_rpm, good_rpm))


async def fan_slow_for_a_while(scenario: Scenario, site_id: str, begin_s: float) -> None:
    """A fan that is slow for some minutes, such as with a bag before its vent."""
    charger = await scenario.charger(site_id, scenario.rng.choice(DC_MODELS))
    charger.fan_rpm = 1_790.0

    def set_rpm(rpm: float) -> None:
        charger.fan_rpm = rpm

    scenario.at(begin_s, partial(set_rpm, 1_250.0))
    scenario.at(begin_s + scenario.rng.uniform(240, 420), partial(set_rpm, 1_790.0))


async def short_silence(scenario: Scenario, site_id: str, begin_s: float) -> None:
    """A charger that is not heard of for a minute."""
    charger = await scenario.charger(site_id)
    charger.silent_from_s = begin_s
    charger.silent_to_s = begin_s + scenario.rng.uniform(25, 50)


async def some_reconnects(scenario: Scenario, site_id: str, begin_s: float) -> None:
    """A charger that reconnects, but not as in a storm."""
    charger = await scenario.charger(site_id)
    reconnects(scenario, charger, begin_s, scenario.rng.randint(2, 5), 50)


async def slow_decay(scenario: Scenario, site_id: str, begin_s: float) -> None:
    """Voltage that takes a frame or two to fall after the stop."""
    charger = await scenario.charger(site_id)
    stop_s = begin_s + 200
    scenario.session(charger, begin_s, stop_s)

    def set_voltage(voltage: float) -> None:
        charger.outlets[1].voltage = voltage

    scenario.at(stop_s + 0.1, partial(set_voltage, 210.0))
    scenario.at(stop_s + scenario.rng.choice((7.0, 12.0)), partial(set_voltage, 0.0))


async def full(scenario: Scenario, site_id: str, begin_s: float) -> None:
    """A full vehicle draws nothing for a while before the session ends."""
    charger = await scenario.charger(site_id)
    scenario.session(charger, begin_s, begin_s + 400)

    def draw_nothing() -> None:
        charger.outlets[1].current = 0.0

    scenario.at(begin_s + 330, draw_nothing)
    scenario.record(charger, begin_s + 403, "ev_full", 1)


async def paused(scenario: Scenario, site_id: str, begin_s: float) -> None:
    """A session that is paused with its contactor closed."""
    charger = await scenario.charger(site_id)
    scenario.session(charger, begin_s, begin_s + 600)

    def pause() -> None:
        outlet = charger.outlets[1]
        outlet.state, outlet.detail, outlet.current = "idle", "paused", 0.0

    def go_on() -> None:
        charger.outlets[1].detail = None
        charger.charge()

    scenario.at(begin_s + 150, pause)
    scenario.at(begin_s + 400, go_on)


async def clean(scenario: Scenario, site_id: str, begin_s: float) -> None:
    """Sessions that end as they should."""
    charger = await scenario.charger(site_id)
    for k in range(2):
        from_s = begin_s + 400 * k
        scenario.session(charger, from_s, from_s + 250, 2)
        scenario.record(charger, from_s + 254, scenario.rng.choice(CLEAN), 2)


async def alarm(scenario: Scenario, site_id: str, begin_s: float) -> None:
    """An alarm that is no fault."""
    charger = await scenario.charger(site_id)
    sent = partial(scenario.world.event, charger.device, EventType.ALARM, 1, 0, reason="door open")
    scenario.at(begin_s, sent)


async def as_assigned(scenario: Scenario, site_id: str, begin_s: float) -> None:
    """A charger that runs what it was given, and writes its hash in capitals."""
    charger = await scenario.charger(site_id)
    right = await scenario.world.assign_profile(charger.device)
    charger.running = right._replace(running_config_hash=right.running_config_hash.upper())
    del begin_s


async def shut_down(scenario: Scenario, site_id: str, begin_s: float) -> None:
    """A charger that says that it will be off, and is."""
    charger = await scenario.charger(site_id)

    async def announce() -> None:
        charger.silent_from_s = begin_s
        await scenario.world.heartbeat(charger.device, 0, None, "offline")

    scenario.at(begin_s, announce)


DECOYS: tuple[Decoy, ...] = (
    warm,
    fan_dips,
    fan_slow_for_a_while,
    short_silence,
    some_reconnects,
    slow_decay,
    full,
    paused,
    clean,
    alarm,
    as_assigned,
    shut_down,
)
