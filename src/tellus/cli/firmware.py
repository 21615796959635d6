"""``tellus firmware``: the release catalogue, and rollouts of releases.

Releases are kept as the service account; rollouts belong to an operator, and are planned and
steered as its client.
"""

import asyncio
import json
from pathlib import Path
from typing import Any, Final, Self

import click

from tellus.cli.api import log_in_client
from tellus.cli.arguments import given, resource_path
from tellus.cli.client import AdminAccess, ApiClient, CommandFailed, ExitCode, data_dir_option
from tellus.cli.output import json_option, show_item, show_list

_RELEASES: Final = "/v1/admin/firmware/releases"
_ROLLOUTS: Final = "/v1/operator/firmware/rollouts"
_CHANNELS: Final = click.Choice(["stable", "beta", "development"])
_STATES: Final = click.Choice(
    ["running", "paused", "halted", "rolling_back", "completed", "rolled_back", "cancelled"]
)


class _Client(ApiClient):
    """Calls as an operator's client, that of ``TELLUS_CLIENT_ID``."""

    def __init__(self, base_url: str, token: str) -> None:
        super().__init__(AdminAccess(base_url, "", ""))
        self._token = token

    @classmethod
    def find(cls, data_dir: Path | None) -> Self:
        """Return a client for the platform that ``data_dir`` or the environment names."""
        return cls(*asyncio.run(log_in_client(data_dir)))


@click.group()
def firmware() -> None:
    """Keep the release catalogue; plan and steer rollouts."""


@firmware.group()
def release() -> None:
    """Add, list and withdraw releases, as the service account."""


@release.command("add")
@click.option("--model", "models", multiple=True, required=True, help="For it; may be repeated.")
@click.option("--version", "firmware_version", required=True, help="Such as 3.2.0.")
@click.option("--build", "platform_build", help="The same software's dated version.")
@click.option("--url", required=True, help="Where chargers get the file.")
@click.option("--sha256", required=True, help="Digest of the file, 64 hexadecimal digits.")
@click.option("--size", required=True, type=click.IntRange(1), metavar="BYTES", help="Its size.")
@click.option("--channel", type=_CHANNELS, help="For whom it is meant; stable by default.")
@click.option("--notes", help="What is in it.")
@data_dir_option
@json_option
def add_release(
    data_dir: Path | None, models: tuple[str, ...], *, as_json: bool, **facts: Any
) -> None:
    """Add a release to the catalogue."""
    body = given(models=list(models), **facts)
    with ApiClient.find(data_dir) as api:
        show_item(api.post(_RELEASES, body), as_json=as_json)


@release.command("list")
@click.option("--model", help="Only those for this model.")
@click.option("--channel", type=_CHANNELS, help="Only those.")
@data_dir_option
@json_option
def list_releases(data_dir: Path | None, *, as_json: bool, **filters: Any) -> None:
    """List releases, newest version first."""
    columns = (
        "release_id",
        "firmware_version",
        "platform_build",
        "models",
        "channel",
        "withdrawn_at",
    )
    with ApiClient.find(data_dir) as api:
        show_list(api.items(_RELEASES, **filters), columns, as_json=as_json)


@release.command("withdraw")
@click.argument("release_id", metavar="RELEASE")
@click.option("--reason", "withdrawn_reason", help="What is wrong with it.")
@data_dir_option
@json_option
def withdraw_release(
    release_id: str, data_dir: Path | None, *, as_json: bool, **facts: Any
) -> None:
    """Let a release be sent to nobody any more; rollouts of it halt."""
    body = {"withdrawn": True} | given(**facts)
    with ApiClient.find(data_dir) as api:
        show_item(api.patch(resource_path(_RELEASES, release_id), body), as_json=as_json)


@firmware.group()
def rollout() -> None:
    """Start, follow and steer rollouts, as the operator's client."""


