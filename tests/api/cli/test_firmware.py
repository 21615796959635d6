"""Releases and rollouts on the command line, against a served platform."""

import secrets
from typing import Any

import pytest

from tests.api.cli.console import Console, Served
from tests.api.cli.test_administration import register

DIGEST = "1b" * 32


@pytest.fixture
def model(console: Console) -> str:
    """A model of the test's own with the release 3.2.0."""
    name = f"M-{secrets.token_hex(6)}"
    add(console, name, "3.2.0")
    return name


def add(console: Console, model: str, version: str) -> dict[str, Any]:
    """Add a release."""
    words = ("firmware", "release", "add", "--model", model, "--version", version)
    file = ("--url", "https://firmware.example/x.bin", "--sha256", DIGEST, "--size", "9")
    added: dict[str, Any] = console.json(*words, *file)
    return added


def test_releases__added_and_withdrawn__are_listed(console: Console, model: str) -> None:
    """The catalogue is kept from the command line; a second release of a version is a conflict."""
    listed = console.json("firmware", "release", "list", "--model", model)
    [held] = listed["items"]
    assert (held["firmware_version"], held["sha256"]) == ("3.2.0", DIGEST)
    words = ("firmware", "release", "add", "--model", model, "--version", "3.2.0")
    file = ("--url", "https://firmware.example/x.bin", "--sha256", DIGEST, "--size", "9")
    assert console.run(*words, *file).code == 6
    withdraw = ("firmware", "release", "withdraw", held["release_id"], "--reason", "Bad")
    assert console.json(*withdraw)["withdrawn_reason"] == "Bad"
    assert "3.2.0" in console.run("firmware", "release", "list", "--model", model).out


def test_rollouts__as_the_client__are_started_followed_and_ended(
    served: Served,
    console: Console,
    operator_id: str,
    site_id: str,
    model: str,
) -> None:
    """A rollout is planned, shown with its devices, paused, resumed and cancelled."""
    words = ("clients", "create", "--operator", operator_id, "--scope", "read", "--scope", "write")
    client = console.json(*words)
    console.variables |= {
        "TELLUS_CLIENT_ID": client["client_id"],
        "TELLUS_CLIENT_SECRET": client["client_secret"],
    }
    sn = f"CLI-{secrets.token_hex(4)}"
    provision = ("devices", "provision", "--sn", sn, "--model", model, "--site", site_id)
    device = register(served, sn, console.json(*provision)["enrolment_token"], model)
    wave = '{"percent": 100, "success_percent": 90, "max_failure_percent": 10}'
    plan = ("firmware", "rollout", "start", "--version", "3.2.0", "--model", model)
    made = console.json(*plan, "--wave", wave, "--name", "Spring", "--max-in-flight", "3")
    rollout_id = made["rollout_id"]
    assert (made["status"], made["counts"]["devices"]) == ("running", 1)
    assert made["waves"][0]["max_failure_percent"] == 10
    listed = console.json("firmware", "rollout", "list", "--status", "running")
    assert [item["rollout_id"] for item in listed["items"]] == [rollout_id]
    devices = console.json("firmware", "rollout", "devices", rollout_id, "--wave", "1")
    assert [item["device_id"] for item in devices["items"]] == [device["device_id"]]
    for action, status in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        assert console.json("firmware", "rollout", action, rollout_id)["status"] == status
    assert console.json("firmware", "rollout", "show", rollout_id)["name"] == "Spring"
    assert console.run("firmware", "rollout", "pause", rollout_id).code == 6
    assert console.run(*plan, "--wave", "all").code == 2
    assert "Spring" in console.run("firmware", "rollout", "list").out


def test_rollouts__without_a_client__say_what_is_missing(console: Console) -> None:
    """Rollouts are an operator's; the service account alone does not help."""
    ended = console.run("firmware", "rollout", "list")
    assert ended.code == 2
    assert "TELLUS_CLIENT_ID" in ended.err
