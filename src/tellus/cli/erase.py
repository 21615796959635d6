"""``tellus erase``: what is to be forgotten on request."""

import time
from pathlib import Path
from typing import Any, Final

import click

from tellus.cli.arguments import resource_path
from tellus.cli.client import ApiClient, CommandFailed, ExitCode, data_dir_option
from tellus.cli.output import hint, json_option, show_item, show_list

_PATH: Final = "/v1/admin/erasures"
_DEVICES: Final = "/v1/admin/devices"
_LOOK_EVERY_S: Final = 0.5
_PATIENCE_S: Final = 900.0


@click.group()
def erase() -> None:
    """Forget a vehicle or a device; list receipts."""


@erase.command("vin")
@click.option("--operator", "operator_id", required=True, help="For whom it is erased.")
@click.option("--vin", prompt=True, hide_input=True, help="The VIN; asked for if it is left out.")
@data_dir_option
@json_option
def erase_vehicle(operator_id: str, vin: str, data_dir: Path | None, *, as_json: bool) -> None:
    """Drop the key of a vehicle, so that whatever names it can be read by nobody any more.

    The VIN is better typed at the prompt than given as an option: shells remember those.
    """
    body = {"operator_id": operator_id, "vin": vin}
    with ApiClient.find(data_dir) as api:
        show_item(api.post(f"{_PATH}/vehicle", body), as_json=as_json)


@erase.command("device")
@click.argument("device")
@click.confirmation_option(
    prompt="The device is deleted; its samples, events and records go for good. Erase it?"
)
@data_dir_option
@json_option
def erase_device(device: str, data_dir: Path | None, *, as_json: bool) -> None:
    """Delete a device, erase what it has left, and wait until that is gone."""
    with ApiClient.find(data_dir) as api:
        asked = api.post(resource_path(_DEVICES, device, "erasure"))
        hint(f"{asked['erasure_id']}: waiting until all that it did is in the sums, then erasing")
        done = _follow(api, asked["erasure_id"])
    show_item(done, as_json=as_json)


@erase.command("list")
@data_dir_option
@json_option
def list_erasures(data_dir: Path | None, *, as_json: bool) -> None:
    """List receipts, newest first."""
    columns = ("erasure_id", "kind", "operator_id", "device_id", "asked_by", "asked_at", "done_at")
    with ApiClient.find(data_dir) as api:
        show_list(api.items(_PATH), columns, as_json=as_json)


def _follow(api: ApiClient, erasure_id: str) -> dict[str, Any]:
    until_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until_s:
        held = api.get(resource_path(_PATH, erasure_id))
        if held["status"] == "done":
            return dict(held)
        time.sleep(_LOOK_EVERY_S)
    message = f"{erasure_id} is not done yet; it goes on there"
    raise CommandFailed(message, ExitCode.TIMEOUT)