@rollout.command("start")
@click.option("--version", "firmware_version", required=True, help="Such as 3.2.0.")
@click.option("--name", help="What to call it.")
@click.option("--model", "models", multiple=True, help="Only devices of it; may be repeated.")
@click.option("--site", "site_ids", multiple=True, help="Only devices there; may be repeated.")
@click.option("--current", "current_versions", multiple=True, help="Only those that run it.")
@click.option("--device", "device_ids", multiple=True, help="Only this one; may be repeated.")
@click.option(
    "--wave",
    "waves",
    multiple=True,
    metavar="JSON",
    help='Such as {"percent": 5, "success_percent": 95, "max_failure_percent": 5}.',
)
@click.option("--max-in-flight", type=click.IntRange(1), help="Most upgrades at a time.")
@click.option("--rollback-version", help="Where a roll-back goes; else what each ran before.")
@data_dir_option
@json_option
def start_rollout(
    data_dir: Path | None, models: tuple[str, ...], site_ids: tuple[str, ...],
    current_versions: tuple[str, ...], device_ids: tuple[str, ...], waves: tuple[str, ...], *,
    as_json: bool, **plan: Any,
) -> None:  # fmt: skip
    """Roll a release out to the devices that fit; without waves in one, halted by any failure."""
    cohort = {
        "models": models,
        "site_ids": site_ids,
        "current_versions": current_versions,
        "device_ids": device_ids,
    }
    body = given(**plan) | {
        "cohort": {name: list(value) for name, value in cohort.items() if value},
        "waves": [_read_wave(text) for text in waves] or [_read_wave("{}")],
    }
    with _Client.find(data_dir) as api:
        show_item(api.post(_ROLLOUTS, body), as_json=as_json)


@rollout.command("list")
@click.option("--status", type=_STATES, help="Only those.")
@data_dir_option
@json_option
def list_rollouts(data_dir: Path | None, *, as_json: bool, **filters: Any) -> None:
    """List rollouts, newest first."""
    columns = (
        "rollout_id",
        "name",
        "firmware_version",
        "status",
        "wave",
        "counts.devices",
        "counts.upgraded",
        "counts.in_flight",
        "counts.failed",
    )
    with _Client.find(data_dir) as api:
        show_list(api.items(_ROLLOUTS, **filters), columns, as_json=as_json)


@rollout.command("show")
@click.argument("rollout_id", metavar="ROLLOUT")
@data_dir_option
@json_option
def show_rollout(rollout_id: str, data_dir: Path | None, *, as_json: bool) -> None:
    """Show a rollout with its waves, and why it halted."""
    with _Client.find(data_dir) as api:
        show_item(api.get(resource_path(_ROLLOUTS, rollout_id)), as_json=as_json)


@rollout.command("devices")
@click.argument("rollout_id", metavar="ROLLOUT")
@click.option("--wave", type=click.IntRange(1), help="Only those of this wave.")
@click.option("--status", help="Only those, such as failed.")
@data_dir_option
@json_option
def list_rollout_devices(
    rollout_id: str, data_dir: Path | None, *, as_json: bool, **filters: Any
) -> None:
    """List the devices of a rollout, where they stand and why."""
    columns = ("device_id", "model", "wave", "previous_version", "status", "reason", "message")
    with _Client.find(data_dir) as api:
        path = resource_path(_ROLLOUTS, rollout_id, "devices")
        show_list(api.items(path, **filters), columns, as_json=as_json)


def _read_wave(text: str) -> dict[str, Any]:
    try:
        wave = json.loads(text)
    except ValueError:
        wave = None
    if not isinstance(wave, dict):
        message = f"--wave {text!r} is no JSON object"
        raise CommandFailed(message, ExitCode.USAGE)
    return {"success_percent": 100, "max_failure_percent": 0} | wave


def _add_action(action: str, words: str) -> None:
    @rollout.command(action, help=words)
    @click.argument("rollout_id", metavar="ROLLOUT")
    @data_dir_option
    @json_option
    def act(rollout_id: str, data_dir: Path | None, *, as_json: bool) -> None:
        with _Client.find(data_dir) as api:
            path = resource_path(_ROLLOUTS, rollout_id, action)
            show_item(api.post(path), as_json=as_json)


for _action, _words in (
    ("pause", "Send nothing more until it is resumed."),
    ("resume", "Go on after a pause or a halt; failures so far count no more."),
    ("rollback", "Send those that were upgraded what they ran before."),
    ("cancel", "End it where it stands."),
):
    _add_action(_action, _words)
