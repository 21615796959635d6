"""The command line: nouns, then verbs. Results on stdout (``--json`` for machines), progress on stderr.

Exit codes: 0 ok, 1 other failure, 2 usage, 3 not found, 4 authentication, 5 permission, 6 conflict,
7 rate limited, 8 charger refused, 9 server error, 10 findings, 124 timeout, 130 interrupted.
"""

import importlib
from typing import Final

import click

import tellus

_COMMANDS: Final = {
    "serve": "tellus.cli.serve:serve",
    "simulate": "tellus.cli.simulate:simulate",
}
"""Where each command lives; a command's module is imported only when it is wanted."""


class _Commands(click.Group):
    """Looks commands up by name, so that ``--help`` and completion stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one command, or None."""
        del ctx
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(tellus.__version__, prog_name="tellus")
def main() -> None:
    """Tellus: the cloud side of a fleet of EV chargers."""
