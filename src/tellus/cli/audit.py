"""``tellus audit``: who changed what."""

from itertools import islice
from pathlib import Path
from typing import Any

import click

from tellus.cli.client import ApiClient, data_dir_option
from tellus.cli.output import json_option, show_list

_SHOWN = 50


@click.group()
def audit() -> None:
    """Read the audit log."""


@audit.command("list")
@click.option("--resource-type", help="Only about these, such as client or device.")
@click.option("--resource", "resource_id", help="Only about this one.")
@click.option("--actor", help="Only what this service account did.")
@click.option(
    "--last", default=_SHOWN, show_default=True, type=click.IntRange(1), help="How many entries."
)
@data_dir_option
@json_option
def list_entries(data_dir: Path | None, last: int, *, as_json: bool, **filters: Any) -> None:
    """List recorded actions, newest first."""
    columns = ("entry_no", "at", "actor", "action", "resource_type", "resource_id", "details")
    with ApiClient.find(data_dir) as api:
        entries = api.items("/v1/admin/audit-log", **filters)
        show_list(islice(entries, last), columns, as_json=as_json)
