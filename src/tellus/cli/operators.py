"""``tellus operators``: the tenants of a platform."""

from pathlib import Path

import click

from tellus.cli.client import ApiClient, data_dir_option
from tellus.cli.output import json_option, show_item, show_list

_PATH = "/v1/admin/operators"


@click.group()
def operators() -> None:
    """Create and list operators, the tenants of the platform."""


@operators.command("create")
@click.argument("name")
@click.option("--region", help="Region of its data; the platform's own.")
@data_dir_option
@json_option
def create_operator(name: str, region: str | None, data_dir: Path | None, *, as_json: bool) -> None:
    """Create an operator called NAME."""
    body = {"name": name} | ({} if region is None else {"region": region})
    with ApiClient.find(data_dir) as api:
        show_item(api.post(_PATH, body), as_json=as_json)


@operators.command("list")
@data_dir_option
@json_option
def list_operators(data_dir: Path | None, *, as_json: bool) -> None:
    """List operators, oldest first."""
    with ApiClient.find(data_dir) as api:
        columns = ("operator_id", "name", "region", "created_at")
        show_list(api.items(_PATH), columns, as_json=as_json)
