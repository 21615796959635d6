"""A running fleet is told what to do, over its socket and from the command line."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tellus.simulator.control import ControlRefused, ControlRequest, ControlSocket, ask_fleet
from tellus.simulator.device import ChargerSpec
from tellus.simulator.messages import Kind
from tellus.simulator.triggers import obey_trigger
from tests.unit.simulator.builders import START_MS, bodies, build_twin, command
from tests.unit.simulator.stand_in import StandIn
from tests.unit.simulator.test_fleet import drive, until

SN = "SN-1"
PROGRAM = (sys.executable, "-c", "from tellus.cli import main; main()", "trigger")


@pytest.fixture
def path() -> Iterator[Path]:
    """Return a short path: that of a unix socket has at most about a hundred characters."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "fleet.sock"


async def ask(path: Path, action: str, connector_id: int = 1, value: str | None = None) -> Any:
    """Ask the fleet without blocking the loop."""
    request = ControlRequest(action, SN, connector_id, value)
    return await asyncio.to_thread(ask_fleet, path, request)


def run_fleet_with(path: Path, script: Any, stand_in: StandIn | None = None, **more: Any) -> Any:
    """Run one DC charger where nobody comes by itself, while ``script`` acts."""
    server = stand_in or StandIn()

    async def act(stop: asyncio.Event) -> None:
        try:
            await until(lambda: len(server.of("heartbeat")) > 0)
            await script(server)
        finally:
            stop.set()

    settings = {"scenario": "quiet", "time_scale": 1.0, "duration_s": None, **more}
    settings.setdefault("chargers", [ChargerSpec(sn=SN, model="TP-DC180")])
    return asyncio.run(drive(server, act, control_path=path, poll_wait_s=1, **settings))


def test_socket__driver_comes_and_goes__the_platform_sees_it(path: Path) -> None:
    """plug-in and plug-out over the socket are events at the platform; list shows the fleet."""

    async def script(server: StandIn) -> None:
        mode = await asyncio.to_thread(lambda: path.stat().st_mode)
        assert stat.S_IMODE(mode) == 0o600
        listed = await ask(path, "list")
        assert [one["sn"] for one in listed] == [SN]
        shown = await ask(path, "plug-in", 2, "55")
        assert shown["connectors"][1]["soc_pct"] == 55
        await until(lambda: [one["event_type"] for one in server.of("event")][:1] == ["plug_in"])
        await ask(path, "plug-out", 2)
        await until(lambda: server.of("event")[-1]["event_type"] == "plug_out")
        assert {one["connector_id"] for one in server.of("event")} == {2}

    report = run_fleet_with(path, script)
    assert report.is_clean
    assert not path.exists()


def test_socket__all__reaches_every_charger_and_passes_over_some(path: Path) -> None:
    """One word for a whole fleet; it is refused only if no charger at all can obey it."""

    async def script(_: StandIn) -> None:
        def tell_all(action: str) -> Any:
            return ask_fleet(path, ControlRequest(action, "all"))

        assert len(await asyncio.to_thread(ask_fleet, path, ControlRequest("list"))) == 3
        await ask(path, "plug-in")
        plugged = await asyncio.to_thread(tell_all, "plug-in")
        assert [one["sn"] for one in plugged] == ["SN-2", "SN-3"]
        assert all(not one["online"] for one in await asyncio.to_thread(tell_all, "offline"))
        assert all(one["online"] for one in await asyncio.to_thread(tell_all, "online"))
        with pytest.raises(ControlRefused, match="no fault"):
            await asyncio.to_thread(tell_all, "clear-fault")

    specs = [ChargerSpec(sn=f"SN-{number}", model="TP-DC180") for number in (1, 2, 3)]
    run_fleet_with(path, script, chargers=specs)


def test_socket__offline_and_online__nothing_is_said_between(path: Path) -> None:
    """An offline charger says nothing and keeps everything; online it tells it all."""

    async def script(server: StandIn) -> None:
        await ask(path, "offline")
        before = server.requests.total()
        await ask(path, "plug-in")
        await asyncio.sleep(1.0)
        assert server.requests.total() <= before + 1
        assert server.of("event") == []
        await ask(path, "online")
        await until(lambda: len(server.of("event")) > 0)
        assert server.requests["token"] == 2

    assert run_fleet_with(path, script).is_clean


