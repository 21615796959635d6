"""``tellus energy``: how far energy is summed up, and summing all of it up again."""

from pathlib import Path
from typing import Final

import click

from tellus.cli.client import ApiClient, data_dir_option
from tellus.cli.output import json_option, show_item

_PATH: Final = "/v1/admin/energy"


@click.group()
def energy() -> None:
    """See how far energy is summed up; sum all of it up again."""


@energy.command("status")
@data_dir_option
@json_option
def show_status(data_dir: Path | None, *, as_json: bool) -> None:
    """Show how far behind the sums are, and how many chargers' wait to be made again."""
    with ApiClient.find(data_dir) as api:
        show_item(api.get(_PATH), as_json=as_json)


@energy.command("recompute")
@data_dir_option
@json_option
def recompute(data_dir: Path | None, *, as_json: bool) -> None:
    """Have everything that is stored summed up again, in the background.

    Sums hold meanwhile, and come out the same unless a rating or the release changed.
    """
    with ApiClient.find(data_dir) as api:
        show_item(api.post(f"{_PATH}/recompute"), as_json=as_json)
