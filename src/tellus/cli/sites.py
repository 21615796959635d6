"""``tellus sites``: where an operator's devices stand."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tellus.cli.arguments import given, read_location, resource_path
from tellus.cli.client import ApiClient, data_dir_option
from tellus.cli.output import json_option, show_item, show_list

_PATH = "/v1/admin/sites"
_CLEARABLE = {
    "address": "address",
    "location": "location",
    "power-capacity": "power_capacity",
}


def _facts(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what may be said of a site."""
    for decorate in (
        click.option(
            "--status", type=click.Choice(["active", "inactive"]), help="Whether it is in use."
        ),
        click.option(
            "--power-capacity",
            type=float,
            metavar="KW",
            help="Power of its grid connection (kW); else the sum of its devices' ratings.",
        ),
        click.option("--address", help="Postal address."),
        click.option("--timezone", metavar="ZONE", help="IANA name, such as Europe/Paris."),
        click.option("--lng", type=float, help="Longitude in degrees, WGS 84."),
        click.option("--lat", type=float, help="Latitude in degrees, WGS 84."),
    ):
        command = decorate(command)
    return command


def _body(lat: float | None, lng: float | None, facts: dict[str, Any]) -> dict[str, Any]:
    return given(location=read_location(lat, lng), **facts)


@click.group()
def sites() -> None:
    """Create, list and change sites."""


@sites.command("create")
@click.option("--operator", "operator_id", required=True, help="The operator it belongs to.")
@click.option("--name", required=True, help="Name of the site.")
@click.option("--region", help="Region of its data; the platform's own.")
@_facts
@data_dir_option
@json_option
def create_site(
    data_dir: Path | None, lat: float | None, lng: float | None, *, as_json: bool, **facts: Any
) -> None:
    """Create a site of an operator."""
    body = _body(lat, lng, facts)
    with ApiClient.find(data_dir) as api:
        show_item(api.post(_PATH, body), as_json=as_json)


@sites.command("list")
@click.option("--operator", "operator_id", help="Only those of this operator.")
@click.option("--status", type=click.Choice(["active", "inactive"]), help="Only those.")
@data_dir_option
@json_option
def list_sites(data_dir: Path | None, *, as_json: bool, **filters: Any) -> None:
    """List sites, oldest first."""
    columns = (
        "site_id",
        "operator_id",
        "name",
        "timezone",
        "total_connectors",
        "status_summary.charging",
        "status_summary.fault",
        "status_summary.offline",
    )
    with ApiClient.find(data_dir) as api:
        show_list(api.items(_PATH, **filters), columns, as_json=as_json)


@sites.command("show")
@click.argument("site")
@data_dir_option
@json_option
def show_site(site: str, data_dir: Path | None, *, as_json: bool) -> None:
    """Show a site and the state of its connectors."""
    with ApiClient.find(data_dir) as api:
        show_item(api.get(resource_path(_PATH, site)), as_json=as_json)


@sites.command("update")
@click.argument("site")
@click.option("--name", help="Name of the site.")
@_facts
@click.option(
    "--clear",
    multiple=True,
    type=click.Choice(list(_CLEARABLE)),
    help="Take this value away; may be repeated.",
)
@data_dir_option
@json_option
def update_site(
    site: str,
    data_dir: Path | None,
    lat: float | None,
    lng: float | None,
    clear: tuple[str, ...],
    *,
    as_json: bool,
    **facts: Any,
) -> None:
    """Change a site; what is left out stays."""
    body = dict.fromkeys(_CLEARABLE[name] for name in clear) | _body(lat, lng, facts)
    if not body:
        raise click.UsageError("Nothing to change was given")
    with ApiClient.find(data_dir) as api:
        show_item(api.patch(resource_path(_PATH, site), body), as_json=as_json)
