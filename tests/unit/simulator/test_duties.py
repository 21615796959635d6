from __future__ import annotations

from typing import Any

import pytest

from tellus.simulator.device import ChargerTwin
from tellus.simulator.messages import Kind
from tellus.simulator.stages import Stage
from tests.unit.simulator.builders import bodies, build_twin, command

DIGEST = "0f" * 32
BUILD = {
    "firmware_version": "9.9.9",
    "url": "https://releases.example/9.9.9.bin",
    "sha256": DIGEST,
    "size": 20_000_000,
}


def tell(twin: ChargerTwin, name: str, command_id: str = "cmd_d", **params: Any) -> None:
    """Give the charger a command now."""
    twin.execute(command(name, command_id, **params), 1, twin.time_ms)


def reports(twin: ChargerTwin, command_id: str = "cmd_d") -> list[dict[str, Any]]:
    """Return the status reports of a command."""
    found = bodies(twin.outbox, Kind.COMMAND_STATUS)
    return [one for one in found if one["command_id"] == command_id]


def statuses(twin: ChargerTwin, command_id: str = "cmd_d") -> list[str]:
    """Return the statuses reported for a command, in order."""
    return [one["status"] for one in reports(twin, command_id)]


def wait(twin: ChargerTwin, wait_s: float) -> None:
    """Let time pass."""
    twin.advance(twin.time_ms + round(1000 * wait_s))


def charging(model: str = "TP-DC180") -> ChargerTwin:
    """Return a charger with a running remote session on connector 1."""
    twin = build_twin(model, "quiet")
    tell(twin, "start_charging", "cmd_s", connector_id=1)
    wait(twin, 120)
    assert twin.connectors[0].stage is Stage.CHARGING
    return twin


def test_reboot__in_a_session__ends_it_and_is_silent_for_ninety_seconds() -> None:
    """The session ends with its record, nothing is said for 90 s, then everything is shown."""
    twin = charging()
    before = twin.registers
    tell(twin, "reboot")
    wait(twin, 1)
    assert not twin.power_state.is_dark
    wait(twin, 3)
    assert twin.power_state.is_dark
    assert statuses(twin, "cmd_s") == ["accepted", "completed"]
    twin.take()
    wait(twin, 86)
    assert twin.outbox == []
    wait(twin, 3)
    assert not twin.power_state.is_dark
    assert statuses(twin) == ["completed"]
    assert twin.power_state.needs_heartbeat
    assert {one["connector_id"] for one in bodies(twin.outbox, Kind.TELEMETRY)} == {1, 2}
    assert twin.registers[1].import_kwh >= before[1].import_kwh
    assert twin.connectors[0].power.is_occupied


def test_soft_reset__is_back_sooner__and_a_start_under_way_fails() -> None:
    """A soft reset takes 20 s; an order that has led to nothing is failed by it."""
    twin = build_twin("TP-DC180", "quiet")
    tell(twin, "start_charging", "cmd_s", connector_id=1)
    tell(twin, "soft_reset")
    wait(twin, 30)
    assert statuses(twin) == ["accepted", "completed"]
    assert statuses(twin, "cmd_s") == ["accepted", "failed"]


def test_force_reconnect__in_a_session__goes_on_charging() -> None:
    """Only the link goes down."""
    twin = charging()
    tell(twin, "force_reconnect")
    wait(twin, 4)
    assert twin.power_state.is_dark
    assert twin.connectors[0].power.flow.power_kw > 0
    wait(twin, 5)
    assert not twin.power_state.is_dark
    assert statuses(twin) == ["accepted", "completed"]
    assert twin.connectors[0].session is not None


def test_firmware__good_build__is_downloaded_installed_and_reported() -> None:
    """Downloading, upgrading, a reboot, success under the new version."""
    twin = build_twin("TP-DC180", "quiet")
    tell(twin, "firmware_upgrade", **BUILD)
    wait(twin, 300)
    shown = bodies(twin.outbox, Kind.FIRMWARE_STATUS)
    assert [(one["status"], one.get("progress")) for one in shown] == [
        ("downloading", 25), ("downloading", 50), ("downloading", 75), ("downloading", 100),
        ("upgrading", 0), ("success", 100),
    ]  # fmt: skip
    assert {one["firmware_version"] for one in shown} == {"9.9.9"}
    assert statuses(twin) == ["accepted", "completed"]
    assert twin.firmware_version == "9.9.9"
    tell(twin, "firmware_upgrade", "cmd_2", **BUILD)
    assert statuses(twin, "cmd_2") == ["accepted", "completed"]


def test_firmware__bad_build__fails_and_the_old_version_runs() -> None:
    """A build that does not install is reported as failed, and the charger works on."""
    twin = build_twin("TP-DC180", "quiet")
    twin.failing_firmware.add("9.9.9")
    old = twin.firmware_version
    tell(twin, "firmware_upgrade", **BUILD)
    wait(twin, 300)
    assert bodies(twin.outbox, Kind.FIRMWARE_STATUS)[-1]["status"] == "failed"
    assert statuses(twin) == ["accepted", "failed"]
    assert twin.firmware_version == old
    assert not twin.connectors[0].is_out_of_service


def test_firmware__build_that_is_bad_for_some__fails_on_the_same_share_every_time() -> None:
    """About a quarter of the chargers of that scenario cannot install it, the same in every run."""
    failing = [
        [
            bool(build_twin("TP-DC60", "bad_build", sn=f"SN-{k}").failing_firmware)
            for k in range(200)
        ]
        for _ in range(2)
    ]
    assert failing[0] == failing[1]
    assert 30 <= sum(failing[0]) <= 70