def test_socket__reject__the_next_command_is_refused_and_effects_are_counted(path: Path) -> None:
    """Reject strikes one command; the report counts the effects of each command id."""

    async def script(server: StandIn) -> None:
        await ask(path, "reject")
        for command_id in ("cmd_1", "cmd_2", "cmd_2"):
            order = {"command_id": command_id, "command": "clear_cache", "params": {}}
            server.queue(SN, 1).put_nowait(order)
        await until(lambda: len(server.of("command_status")) >= 4)

    server = StandIn()
    report = run_fleet_with(path, script, server)
    heard = [(one["command_id"], one["status"]) for one in server.of("command_status")]
    assert heard[:3] == [("cmd_1", "rejected"), ("cmd_2", "accepted"), ("cmd_2", "completed")]
    assert report.effects == {"cmd_2": 1}


def test_fleet__reboots__falls_silent_and_starts_up_anew(path: Path) -> None:
    """A reboot over the wire: silence, a new token, a heartbeat, and the completion."""

    async def script(server: StandIn) -> None:
        order = {"command_id": "cmd_r", "command": "soft_reset", "params": {}}
        server.queue(SN, 1).put_nowait(order)
        done = ("cmd_r", "completed")
        await until(lambda: done in [
            (one["command_id"], one["status"]) for one in server.of("command_status")
        ])  # fmt: skip
        assert server.requests["token"] == 2
        polls = server.requests["command_poll"]
        await until(lambda: server.requests["command_poll"] > polls)

    assert run_fleet_with(path, script, time_scale=10.0, duration_s=60.0).is_clean


def test_fleet__upgraded__the_firmware_reports_reach_the_platform(path: Path) -> None:
    """Downloading to success goes out on the firmware route."""

    async def script(server: StandIn) -> None:
        params = {"firmware_version": "9.9.9", "url": "/f", "sha256": "ab" * 32, "size": 1000}
        order = {"command_id": "cmd_f", "command": "firmware_upgrade", "params": params}
        server.queue(SN, 1).put_nowait(order)
        await until(lambda: any(
            one["status"] == "success" for one in server.of("firmware_status")
        ))  # fmt: skip

    report = run_fleet_with(path, script, time_scale=60.0, duration_s=60.0, batch_replay=True)
    assert report.kinds["firmware_status"].acknowledged == 6


def test_socket__nonsense__is_answered_and_harms_nobody(path: Path) -> None:
    """What is not understood is answered with the reason; the socket goes on."""

    async def script(server: StandIn) -> None:
        reader, writer = await asyncio.open_unix_connection(str(path))
        for line in (b"nonsense\n", b'{"action":"list","more":1}\n', b"\xff\n"):
            writer.write(line)
            answer = json.loads(await reader.readline())
            assert answer["ok"] is False
            assert "not understood" in answer["error"]
        writer.close()
        for action, connector_id in (("dance", 1), ("stop", 1), ("plug-in", 9)):
            with pytest.raises(ControlRefused):
                await ask(path, action, connector_id)

    run_fleet_with(path, script)


def test_socket__where_another_fleet_listens__is_refused_but_a_dead_one_is_replaced(
    path: Path,
) -> None:
    """One socket, one fleet; what a killed fleet left behind is no obstacle."""

    async def listen() -> None:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        async with ControlSocket(path, lambda request: request.action):
            with pytest.raises(ControlRefused, match="another fleet"):
                async with ControlSocket(path, repr):
                    pytest.fail("two fleets on one socket")
            assert await ask(path, "list") == "list"

    asyncio.run(listen())
    with pytest.raises(OSError):
        ask_fleet(path, ControlRequest("list"))


@pytest.mark.parametrize(
    ("action", "value", "word"),
    [
        ("plug-out", None, "no vehicle"),
        ("start", None, "no vehicle"),
        ("stop", None, "no session"),
        ("plug-in", "101", "between 0 and 100"),
        ("plug-in", "full", "no state of charge"),
        ("offline", "-1", "no time"),
        ("fail-firmware", None, "which version"),
        ("clear-fault", None, "no fault"),
        ("slow", "soon", "no time"),
        ("dance", None, "known: list, plug-in"),
    ],
)
def test_trigger__that_makes_no_sense__is_refused_with_the_reason(
    action: str, value: str | None, word: str
) -> None:
    """An impossible trigger changes nothing and says why."""
    twin = build_twin("TP-DC180", "quiet")
    with pytest.raises(ControlRefused, match=word):
        obey_trigger(twin, ControlRequest(action, SN, 1, value))


