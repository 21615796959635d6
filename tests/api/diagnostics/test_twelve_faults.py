"""Each fault of the dictionary brought about in a simulated charger, and found by the platform."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tellus.simulator.control import ControlRequest, ask_fleet
from tellus.simulator.credentials import CredentialStore
from tellus.simulator.device import ChargerSpec
from tellus.simulator.history import Period, device_history
from tellus.simulator.plants import Plant
from tellus.simulator.upload import upload_history
from tests.api.tenancy import Charger, new_tenant
from tests.contract.client import ContractClient
from tests.server import start_server

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[2]
CHARGERS = 24
OF_THE_PAST = "SN-OF-THE-PAST"
WITHIN_S = 30.0
POWER_UP, AC_POWER_UP = "charger-faulting-on-power-up", "ac-charger-faulting-on-power-up"
PREPARING, NO_FLOW = "connector-stuck-in-preparing", "v2g-discharge-no-flow"
PATIENCE = {
    "TELLUS_PRESENCE__OFFLINE_AFTER_S": "7",
    "TELLUS_PRESENCE__START_GRACE_S": "0",
    "TELLUS_DIAGNOSTICS__HOLD_S": "1",
    "TELLUS_DIAGNOSTICS__TURN_S": "0.2",
    "TELLUS_HEALTH__FLUSH_S": "1",
}


@dataclass(frozen=True)
class Play:
    """A fault at a charger of a model: how it is brought about, and what is to come of it.

    ``occasion`` is what lets the charger show it: a vehicle, a session's end, a discharge. The
    ``strength`` is given where it would depend on the weather, and on what the vehicle draws.
    """

    code: str
    model: str
    severity: str
    runbook: str | None
    variant: str = ""
    occasion: str = ""
    clears: bool = True
    by: str = "charger"
    strength: float | None = None


PLAYS = (
    Play("F-0101", "TP-DC60", "critical", None, occasion="stop"),
    Play("F-0203", "TP-DC60", "medium", None, occasion="plug-in", strength=7.0),
    # These two are over with the minutes that follow: shown where the clock can be moved.
    Play(
        "F-0204", "TP-DC360", "critical", POWER_UP, "sensor-drift", occasion="plug-in", clears=False
    ),
    Play("F-0601", "TP-DC360", "medium", None, occasion="past", clears=False, by="f_0601"),
    Play("F-0301", "TP-DC180", "high", POWER_UP, by="f_0301"),
    Play("F-0301", "TP-AC22", "high", AC_POWER_UP, by="f_0301"),
    Play("F-0302", "TP-AC22", "medium", None, by="f_0302"),
    Play("F-0411", "TP-DC180", "high", POWER_UP),
    Play("F-0421", "TP-DC180", "high", PREPARING, "stuck", occasion="plug-in"),
    Play("F-0421", "TP-AC22", "high", PREPARING, "stuck", occasion="plug-in"),
    Play("F-0512", "TP-AC22", "medium", None, occasion="assign", by="f_0512"),
    Play("F-0701", "TP-DC180-V2G", "high", NO_FLOW, "pll", occasion="discharge"),
    Play("F-0702", "TP-DC360-V2G", "medium", NO_FLOW, occasion="discharge"),
    Play("F-0805", "TP-DC60", "medium", None, "bms", occasion="plug-in"),
)


@dataclass
class Fleet:
    """A simulated fleet and the operator whose it is; each play has a charger of its own."""

    api: ContractClient
    control: Path
    wire: ContractClient
    cast: dict[Play, Charger] = field(default_factory=dict)

    def take(self, play: Play) -> Charger:
        """A charger of the play's model that no other play has."""
        if play.occasion == "past":
            live_with_slow_fan(self.wire.base_url, OF_THE_PAST, play.model)
        query = {"model": play.model}
        found = self.api.get("/v1/operator/devices", params=query, expect=200).data["items"]
        taken = {charger.sn for charger in self.cast.values()}
        is_past = play.occasion == "past"
        device = next(
            one for one in found if one["sn"] not in taken and (one["sn"] == OF_THE_PAST) is is_past
        )
        charger = Charger(device["device_id"], "", device["sn"], "", self.wire, self.api)
        self.cast[play] = charger
        return charger

    def tell(
        self,
        action: str,
        sn: str,
        value: str | None = None,
        variant: str = "",
        strength: float | None = None,
    ) -> Any:
        """Tell a charger what happens to it."""
        return ask_fleet(
            self.control, ControlRequest(action, sn, 1, value, variant or None, strength)
        )

    def alerts(self, charger: Charger) -> list[dict[str, Any]]:
        """The alerts of a charger."""
        query = {"device_id": charger.device_id}
        items: list[dict[str, Any]] = self.api.get(
            "/v1/operator/alerts", params=query, expect=200
        ).data["items"]
        return items

    def of(self, play: Play) -> list[dict[str, Any]]:
        """The alerts of a play's fault at its charger."""
        return [one for one in self.alerts(self.cast[play]) if one["code"] == play.code]


