"""``tellus devices``: expecting, listing, moving and deleting chargers."""

from pathlib import Path
from typing import Any

import click

from tellus.cli.arguments import given, resource_path
from tellus.cli.client import ApiClient, data_dir_option
from tellus.cli.output import hint, json_option, show_item, show_list

_PATH = "/v1/admin/devices"
_PROVISIONINGS = "/v1/admin/provisionings"
_LONGEST_WINDOW_S = 10 * 366 * 86_400
_LIFECYCLE = {
    "activation-date": "activation_date",
    "warranty-expires-at": "warranty_expires_at",
    "batch": "manufacturing_batch",
    "decommissioned-at": "decommissioned_at",
}
_TOKEN_HINT = (
    "The token is shown this once. The charger registers with it as a bearer, or with"  # noqa: S105
    " /e/<token> before the path of its base URL."
)


@click.group()
def devices() -> None:
    """Provision, list, move and delete chargers."""


@devices.command("provision")
@click.option("--sn", required=True, help="Serial number of the charger.")
@click.option("--model", help="Model of the charger, such as TP-DC180.")
@click.option("--site", "site_id", required=True, help="The site it will stand at.")
@click.option("--connectors", type=click.IntRange(1), help="How many connectors it has.")
@click.option("--rated-power", "rated_power_kw", type=float, metavar="KW", help="Rating (kW).")
@click.option("--v2g/--no-v2g", default=None, help="Whether it can discharge.")
@click.option(
    "--claim-window",
    "claim_window_s",
    type=click.IntRange(1, _LONGEST_WINDOW_S),
    metavar="SECONDS",
    help="For how long it may register; a year by default.",
)
@data_dir_option
@json_option
def provision_device(data_dir: Path | None, *, as_json: bool, **facts: Any) -> None:
    """Let a site expect a serial number; prints the enrolment token."""
    with ApiClient.find(data_dir) as api:
        show_item(api.post(f"{_PATH}/provision", given(**facts)), as_json=as_json)
    hint(_TOKEN_HINT)


@devices.command("list")
@click.option("--operator", "operator_id", help="Only those of this operator.")
@click.option("--site", "site_id", help="Only those of this site.")
@click.option("--status", type=click.Choice(["online", "offline"]), help="Only those.")
@click.option("--model", help="Only those of this model.")
@click.option("--firmware", "firmware_version", help="Only those with this version.")
@click.option("--sn", help="Only the one with this serial number.")
@data_dir_option
@json_option
def list_devices(data_dir: Path | None, *, as_json: bool, **filters: Any) -> None:
    """List devices in order of registration."""
    columns = (
        "device_id",
        "sn",
        "model",
        "firmware_version",
        "site_id",
        "status",
        "health",
        "states",
    )
    with ApiClient.find(data_dir) as api:
        found = list(api.items(_PATH, **filters))
    if not as_json:
        found = [device | {"states": _states(device)} for device in found]
    show_list(found, columns, as_json=as_json)


@devices.command("show")
@click.argument("device")
@data_dir_option
@json_option
def show_device(device: str, data_dir: Path | None, *, as_json: bool) -> None:
    """Show a device with its connectors."""
    with ApiClient.find(data_dir) as api:
        show_item(api.get(resource_path(_PATH, device)), as_json=as_json)


@devices.command("move")
@click.argument("device")
@click.option("--site", "site_id", required=True, help="The site it stands at from now on.")
@data_dir_option
@json_option
def move_device(device: str, site_id: str, data_dir: Path | None, *, as_json: bool) -> None:
    """Move a device to a site, also of another operator; its credentials stay good."""
    with ApiClient.find(data_dir) as api:
        path = resource_path(_PATH, device)
        show_item(api.patch(path, {"site_id": site_id}), as_json=as_json)


