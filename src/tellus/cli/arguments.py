"""What is written on the command line, turned into what the API takes."""

from collections.abc import Sequence
from typing import Any

import click

from tellus.cli.client import CommandFailed, ExitCode
from tellus.kernel.ids import is_identifier


def resource_path(folder: str, identifier: str, *more: str) -> str:
    """Return the path of a resource.

    Raises:
        CommandFailed: the identifier has characters that none may have.
    """
    for part in (identifier, *more[1::2]):
        if not is_identifier(part):
            message = f"{part!r} is no identifier: 1 to 64 letters, digits, or . _ : -"
            raise CommandFailed(message, ExitCode.USAGE)
    return "/".join((folder, identifier, *more))


def given(**values: Any) -> dict[str, Any]:
    """Return the values that were given; an option that is left out is None or empty."""
    return {name: value for name, value in values.items() if value is not None and value != ()}


def read_limits(
    _context: click.Context, _parameter: click.Parameter, texts: Sequence[str]
) -> dict[str, int] | None:
    """Return rate limits by class from ``CLASS=N`` texts; None where there are none.

    Raises:
        click.BadParameter: a text is not of that form.
    """
    limits = {}
    for text in texts:
        name, equals, number = text.partition("=")
        if not (name and equals and number.isascii() and number.isdecimal()):
            raise click.BadParameter(f"{text!r} is not of the form CLASS=N, such as queries=600")
        limits[name] = int(number)
    return limits or None


def read_location(lat: float | None, lng: float | None) -> dict[str, float] | None:
    """Return a location, or None where none is given.

    Raises:
        click.UsageError: only one half is given.
    """
    if lat is None and lng is None:
        return None
    if lat is None or lng is None:
        raise click.UsageError("--lat and --lng belong together")
    return {"lat": lat, "lng": lng}