def until(look: Callable[[], Any], what: str = "") -> Any:
    """What ``look`` returns once that is something."""
    until_s = time.monotonic() + WITHIN_S
    while not (found := look()):
        assert time.monotonic() < until_s, what
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A server and two dozen chargers that hurry, each fault brought about at one of them."""
    folder = tmp_path_factory.mktemp("faults")
    program = (str(HERE / "quick_server.py"),)
    server = start_server(folder / "data", environment=PATIENCE, program=program)
    socket = folder / "fleet.sock"
    command = [
        sys.executable, HERE / "quick_fleet.py", "simulate", "--base-url", server.base_url,
        "--chargers", str(CHARGERS), "--scenario", "quiet", "--seed", "7", "--control", socket,
        "--quiet",
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as simulated:
        try:
            with ContractClient(server.base_url) as contract:
                operator_id = server.built_in_operator_id
                client = server.create_client(operator_id, ["read", "write", "diagnostics"])
                tenant = replace(
                    new_tenant(server, contract), operator_id=operator_id, client=client
                )
                online = {"status": "online"}
                until(
                    lambda: tenant.api.get(
                        "/v1/operator/devices", params=online, expect=200
                    ).data["total"] == CHARGERS
                )  # fmt: skip
                made = Fleet(tenant.api, socket, contract)
                for play in PLAYS:
                    begin(made, play)
                yield made
        finally:
            simulated.terminate()
    assert server.stop() == 0, "".join(server.stderr[-40:])


def begin(fleet: Fleet, play: Play) -> None:
    """Bring a fault about, and the occasion at which it shows."""
    charger = fleet.take(play)
    if play.occasion == "past":
        return
    if play.occasion == "assign":
        assign(fleet, charger)
    fleet.tell("inject", charger.sn, play.code, play.variant, play.strength)
    if play.occasion in {"plug-in", "stop", "discharge"}:
        fleet.tell("plug-in", charger.sn, "70" if play.occasion == "discharge" else "30")
    if play.occasion == "stop":
        until(lambda: charger.connector()["status"] == "charging")
        fleet.tell("stop", charger.sn)
    elif play.occasion == "discharge":
        path = f"/v1/operator/devices/{charger.device_id}/connectors/1/discharge"
        fleet.api.post(path, {"discharge_power": 10.0}, expect=200)


def assign(fleet: Fleet, charger: Charger) -> None:
    """Assign a profile, and wait until the charger says that it runs it."""
    body = {"name": f"Profile of {charger.sn}", "values": {"max_power_pct": 100, "heartbeat_s": 30}}
    made = fleet.api.post("/v1/operator/config-profiles", body, expect=200).data
    path = f"/v1/operator/devices/{charger.device_id}/config-profile"
    asked = {"config_profile_id": made["config_profile_id"]}
    fleet.api.put(path, asked, expect=200)
    until(lambda: fleet.api.get(path, expect=200).data["state"] == "in_sync")


def live_with_slow_fan(base_url: str, sn: str, model: str) -> None:
    """Let a charger have lived with a slow fan for a quarter of an hour, and told of it all."""
    now_ms = int(1000 * time.time())
    failing = Plant("F-0601", at_ms=now_ms - 14 * 60_000)
    spec = ChargerSpec(sn, model, scenario="quiet", plants=(failing,))
    minutely = {"sample_period_s": 60, "idle_period_s": 60, "health_period_s": 60}
    history = device_history(spec, Period(now_ms - 15 * 60_000, now_ms, **minutely), seed=7)

    async def upload() -> None:
        report = await upload_history(base_url, [history], CredentialStore(), asyncio.Event())
        assert not report.errors

    asyncio.run(upload())


def repair(fleet: Fleet, play: Play) -> None:
    """Put right what was brought about, and see to it that it shows."""
    charger = fleet.cast[play]
    if play.code == "F-0512":
        path = f"/v1/operator/devices/{charger.device_id}/config-profile/apply"
        fleet.api.post(path, expect=200)
        return
    fleet.tell("cure", charger.sn, play.code)


by_play = pytest.mark.parametrize(
    "play", PLAYS, ids=[f"{play.code}-{play.model}-{play.variant}".rstrip("-") for play in PLAYS]
)


@by_play
def test_fault__brought_about__is_found_explained_and_has_its_runbook(
    fleet: Fleet, play: Play
) -> None:
    """It is one alert of the right severity, by the right finder, with dictionary and runbook."""
    charger = fleet.cast[play]
    [alert] = until(lambda: fleet.of(play), f"{play}: {fleet.alerts(charger)}")
    assert (alert["severity"], alert["found_by"]) == (play.severity, play.by)
    assert alert.get("suggested_runbook") == play.runbook
    assert alert["text"]
    whole = fleet.api.get(f"/v1/operator/alerts/{alert['alert_id']}", expect=200).data
    fault = fleet.api.get(whole["fault_href"], expect=200).data
    assert (fault["code"], fault["title"]) == (play.code, alert["title"])
    assert fault["causes"]
    assert fault["steps"]
    if play.runbook is not None:
        runbook = fleet.api.get(whole["runbook_href"], expect=200).data
        assert runbook["slug"] == play.runbook
        assert not runbook["models"] or play.model in runbook["models"]
    if play.by == "charger" or play.code in {"F-0301", "F-0302"}:
        [told, *_] = charger.events(event_type="fault", fault_code=play.code)
        assert told["fault_href"] == whole["fault_href"]


def test_faults__all_at_once__are_no_alert_of_another_charger_or_code(fleet: Fleet) -> None:
    """Each charger has the alert of its own fault alone, and the sound ones have none."""
    for play in PLAYS:
        until(lambda play=play: fleet.of(play), str(play))
    found = {
        (alert["device_id"], alert["code"])
        for alert in fleet.api.get("/v1/operator/alerts", params={"size": 100}, expect=200).data[
            "items"
        ]
    }
    # The charger of the past is not there any more.
    gone = {(fleet.cast[play].device_id, "F-0301") for play in PLAYS if play.occasion == "past"}
    # A connector may get so hot that it breaks the session off.
    gone |= {(fleet.cast[play].device_id, "F-0805") for play in PLAYS if play.code == "F-0203"}
    wanted = {(fleet.cast[play].device_id, play.code) for play in PLAYS}
    played = {fleet.cast[play].device_id: str(play) for play in PLAYS}
    assert found - gone == wanted, [played.get(one[0]) for one in found - gone - wanted]


def test_faults__repaired__are_over(fleet: Fleet) -> None:
    """What is put right is no longer the case; the alert stays until somebody has seen it."""
    played = [play for play in PLAYS if play.clears]
    for play in played:
        until(lambda play=play: fleet.of(play), str(play))
        repair(fleet, play)

    def left() -> list[str]:
        return [
            f"{play.code} {play.model}"
            for play in played
            for alert in fleet.of(play)
            if alert["condition"] != "cleared"
        ]

    until_s = time.monotonic() + WITHIN_S
    while still := left():
        assert time.monotonic() < until_s, still
        time.sleep(0.5)
    assert {alert["status"] for play in played for alert in fleet.of(play)} == {"open"}


def test_plays__all__are_the_dictionary(fleet: Fleet) -> None:
    """Every code of the dictionary is played."""
    items = fleet.api.get("/v1/operator/faults", expect=200).data["items"]
    assert {one["code"] for one in items} == {play.code for play in PLAYS}
