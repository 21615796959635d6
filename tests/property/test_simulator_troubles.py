"""A simulated charger to which anything may happen at any moment."""

import contextlib
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tellus.simulator.control import ControlRefused, ControlRequest
from tellus.simulator.device import ChargerTwin
from tellus.simulator.injection import INJECTIONS, cure, inject
from tellus.simulator.messages import Kind, PendingCommand, utc_text
from tellus.simulator.triggers import TRIGGERS, obey_trigger
from tests.invariants import check_all
from tests.unit.simulator.builders import HOUR_MS, bodies, build_twin, facts_of

MODEL = "TP-DC180-V2G"
VALUES = {"plug-in": "60", "offline": "40", "slow": "15", "fail-firmware": "9.9.9"}

triggers = st.tuples(st.sampled_from(sorted(TRIGGERS)), st.sampled_from([1, 1, 2]))
# A contact that is too hot, and a plug torn out under load, break what sound chargers keep to.
CAUSES = {
    **{code: None for code in INJECTIONS if code != "F-0203"},
    "F-0805": "bms",
}
causes = st.tuples(st.sampled_from(sorted(CAUSES)), st.sampled_from([1, 1, 2]))
commands = st.tuples(
    st.sampled_from(
        [
            *("start_charging", "stop_charging", "discharge", "set_power_limit", "set_schedule"),
            *("reboot", "soft_reset", "force_reconnect", "run_self_test", "reset_connector"),
            *("firmware_upgrade", "clear_cache", "reset_contactor_counter", "reset_fan_counter"),
        ]
    ),
    st.sampled_from([1, 1, 2]),
)
waits = st.integers(0, 200)
steps = st.lists(st.tuples(st.one_of(triggers, commands, causes), waits), min_size=1, max_size=14)


def order(name: str, command_id: str, connector_id: int, twin: ChargerTwin) -> PendingCommand:
    """A command that makes sense."""
    params = {
        "discharge": {"discharge_power": 15.0, "duration": 120, "min_soc": 30},
        "start_charging": {"duration": 300},
        "set_power_limit": {
            "limits": [
                {
                    "control_id": "c",
                    "power_limit_kw": 9.0,
                    "until": utc_text(twin.time_ms + 100_000),
                }
            ]
        },
        "set_schedule": {
            "schedule_id": "s",
            "enabled": command_id[-1] in "02468",
            "type": "daily",
            "time_slots": [{"start": "10:03", "end": "10:20", "action": "charge"}],
        },
        "firmware_upgrade": {
            "firmware_version": "9.9.9",
            "url": "https://releases.example/a",
            "sha256": "0f" * 32,
            "size": 1_000_000,
        },
    }.get(name, {})
    return PendingCommand(command_id, name, {"connector_id": connector_id, **params})


def live_through(twin: ChargerTwin, script: list[tuple[tuple[str, int], int]]) -> None:
    """Let it all happen, each command delivered twice; then put things right and close down."""
    for number, ((name, connector_id), wait_s) in enumerate(script):
        if name in CAUSES:
            inject(twin, twin.connectors[connector_id - 1], name, CAUSES[name])
            twin.settle()
        elif name in TRIGGERS:
            with contextlib.suppress(ControlRefused):
                obey_trigger(twin, ControlRequest(name, "SN-1", connector_id, VALUES.get(name)))
        else:
            sent = order(name, f"cmd_{number}", connector_id, twin)
            twin.execute(sent, connector_id, twin.time_ms)
            twin.execute(sent, connector_id, twin.time_ms)
        twin.advance(twin.time_ms + 1000 * wait_s)
    for _ in range(2):
        twin.advance(twin.time_ms + HOUR_MS // 2)
        twin.power_state.restore_link()
        for connector in twin.connectors:
            for code in INJECTIONS:
                cure(twin, connector, code)
            if connector.fault_code is not None:
                obey_trigger(twin, ControlRequest("clear-fault", "SN-1", connector.connector_id))
    twin.shut_down()
    twin.advance(twin.time_ms + 60_000)


def net_kwh(twin: ChargerTwin) -> float:
    """What has flowed into vehicles, less what came back, by both meters."""
    return sum(one.import_kwh - one.export_kwh for one in twin.registers.values())


@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 999), script=steps)
def test_twin__whatever_happens_to_it__answers_every_command_and_keeps_its_books(
    seed: int, script: list[tuple[tuple[str, int], int]]
) -> None:
    """Each command that arrived has one effect at most and one end; meters and records agree."""
    twin = build_twin(MODEL, "quiet", seed)
    before_kwh = net_kwh(twin)
    obey_trigger(twin, ControlRequest("plug-in", "SN-1", 1, "60"))
    twin.advance(twin.time_ms + 60_000)
    live_through(twin, script)
    assert set(twin.desk.effects_by_id.values()) <= {1}
    said = bodies(twin.outbox, Kind.COMMAND_STATUS)
    ends = {(one["command_id"], one["status"]) for one in said if one["status"] != "accepted"}
    ended = Counter(command_id for command_id, _ in ends)
    assert set(twin.desk.known_ids) == set(ended)
    assert set(ended.values()) <= {1}, "two different ends of one command"
    records = bodies(twin.outbox, Kind.RECORD)
    moved_kwh = sum(one["energy"] for one in records)
    assert abs(net_kwh(twin) - before_kwh - moved_kwh) < 1e-3
    frames = bodies(twin.outbox, Kind.TELEMETRY)
    events = bodies(twin.outbox, Kind.EVENT)
    assert check_all({"SN-1": facts_of(MODEL)}, frames, events, records) == []