def test_trigger__start_and_stop__are_the_drivers_own() -> None:
    """A driver's start at a depot and stop are no remote commands."""
    twin = build_twin("TP-DC180", "depot")
    obey_trigger(twin, ControlRequest("plug-in", SN, 1, "40"))
    obey_trigger(twin, ControlRequest("start", SN))
    twin.advance(START_MS + 120_000)
    assert twin.connectors[0].power.flow.power_kw > 0
    obey_trigger(twin, ControlRequest("stop", SN))
    twin.advance(START_MS + 130_000)
    assert b'"command_id"' not in b"".join(one.body for one in twin.take())
    obey_trigger(twin, ControlRequest("plug-out", SN))
    twin.advance(twin.time_ms + 60_000)
    assert twin.connectors[0].stage == "available"


@pytest.mark.parametrize("action", ["lose-report", "duplicate-report", "power-cut-next"])
def test_trigger__for_the_next_command__strikes_once(action: str) -> None:
    """Each of them strikes one command or report, not two."""
    twin = build_twin("TP-DC180", "quiet")
    obey_trigger(twin, ControlRequest(action, SN))
    for number in range(2):
        twin.execute(command("clear_cache", f"cmd_{number}"), 1, twin.time_ms)
    sent = [one.ref for one in twin.outbox if one.ref.startswith("cmd")]
    expected = {"lose-report": 3, "duplicate-report": 5, "power-cut-next": 4}
    assert len(sent) == expected[action]
    twin.advance(START_MS + 20_000)
    assert twin.power_state.is_dark == (action == "power-cut-next")


def test_trigger__slow__leaves_the_next_command_lying() -> None:
    """The next command is taken up after so many seconds; the one after that at once."""
    twin = build_twin("TP-DC180", "quiet")
    obey_trigger(twin, ControlRequest("slow", SN, 1, "12"))
    twin.execute(command("clear_cache", "cmd_1"), 1, twin.time_ms)
    twin.execute(command("clear_cache", "cmd_2"), 1, twin.time_ms)
    assert [one.ref for one in twin.outbox if one.ref.startswith("cmd")] == ["cmd_2", "cmd_2"]
    twin.advance(START_MS + 11_999)
    assert len(twin.desk.effects_by_id) == 1
    twin.advance(START_MS + 12_000)
    assert set(twin.desk.effects_by_id) == {"cmd_1", "cmd_2"}


def test_trigger__lose_command__the_charger_never_saw_it() -> None:
    """A command lost on its way is unknown to the charger, and done when it is delivered again."""
    twin = build_twin("TP-DC180", "quiet")
    obey_trigger(twin, ControlRequest("lose-command", SN))
    twin.execute(command("clear_cache"), 1, twin.time_ms)
    assert (twin.desk.received, twin.desk.known_ids) == (0, [])
    twin.execute(command("clear_cache"), 1, twin.time_ms)
    assert twin.desk.effects_by_id == {"cmd_1": 1}
    assert twin.desk.duplicates == 0


def test_trigger__reboot__is_away_for_ninety_seconds() -> None:
    """The charger restarts as by a command, and its session ends."""
    twin = build_twin("TP-DC180", "quiet")
    obey_trigger(twin, ControlRequest("plug-in", SN, 1, "40"))
    twin.advance(START_MS + 120_000)
    shown = obey_trigger(twin, ControlRequest("reboot", SN))
    assert shown["online"] is False
    with pytest.raises(ControlRefused, match="no power"):
        obey_trigger(twin, ControlRequest("reboot", SN))
    twin.advance(START_MS + 209_000)
    assert twin.power_state.is_dark
    twin.advance(START_MS + 211_000)
    assert not twin.power_state.is_dark
    assert bodies(twin.outbox, Kind.RECORD)[0]["stop_reason"] == "reboot"