def test_firmware__while_charging__waits_for_the_end_of_the_session() -> None:
    """The download may run beside a session; the installation waits."""
    twin = charging()
    tell(twin, "firmware_upgrade", **BUILD)
    wait(twin, 300)
    assert statuses(twin) == ["accepted"]
    tell(twin, "firmware_upgrade", "cmd_2", **{**BUILD, "firmware_version": "9.9.8"})
    assert statuses(twin, "cmd_2") == ["rejected"]
    tell(twin, "stop_charging", "cmd_3", connector_id=1)
    wait(twin, 200)
    assert statuses(twin) == ["accepted", "completed"]


def test_self_test__two_minutes__is_out_of_service_and_reports() -> None:
    """The connectors are unavailable for 2 min; nobody is let in; a structured report follows."""
    twin = build_twin("TP-DC180", "quiet")
    tell(twin, "run_self_test")
    tell(twin, "start_charging", "cmd_s", connector_id=1)
    assert statuses(twin, "cmd_s") == ["rejected"]
    wait(twin, 119)
    assert bodies(twin.outbox, Kind.TELEMETRY)[-1]["state"] == "unavailable"
    wait(twin, 3)
    assert bodies(twin.outbox, Kind.TELEMETRY)[-1]["state"] == "idle"
    assert statuses(twin) == ["accepted", "completed"]
    details = reports(twin)[-1]["details"]
    assert details["passed"] is True
    assert [one["connector_id"] for one in details["connectors"]] == [1, 2]


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("run_self_test", {}),
        ("unlock_connector", {"connector_id": 1}),
        ("reset_connector", {"connector_id": 1}),
        ("reset_power_module", {"module_index": 0}),
        ("calibrate_sensor", {"sensor": "current", "connector_id": 1}),
    ],
)
def test_duty__in_a_session__is_rejected(name: str, params: dict[str, Any]) -> None:
    """What would disturb a session is refused while one runs."""
    twin = charging()
    tell(twin, name, **params)
    assert statuses(twin) == ["rejected"]
    assert twin.connectors[0].session is not None


@pytest.mark.parametrize(
    ("name", "params", "details"),
    [
        ("unlock_connector", {}, {"vehicle_connected": False}),
        ("reset_connector", {}, None),
        ("reset_power_module", {"module_index": 5}, {"module_index": 5, "status": "ok"}),
        ("calibrate_sensor", {"sensor": "voltage"}, {"sensor": "voltage", "offset": 0.0}),
        ("trigger_message", {"message": "MeterValues"}, {"message": "MeterValues"}),
        ("trigger_message", {"message": "Heartbeat"}, {"message": "Heartbeat"}),
        ("clear_cache", {}, {"entries": 0}),
        ("clear_cache", {"connector_id": 0}, {"entries": 0}),
        (
            "apply_config_profile",
            {"config_profile_id": "p1", "running_config_hash": "h", "values": {"a": 1}},
            {"config_profile_id": "p1", "running_config_hash": "h", "values": 1},
        ),
    ],
)
def test_duty__on_an_idle_charger__is_accepted_and_completed(
    name: str, params: dict[str, Any], details: dict[str, Any] | None
) -> None:
    """Each duty is carried out and says what it found."""
    twin = build_twin("TP-DC180", "quiet")
    tell(twin, name, **params)
    wait(twin, 20)
    assert statuses(twin) == ["accepted", "completed"]
    assert reports(twin)[-1].get("details") == details


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("calibrate_sensor", {"sensor": "smell"}),
        ("reset_power_module", {"module_index": 6}),
        ("reset_power_module", {"module_index": True}),
        ("trigger_message", {"message": "Song"}),
        ("apply_config_profile", {}),
        ("firmware_upgrade", {**BUILD, "sha256": "short"}),
        ("firmware_upgrade", {**BUILD, "size": 0}),
        ("firmware_upgrade", {**BUILD, "url": "ftp://x"}),
        ("firmware_upgrade", {}),
        ("self_destruct", {}),
    ],
)
def test_duty__that_is_not_understood__is_rejected(name: str, params: dict[str, Any]) -> None:
    """Unknown duties and wrong parameters are refused."""
    twin = build_twin("TP-DC180", "quiet")
    tell(twin, name, **params)
    assert statuses(twin) == ["rejected"]


def test_counters__after_sessions__are_reset_to_zero_on_command_only() -> None:
    """The reset tells what was counted and begins anew; logs show the commands."""
    twin = charging()
    cycles, hours = twin.connectors[0].contactor.cycles, twin.cabinet.fan.hours(twin.time_ms)
    tell(twin, "reset_contactor_counter", connector_id=1)
    assert reports(twin)[-1]["details"] == {"previous_cycles": cycles}
    assert twin.connectors[0].contactor.cycles == 0
    tell(twin, "reset_fan_counter", "cmd_fan")
    assert reports(twin, "cmd_fan")[-1]["details"]["previous_hours"] == pytest.approx(
        hours, abs=0.1
    )
    assert twin.cabinet.fan.hours(twin.time_ms) == 0.0
    tell(twin, "fetch_logs", "cmd_f")
    wait(twin, 2)
    assert reports(twin, "cmd_f")[-1]["details"]["commands"] == [
        "cmd_s",
        "cmd_d",
        "cmd_fan",
        "cmd_f",
    ]
