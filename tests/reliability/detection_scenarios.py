"""Scenarios for detection: what goes wrong, what only looks like it, and what is to be found.

The figures are what the faults look like at a charger; none is taken from a detector. Every
scenario has chargers of its own at sites of its own, with noise, lost and repeated frames, and
decoys.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from tellus.fleet.model import EventType
from tests.reliability.detection_chargers import Charger
from tests.reliability.detection_world import DetectionWorld

LENGTH_S = 1_500.0
DC_MODELS = ("TP-DC60", "TP-DC180", "TP-DC360")
UNCLEAN = ("ev_disconnected", "power_loss", "emergency_stop", "lock_failure", "bms_shutdown")
CLEAN = ("user_request", "target_soc", "ev_full", "time_limit", "remote", None)

Found = tuple[str, Any, int]
"""Code, whom it is about, connector."""

Do = Callable[[], Awaitable[None] | None]


@dataclass
class Scenario:
    """Chargers, what happens to them and when (s), and the alerts that are to come of it."""

    world: DetectionWorld
    rng: Random
    name: str
    chargers: list[Charger] = field(default_factory=list)
    script: list[tuple[float, Do]] = field(default_factory=list)
    expected: set[Found] = field(default_factory=set)
    decoys: list[str] = field(default_factory=list)

    async def charger(self, site_id: str, model: str | None = None) -> Charger:
        """Another charger of this scenario."""
        chosen = model or self.rng.choice((*DC_MODELS, "TP-AC22"))
        device = await self.world.add_device(site_id, chosen)
        charger = Charger(device, Random(self.rng.random()))
        self.chargers.append(charger)
        return charger

    def at(self, when_s: float, do: Do) -> None:
        self.script.append((when_s, do))

    def expect(self, code: str, charger: Charger, connector_id: int = 0) -> None:
        self.expected.add((code, charger.device.device_no, connector_id))

    def session(self, charger: Charger, from_s: float, to_s: float, connector_id: int = 1) -> None:
        """Plug in, charge, stop, plug out, with the frames that come after a stop."""
        world, device = self.world, charger.device

        def event(kind: EventType) -> Do:
            return lambda: world.event(device, kind, connector_id)

        self.at(from_s, event(EventType.PLUG_IN))
        self.at(from_s + 8, event(EventType.START))
        self.at(from_s + 8, partial(charger.charge, connector_id))
        self.at(to_s, event(EventType.STOP))
        self.at(to_s, partial(charger.rest, connector_id))
        self.after_stop(charger, to_s, connector_id)
        self.at(to_s + 50, event(EventType.PLUG_OUT))

    def after_stop(self, charger: Charger, stop_s: float, connector_id: int = 1) -> None:
        for k in (1, 2, 3):
            self.at(stop_s + 5 * k, partial(self.one_frame, charger, connector_id))

    async def one_frame(self, charger: Charger, connector_id: int) -> None:
        for sent in charger.frame(self.world, connector_id):
            await sent

    def record(self, charger: Charger, when_s: float, reason: str | None, connector: int) -> None:
        self.at(when_s, lambda: self.world.record(charger.device, reason, connector))


Plot = Callable[[Scenario, str, float], Awaitable[None]]


def spelled(rng: Random, code: str) -> int | str:
    """A code as one charger or another writes it."""
    number = int(code[2:])
    return rng.choice((number, str(number), code, f"F{number:04}"))


async def told(scenario: Scenario, site_id: str, begin_s: float, *codes: str) -> None:
    """A fault that the charger tells of itself, perhaps more than once, with its connector down."""
    rng, world = scenario.rng, scenario.world
    code = rng.choice(codes)
    charger = await scenario.charger(site_id, "TP-DC180-V2G")
    connector_id = rng.choice((1, 2))
    for k in range(rng.choice((1, 1, 2, 3))):
        sent = spelled(rng, code)
        scenario.at(begin_s + 4 * k, partial(world.fault, charger.device, sent, connector_id))

    def fail() -> None:
        charger.outlets[connector_id].state = "fault"

    scenario.at(begin_s, fail)
    scenario.at(begin_s + rng.uniform(200, 500), partial(charger.rest, connector_id))
    scenario.expect(code, charger, connector_id)


async def weld(scenario: Scenario, site_id: str, begin_s: float) -> None:
    """The contactor stays closed after the stop, and the charger says nothing of it."""
    rng = scenario.rng
    charger = await scenario.charger(site_id)
    connector_id = rng.choice((1, 2))
    stop_s = begin_s + rng.uniform(120, 300)
    scenario.session(charger, begin_s, stop_s, connector_id)

    def stick() -> None:
        outlet = charger.outlets[connector_id]
        outlet.state = rng.choice(("fault", "idle"))
        outlet.voltage = 229.0 if charger.is_ac else rng.uniform(120, 700)

    scenario.at(stop_s + 0.1, stick)
    scenario.expect("F-0101", charger, connector_id)


async def hot(scenario: Scenario, site_id: str, begin_s: float) -> None:
    """A connector gets hotter than it may be."""
    rng = scenario.rng
    charger = await scenario.charger(site_id)
    scenario.session(charger, begin_s, begin_s + 900)
    peak_c = (65 if charger.is_ac else 75) + rng.uniform(2.5, 14)
    for k in range(1, 9):
        warm_c = 30 + (peak_c - 30) * min(1.0, k / 5)
        scenario.at(begin_s + 60 * k, partial(set_heat, charger, warm_c))
    scenario.expect("F-0203", charger, 1)


async def lost(scenario: Scenario, site_id: str, begin_s: float) -> None:
    """A charger falls silent; those beside it do not."""
    charger = await scenario.charger(site_id)
    await scenario.charger(site_id)
    await scenario.charger(site_id)
    charger.silent_from_s = begin_s
    charger.silent_to_s = begin_s + scenario.rng.choice((400.0, 1e9))
    scenario.expect("F-0301", charger)


async def storm(scenario: Scenario, site_id: str, begin_s: float) -> None:
    """A charger reconnects again and again."""
    charger = await scenario.charger(site_id)
    await scenario.charger(site_id)
    await scenario.charger(site_id)
    reconnects(scenario, charger, begin_s, scenario.rng.randint(7, 14), 45)
    scenario.expect("F-0302", charger)


async def drift(scenario: Scenario, site_id: str, begin_s: float) -> None:
    """A charger runs something else than it was given."""
    charger = await scenario.charger(site_id)
    right = await scenario.world.assign_profile(charger.device)
    charger.running = right
    wrong = scenario.rng.choice(
        (right._replace(running_config_hash="ab" * 32), right._replace(config_profile_id="local"))
    )

    def change() -> None:
        charger.running = wrong

    scenario.at(begin_s + 400, change)
    scenario.expect("F-0512", charger)


async def fan(scenario: Scenario, site_id: str, begin_s: float) -> None:
    """A fan wears out."""
    charger = await scenario.charger(site_id, scenario.rng.choice(DC_MODELS))
    charger.fan_rpm = 1_800.0
    slow_rpm = 1_800 * scenario.rng.uniform(0.35, 0.81)

    def wear() -> None:
        charger.fan_rpm = slow_rpm

    scenario.at(begin_s, wear)
    scenario.expect("F-0601", charger)


async def torn(scenario: Scenario, site_id: str, begin_s: float) -> None:
    """A session ends by a pulled cable or worse; perhaps the charger says so too."""
    rng = scenario.rng
    charger = await scenario.charger(site_id)
    stop_s = begin_s + rng.uniform(100, 400)
    scenario.session(charger, begin_s, stop_s)
    scenario.record(charger, stop_s + 3, rng.choice(UNCLEAN), 1)
    if rng.random() < 0.5:
        scenario.at(stop_s + 2, partial(scenario.world.fault, charger.device, "F-0805", 1))
    scenario.expect("F-0805", charger, 1)


async def outage(scenario: Scenario, site_id: str, begin_s: float) -> None:
    """A whole site falls silent."""
    rng = scenario.rng
    until_s = begin_s + rng.choice((420.0, 1e9))
    for _ in range(rng.randint(3, 6)):
        charger = await scenario.charger(site_id)
        charger.silent_from_s = begin_s + rng.uniform(0, 12)
        charger.silent_to_s = until_s
    scenario.expected.add(("site_network", site_id, 0))


async def site_storm(scenario: Scenario, site_id: str, begin_s: float) -> None:
    """All chargers of a site reconnect again and again."""
    for _ in range(scenario.rng.randint(3, 5)):
        charger = await scenario.charger(site_id)
        reconnects(scenario, charger, begin_s, 9, 40)
    scenario.expected.add(("site_network", site_id, 0))


async def disturbance(scenario: Scenario, site_id: str, begin_s: float) -> None:
    """All V2G units of an area lose the grid; one far away does not."""
    rng, world = scenario.rng, scenario.world
    lat, lng = rng.uniform(-60, 60), rng.uniform(-170, 170)
    members = []
    for _ in range(rng.randint(2, 4)):
        near_id = await world.add_site(
            lat + rng.uniform(-0.05, 0.05), lng + rng.uniform(-0.05, 0.05)
        )
        charger = await scenario.charger(near_id, "TP-DC360-V2G")
        members.append(charger.device.device_no)
        when_s = begin_s + rng.uniform(0, 8)
        scenario.at(when_s, partial(world.fault, charger.device, spelled(rng, "F-0701"), 1))
    far_id = await world.add_site(lat + rng.choice((-1, 1)) * rng.uniform(0.9, 3), lng)
    await scenario.charger(far_id, "TP-DC360-V2G")
    scenario.expected.add(("grid", tuple(sorted(members)), 0))
    del site_id


async def murmur(scenario: Scenario, site_id: str, begin_s: float) -> None:
    """Only heartbeats name a fault."""
    charger = await scenario.charger(site_id)
    code = scenario.rng.choice((204, "F-0411", "421"))

    def say() -> None:
        charger.code = code

    scenario.at(begin_s, say)
    scenario.expect(f"F-{int(str(code).removeprefix('F-')):04}", charger)


async def strange(scenario: Scenario, site_id: str, begin_s: float) -> None:
    """A charger tells of a code that nobody knows."""
    charger = await scenario.charger(site_id)
    scenario.at(begin_s, partial(scenario.world.fault, charger.device, "E-77", 2))
    scenario.expect("E-77", charger, 2)


def set_heat(charger: Charger, temperature: float) -> None:
    """Let the first connector be so warm (°C)."""
    charger.outlets[1].temperature = temperature


def reconnects(
    scenario: Scenario, charger: Charger, begin_s: float, times: int, apart_s: float
) -> None:
    """Let a charger reconnect some times, about so far apart (s)."""
    for k in range(times):
        when_s = begin_s + apart_s * k + scenario.rng.uniform(0, 10)
        scenario.at(when_s, lambda: scenario.world.reconnect(charger.device))


PLOTS: dict[str, Plot] = {
    "weld": weld,
    "hot": hot,
    "lost": lost,
    "storm": storm,
    "drift": drift,
    "fan": fan,
    "torn": torn,
    "outage": outage,
    "site storm": site_storm,
    "disturbance": disturbance,
    "murmur": murmur,
    "strange": strange,
    "told on start": lambda scenario, site_id, begin_s: told(scenario, site_id, begin_s, "F-0421"),
    "told of heat": lambda scenario, site_id, begin_s: told(
        scenario, site_id, begin_s, "F-0204", "F-0203"
    ),
    "told of parts": lambda scenario, site_id, begin_s: told(
        scenario, site_id, begin_s, "F-0411", "F-0101"
    ),
    "told of v2g": lambda scenario, site_id, begin_s: told(
        scenario, site_id, begin_s, "F-0701", "F-0702"
    ),
}
