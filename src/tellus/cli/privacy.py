"""``tellus privacy``: what is held about whom."""

from pathlib import Path

import click

from tellus.cli.client import ApiClient, data_dir_option
from tellus.cli.output import json_option, show_list


@click.group()
def privacy() -> None:
    """See what is held about whom."""


@privacy.command("record")
@data_dir_option
@json_option
def show_record(data_dir: Path | None, *, as_json: bool) -> None:
    """Show the record of processing: every table, what for, and how long it is kept."""
    with ApiClient.find(data_dir) as api:
        tables = api.get("/v1/admin/processing-record")["tables"]
    rows = [one | {"about": ", ".join(_about(one))} for one in tables] if not as_json else tables
    show_list(rows, ("table", "about", "purpose", "kept", "settings", "erased"), as_json=as_json)


def _about(table: dict[str, list[dict[str, str]]]) -> list[str]:
    return list(dict.fromkeys(group["about"] for group in table["groups"]))
