"""``tellus subjects``: answering data subjects."""

import json
import os
from pathlib import Path

import click

from tellus.cli.arguments import given
from tellus.cli.client import ApiClient, CommandFailed, data_dir_option
from tellus.cli.output import hint

_PRIVATE_FILE = 0o600


@click.group()
def subjects() -> None:
    """Export what is held of a vehicle."""


@subjects.command("export")
@click.option("--vin", prompt=True, hide_input=True, help="The VIN; asked for if it is left out.")
@click.option("--operator", "operator_id", help="Held by this operator alone.")
@click.option(
    "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Where to write it; only you may read the file.",
)  # fmt: skip
@data_dir_option
def export_subject(vin: str, operator_id: str | None, output: Path, data_dir: Path | None) -> None:
    """Write all that is held of a vehicle to FILE, as JSON.

    The VIN is better typed at the prompt than given as an option: shells remember those. The audit
    log tells that there was an export, and not of which vehicle.
    """
    with ApiClient.find(data_dir) as api:
        held = api.post("/v1/admin/subjects/export", given(vin=vin, operator_id=operator_id))
    try:
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE_FILE)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(handle, _PRIVATE_FILE)
            json.dump(held, file, ensure_ascii=False, indent=1)
    except OSError as error:
        message = f"{output} cannot be written: {error.strerror}"
        raise CommandFailed(message) from None
    rows = sum(len(rows) for one in held["operators"] for rows in one["tables"].values())
    hint(f"{output}: {rows} rows, held by {len(held['operators'])} operators")
