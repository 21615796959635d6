"""``tellus docs``: for those who work on the documentation itself."""

from pathlib import Path

import click


@click.group("docs", hidden=True)
def docs() -> None:
    """Write the parts of the documentation that come from the code."""


@docs.command("generate")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def generate(folder: Path) -> None:
    """Write the reference pages into FOLDER, such as docs/reference."""
    from tellus.cli.reference import write_pages

    for path in write_pages(folder):
        click.echo(path)
