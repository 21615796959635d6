"""``tellus audit``: who changed what."""

import json
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import click

from tellus.cli.client import ApiClient, data_dir_option
from tellus.cli.output import json_option, show_list

_SHOWN = 50
_CHECKED_AT_ONCE = 5_000


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


@audit.command("verify")
@data_dir_option
@json_option
def verify(data_dir: Path | None, *, as_json: bool) -> None:
    """Check that no entry was changed, removed or slipped in; exits with 1 if one was."""
    checked, problems = 0, list[dict[str, Any]]()
    with ApiClient.find(data_dir) as api:
        after, is_last = 0, False
        while not is_last:
            part = api.get("/v1/admin/audit-log/verification", after=after, limit=_CHECKED_AT_ONCE)
            checked += part["checked"]
            problems += part["problems"]
            after, is_last = part["checked_to"], part["is_last"]
            if not as_json:
                click.echo(f"\r{checked} entries checked", err=True, nl=is_last)
    if as_json:
        click.echo(json.dumps({"checked": checked, "problems": problems}))
    else:
        for problem in problems:
            click.echo(" ".join(f"{name}={value}" for name, value in problem.items()))
        click.echo(f"{len(problems)} problems" if problems else "The log is as it was written.")
    if problems:
        sys.exit(1)
