"""``tellus config``: what the platform would run with, and where each value comes from."""

from pathlib import Path

import click

from tellus.cli.output import json_option, print_json, show_table
from tellus.config import (
    ConfigurationError,
    describe_settings,
    effective_values,
    load_configuration,
)

_DEFAULT = "default"


@click.group("config")
def configuration() -> None:
    """Look at the configuration."""


@configuration.command("show")
@click.option(
    "--config", "file", type=click.Path(path_type=Path), help="Configuration file (TOML)."
)
@json_option
def show_configuration(file: Path | None, *, as_json: bool) -> None:
    """Print every setting with its value and where that came from: environment, file or default.

    Secrets are masked. Flags of `tellus serve` go before all of these.
    """
    try:
        loaded = load_configuration(file=file)
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    values = effective_values(loaded.settings)
    settings = [
        {
            "name": name,
            "value": values[name],
            "origin": loaded.origins.get(name, _DEFAULT),
            "variable": variable,
            "description": description,
        }
        for name, variable, _, description in describe_settings()
    ]
    if as_json:
        print_json({"settings": settings})
        return
    rows = [[one["name"], _shown(one["value"]), one["origin"]] for one in settings]
    show_table(("SETTING", "VALUE", "FROM"), rows)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)
