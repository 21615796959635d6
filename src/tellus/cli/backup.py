"""``tellus backup``: what folders for copies are checked for before a copy is made."""

from pathlib import Path
from typing import Final

import click

from tellus.cli.client import CommandFailed, ExitCode
from tellus.cli.output import json_option, show_item

TAG: Final = "tellus-region"
"""The file in a folder for copies that says of which region they are."""


@click.group()
def backup() -> None:
    """Prepare folders for copies of the data."""


@backup.command("prepare")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--config", type=click.Path(dir_okay=False, path_type=Path), help="The configuration file."
)
@json_option
def prepare(folder: Path, config: Path | None, *, as_json: bool) -> None:
    """Make FOLDER and mark it with the region of the data; refuse one of another region."""
    from tellus.config import load_configuration

    region = load_configuration(file=config).settings.instance.region
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        tag = folder / TAG
        try:
            with tag.open("x", encoding="utf-8") as file:
                file.write(f"{region}\n")
        except FileExistsError:
            found = tag.read_text("utf-8").strip()
            if found != region:
                message = f"{folder} is for copies of region {found}, but the data is of {region}"
                raise CommandFailed(message, ExitCode.CONFLICT) from None
    except OSError as error:
        raise CommandFailed(f"{folder} cannot be used: {error.strerror}") from None
    show_item({"folder": str(folder), "region": region}, as_json=as_json)
