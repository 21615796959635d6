"""``tellus readers``: who read what of a charger."""

from pathlib import Path

import click

from tellus.cli.arguments import resource_path
from tellus.cli.client import ApiClient, data_dir_option
from tellus.cli.output import json_option, show_list

_PATH = "/v1/admin/devices"


@click.command()
@click.option("--device", "device_id", required=True, help="Of this charger.")
@click.option("--from-day", metavar="DAY", help="From this day (UTC) on, such as 2026-11-01.")
@click.option("--to-day", metavar="DAY", help="Up to this day (UTC).")
@data_dir_option
@json_option
def readers(
    device_id: str,
    from_day: str | None,
    to_day: str | None,
    data_dir: Path | None,
    *,
    as_json: bool,
) -> None:
    """List who read what of a charger, newest day first."""
    with ApiClient.find(data_dir) as api:
        path = resource_path(_PATH, device_id, "readers")
        columns = ("day", "reader_kind", "reader_id", "kind", "scope", "times", "seconds")
        found = api.items(path, from_day=from_day, to_day=to_day)
        show_list(found, columns, as_json=as_json)