@pytest.mark.parametrize(("value", "code"), [(None, "F-0421"), ("F-0101", "F-0101"), ("411", 411)])
def test_trigger__fault__ends_the_session_and_serves_nobody(
    value: str | None, code: int | str
) -> None:
    """The session ends unfinished, state and event say fault, a start is refused until cleared."""
    twin = build_twin("TP-DC180", "quiet")
    obey_trigger(twin, ControlRequest("plug-in", SN, 1, "40"))
    twin.advance(START_MS + 120_000)
    shown = obey_trigger(twin, ControlRequest("fault", SN, 1, value))
    assert [one["state"] for one in shown["connectors"]] == ["fault", "idle"]
    assert (shown["connectors"][0]["fault_code"], twin.fault_code) == (code, code)
    event = bodies(twin.outbox, Kind.EVENT)[-1]
    assert (event["event_type"], event["data"]["fault_code"]) == ("fault", code)
    frame = bodies(twin.outbox, Kind.TELEMETRY)[-1]
    assert (frame["state"], frame["power"], frame.get("detail_state")) == ("fault", 0.0, None)
    assert bodies(twin.outbox, Kind.RECORD)[0]["stop_reason"] == "fault"
    twin.execute(command("start_charging", connector_id=1), 1, twin.time_ms)
    assert bodies(twin.outbox, Kind.COMMAND_STATUS)[-1]["status"] == "rejected"
    with pytest.raises(ControlRefused, match="already"):
        obey_trigger(twin, ControlRequest("fault", SN))
    shown = obey_trigger(twin, ControlRequest("clear-fault", SN))
    assert (shown["connectors"][0]["state"], twin.fault_code) == ("idle", 0)
    twin.execute(command("start_charging", "cmd_2", connector_id=1), 1, twin.time_ms)
    twin.advance(twin.time_ms + 120_000)
    assert twin.connectors[0].power.flow.power_kw > 0.0


@pytest.mark.parametrize("way", ["reset_connector", "reboot"])
def test_fault__reset_or_reboot__clears_it(way: str) -> None:
    """What the runbooks advise helps: the connector serves again."""
    twin = build_twin("TP-DC180", "quiet")
    obey_trigger(twin, ControlRequest("fault", SN))
    twin.execute(command(way, connector_id=1), 1, twin.time_ms)
    twin.advance(twin.time_ms + 200_000)
    assert bodies(twin.outbox, Kind.COMMAND_STATUS)[-1]["status"] == "completed"
    assert twin.fault_code == 0


def test_fault__vehicle_plugged_in__may_leave() -> None:
    """A connector out of order lets its vehicle go, and the next one in once it is cleared."""
    twin = build_twin("TP-DC180", "quiet")
    obey_trigger(twin, ControlRequest("plug-in", SN, 1, "40"))
    obey_trigger(twin, ControlRequest("fault", SN))
    obey_trigger(twin, ControlRequest("plug-out", SN))
    assert bodies(twin.outbox, Kind.EVENT)[-1]["event_type"] == "plug_out"
    assert twin.connectors[0].stage == "available"
    twin.take()
    twin.advance(twin.time_ms + 600_000)
    frames = bodies(twin.outbox, Kind.TELEMETRY)
    assert {one["state"] for one in frames if one["connector_id"] == 1} == {"fault"}


def test_socket__fault__the_heartbeat_says_so_until_it_is_cleared(path: Path) -> None:
    """The platform hears at once of a fault and of its end."""

    async def script(server: StandIn) -> None:
        await ask(path, "fault", 2, "F-0203")
        await until(lambda: server.of("heartbeat")[-1]["status"] == "fault")
        assert server.of("heartbeat")[-1]["fault_code"] == "F-0203"
        await ask(path, "clear-fault", 2)
        await until(lambda: server.of("heartbeat")[-1]["status"] == "online")
        assert server.of("heartbeat")[-1]["fault_code"] == 0

    assert run_fleet_with(path, script).is_clean


def test_trigger_command__no_fleet__says_so_and_exits_three(path: Path) -> None:
    """Without a fleet the command ends with what is missing."""
    result = subprocess.run(
        [*PROGRAM, "--control", str(path), "list"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert result.returncode == 3
    assert "No fleet listens" in result.stderr


def test_trigger_command__running_fleet__shows_what_became_of_it(path: Path) -> None:
    """The command prints the charger as it stands, or the fleet's reason with exit code 8."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, "--control", str(path), *arguments],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip

    async def script(server: StandIn) -> None:
        done = await asyncio.to_thread(run, "plug-in", SN, "2", "--json")
        assert json.loads(done.stdout)["connectors"][1]["stage"] == "plugged"
        table = await asyncio.to_thread(run, "list")
        assert SN in table.stdout
        refused = await asyncio.to_thread(run, "plug-in", SN, "2")
        assert (refused.returncode, "already" in refused.stderr) == (8, True)

    run_fleet_with(path, script)
