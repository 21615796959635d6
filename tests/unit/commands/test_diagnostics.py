"""Diagnostic commands: their parameters, and what those of medium risk ask for."""

from collections.abc import Awaitable, Callable
from typing import Any, get_args

import pytest

from tellus.commands.desk import SessionInTheWay
from tellus.commands.diagnostics_api import DiagnosticName
from tellus.commands.expiry import read_lives_ms
from tellus.commands.model import KINDS, Delivery, Risk
from tellus.config import CommandSettings
from tellus.kernel.errors import InvalidParameter, MissingParameter, NotFound, PermissionDenied
from tests.unit.commands.conftest import CommandBench

Run = Callable[[Callable[[CommandBench], Awaitable[None]]], None]

BOTH = "write diagnostics"
MEDIUM = sorted(name for name, kind in KINDS.items() if kind.risk is Risk.MEDIUM)
LOW = sorted(name for name, kind in KINDS.items() if kind.risk is Risk.LOW)
BODIES: dict[str, dict[str, Any]] = {
    "calibrate_sensor": {"params": {"sensor": "current"}},
    "reset_power_module": {"params": {"module_index": 3}},
    "trigger_message": {"params": {"message": "StatusNotification"}},
    "unlock_connector": {"connector_id": 2},
    "reset_connector": {"connector_id": 2},
}


def test_kinds__of_the_table__agree_with_api_and_settings() -> None:
    """No command is forgotten: the API knows each diagnostic one, the settings each life."""
    assert set(get_args(DiagnosticName)) == {name for name, kind in KINDS.items() if kind.risk}
    lives_ms = read_lives_ms(CommandSettings().model_dump())
    assert lives_ms == {name: kind.expires_after_ms for name, kind in KINDS.items()}
    assert all(kind.delivery is Delivery.EDGE for kind in KINDS.values() if kind.risk)
    assert all(kind.supersedes <= set(KINDS) for kind in KINDS.values())


@pytest.mark.parametrize("command", LOW)
def test_low_risk__with_write__goes_out_with_its_parameters(run_bench: Run, command: str) -> None:
    """It needs no more than a start does, and goes out even in a session."""

    async def check(bench: CommandBench) -> None:
        bench.set_state("charging")
        body = BODIES.get(command, {})
        issued = await bench.diagnose(command, **body)
        (item,) = await bench.heartbeat()
        assert (item["command_id"], item["command"]) == (issued.command_id, command)
        expected = {"connector_id": body.get("connector_id", 0)} | body.get("params", {})
        assert item["params"] == expected
        (entry,) = await bench.rows("SELECT actor, action, resource_id FROM audit_log")
        assert tuple(entry) == ("cl_1", "device.command_issued", "dvc_1")

    run_bench(check)


@pytest.mark.parametrize("command", MEDIUM)
def test_medium_risk__asks_for_scope_confirmation_and_rest(run_bench: Run, command: str) -> None:
    """Each of the conditions is held to, and the one that passes is audited, once."""

    async def check(bench: CommandBench) -> None:
        body = BODIES.get(command, {})
        with pytest.raises(PermissionDenied) as denied:
            await bench.diagnose(command, confirm=True, **body)
        assert denied.value.details == {"scope": "diagnostics"}
        with pytest.raises(MissingParameter):
            await bench.diagnose(command, scopes=BOTH, **body)
        with pytest.raises(InvalidParameter):
            await bench.diagnose(command, scopes=BOTH, confirm=False, **body)
        bench.set_state("discharging", connector_id=1)
        with pytest.raises(SessionInTheWay):
            await bench.diagnose(command, scopes=BOTH, confirm=True, **body)
        assert await bench.rows("SELECT * FROM audit_log") == []
        bench.set_state("idle", connector_id=1)
        for _ in range(2):
            issued = await bench.diagnose(command, scopes=BOTH, confirm=True, key="k", **body)
        rows = await bench.rows("SELECT actor, action, resource_id, details FROM audit_log")
        assert [row[:3] for row in rows] == [("cl_1", "device.command_issued", "dvc_1")]
        assert issued.command_id in rows[0][3]
        assert len(await bench.heartbeat()) == 1

    run_bench(check)


def test_medium_risk__accepted_start__is_in_the_way(run_bench: Run) -> None:
    """A session that is about to begin on any connector counts as one."""

    async def check(bench: CommandBench) -> None:
        started = await bench.start(2)
        await bench.say(started.command_id, "accepted")
        with pytest.raises(SessionInTheWay):
            await bench.diagnose("run_self_test", scopes=BOTH, confirm=True)
        await bench.stop(2)
        await bench.diagnose("run_self_test", scopes=BOTH, confirm=True)

    run_bench(check)


@pytest.mark.parametrize(
    ("command", "body", "field"),
    [
        ("calibrate_sensor", {"params": {}}, "params.sensor"),
        ("calibrate_sensor", {"params": {"sensor": "humidity"}}, "params.sensor"),
        ("reset_power_module", {"params": {"module_index": -1}}, "params.module_index"),
        ("reset_power_module", {"params": {"module_index": True}}, "params.module_index"),
        ("trigger_message", {}, "params.message"),
        ("trigger_message", {"params": {"message": "no words"}}, "params.message"),
        ("unlock_connector", {}, "connector_id"),
        ("reset_connector", {}, "connector_id"),
        ("reboot", {"connector_id": 0}, "connector_id"),
        ("start_charging", {}, "command"),
        ("apply_config_profile", {}, "command"),
    ],
)
def test_parameters__not_those_of_the_command__are_named(
    run_bench: Run, command: str, body: dict[str, Any], field: str
) -> None:
    """What is absent or wrong is named as the caller wrote it."""

    async def check(bench: CommandBench) -> None:
        with pytest.raises((InvalidParameter, MissingParameter)) as caught:
            await bench.diagnose(command, scopes=BOTH, confirm=True, **body)
        assert caught.value.details["field"] == field
        assert await bench.rows("SELECT * FROM commands") == []

    run_bench(check)


def test_device__foreign_or_without_that_connector__is_absent(run_bench: Run) -> None:
    """Nobody learns of other operators' devices by looking after them."""

    async def check(bench: CommandBench) -> None:
        bench.add_device(2, "op_2")
        for device_id, body in (("dvc_2", {}), ("dvc_9", {}), ("dvc_1", {"connector_id": 3})):
            with pytest.raises(NotFound):
                await bench.diagnose("reboot", device_id, **body)

    run_bench(check)