@devices.command("update")
@click.argument("device")
@click.option("--rated-power", "rated_power_kw", type=float, metavar="KW", help="Rating (kW).")
@click.option("--v2g/--no-v2g", default=None, help="Whether it can discharge.")
@click.option(
    "--clear",
    multiple=True,
    type=click.Choice(["rated-power", "v2g"]),
    help="Let the model's figure count again; may be repeated.",
)
@data_dir_option
@json_option
def update_device(
    device: str, data_dir: Path | None, clear: tuple[str, ...], *, as_json: bool, **facts: Any
) -> None:
    """Set what a device's model is not known for."""
    cleared = {"rated-power": "rated_power_kw", "v2g": "v2g"}
    body = dict.fromkeys(cleared[name] for name in clear) | given(**facts)
    if not body:
        raise click.UsageError("Nothing to change was given")
    with ApiClient.find(data_dir) as api:
        show_item(api.patch(resource_path(_PATH, device), body), as_json=as_json)


@devices.command("lifecycle")
@click.argument("device")
@click.option(
    "--activation-date", metavar="DATE", help="Since when it is in use, such as 2026-03-01."
)
@click.option("--warranty-expires-at", metavar="TIME", help="When its warranty ends.")
@click.option("--batch", "manufacturing_batch", help="The batch it was made in.")
@click.option("--decommissioned-at", metavar="TIME", help="When it went out of use for good.")
@click.option(
    "--clear",
    multiple=True,
    type=click.Choice(sorted(_LIFECYCLE)),
    help="Take a value away; may be repeated.",
)
@data_dir_option
@json_option
def show_lifecycle(
    device: str, data_dir: Path | None, clear: tuple[str, ...], *, as_json: bool, **facts: Any
) -> None:
    """Show a device's life, or set what is given of it."""
    body = dict.fromkeys(_LIFECYCLE[name] for name in clear) | given(**facts)
    path = resource_path(_PATH, device, "lifecycle")
    with ApiClient.find(data_dir) as api:
        show_item(api.patch(path, body) if body else api.get(path), as_json=as_json)


@devices.command("delete")
@click.argument("device")
@click.confirmation_option(prompt="The device's credentials end at once. Delete it?")
@data_dir_option
@json_option
def delete_device(device: str, data_dir: Path | None, *, as_json: bool) -> None:
    """End a device's credentials at once; its records stay."""
    with ApiClient.find(data_dir) as api:
        api.delete(resource_path(_PATH, device))
    show_item({"device_id": device, "deleted": True}, as_json=as_json)


@devices.command("reclaim")
@click.argument("device")
@click.option(
    "--window",
    "window_s",
    type=click.IntRange(1, _LONGEST_WINDOW_S),
    metavar="SECONDS",
    help="For how long it may register again; a day by default.",
)
@data_dir_option
@json_option
def reclaim_device(
    device: str, window_s: int | None, data_dir: Path | None, *, as_json: bool
) -> None:
    """Let an active charger that lost its secret register again; prints the token for it."""
    with ApiClient.find(data_dir) as api:
        path = resource_path(_PATH, device, "reclaim")
        show_item(api.post(path, given(window_s=window_s)), as_json=as_json)
    hint(_TOKEN_HINT)


@devices.command("provisionings")
@click.option("--operator", "operator_id", help="Only those of this operator.")
@click.option("--site", "site_id", help="Only those of this site.")
@data_dir_option
@json_option
def list_provisionings(data_dir: Path | None, *, as_json: bool, **filters: Any) -> None:
    """List the serial numbers that sites expect, and the devices they became."""
    columns = ("sn", "site_id", "model", "claim_until", "device_id")
    with ApiClient.find(data_dir) as api:
        show_list(api.items(_PROVISIONINGS, **filters), columns, as_json=as_json)


@devices.command("withdraw")
@click.argument("sn")
@data_dir_option
@json_option
def withdraw_provisioning(sn: str, data_dir: Path | None, *, as_json: bool) -> None:
    """Expect a serial number no longer; a device that it became stays."""
    with ApiClient.find(data_dir) as api:
        api.delete(resource_path(_PROVISIONINGS, sn))
    show_item({"sn": sn, "withdrawn": True}, as_json=as_json)


def _states(device: dict[str, Any]) -> list[str]:
    """Return a word per connector, with its power (kW) where some flows."""
    return [
        connector["status"]
        + (f" {connector['power']:.1f} kW" if abs(connector.get("power", 0.0)) >= 0.05 else "")  # noqa: PLR2004 - what is shown as 0.0
        for connector in device["connectors"]
    ]
