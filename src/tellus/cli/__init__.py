"""The command line: nouns, then verbs.

Results on stdout (``--json`` for machines), progress on stderr.

Exit codes: 0 ok, 1 other failure, 2 usage, 3 not found, 4 authentication, 5 permission, 6 conflict,
7 rate limited, 8 charger refused, 9 server error, 10 findings, 124 timeout, 130 interrupted.
"""

import importlib
from typing import Any, Final, NamedTuple

import click
from click.shell_completion import CompletionItem

import tellus

_INTERRUPTED: Final = 130


class _Place(NamedTuple):
    """Where a command lives, and what it does in a line."""

    module: str
    name: str
    words: str


COMMANDS: Final = {
    "serve": _Place("serve", "serve", "Run the platform until it is told to stop."),
    "sandbox": _Place("sandbox", "sandbox", "Run a platform with a simulated fleet to play with."),
    "simulate": _Place("simulate", "simulate", "Run simulated chargers against a platform."),
    "trigger": _Place("trigger", "trigger", "Tell a running simulated fleet what happens."),
    "status": _Place("status", "status", "Show whether a platform is well, and what it holds."),
    "operators": _Place("operators", "operators", "Create and list operators."),
    "clients": _Place("clients", "clients", "Create, change and revoke clients."),
    "sites": _Place("sites", "sites", "Create, list and change sites."),
    "devices": _Place("devices", "devices", "Provision, list, move and delete chargers."),
    "consents": _Place("consents", "consents", "Record what owners of chargers agree to."),
    "transfers": _Place("transfers", "transfers", "Say what data may leave the region."),
    "readers": _Place("readers", "readers", "See who read what of a charger."),
    "firmware": _Place("firmware", "firmware", "Keep releases; plan and steer rollouts."),
    "peers": _Place("peers", "peers", "Deal with platforms of other operators."),
    "service-accounts": _Place(
        "accounts", "service_accounts", "Create, list and revoke service accounts."
    ),
    "energy": _Place("energy", "energy", "See how far energy is summed up; sum it up again."),
    "retention": _Place("retention", "retention", "See what has outlived its time; drop it."),
    "privacy": _Place("privacy", "privacy", "See what is held about whom."),
    "subjects": _Place("subjects", "subjects", "Export what is held of a vehicle."),
    "erase": _Place("erase", "erase", "Forget a vehicle or a device."),
    "audit": _Place("audit", "audit", "Read the audit log."),
    "api": _Place("api", "api", "Make one authenticated call and print the answer."),
    "import": _Place("importing", "import_group", "Take over data from files."),
    "replay": _Place("importing", "replay", "Import records together with what they imply."),
    "export": _Place("export", "export_group", "Write records, energy or telemetry to a file."),
    "config": _Place("configuration", "configuration", "Look at the configuration."),
    "backup": _Place("backup", "backup", "Prepare folders for copies of the data."),
    "doctor": _Place("doctor", "doctor", "Look for what is wrong with an installation."),
    "migrate-store": _Place(
        "migrating", "migrate_store", "Move an installation from SQLite to PostgreSQL."
    ),
    "keys": _Place("keys", "keys", "Create a key file; list and rotate signing keys."),
    "completion": _Place("completion", "completion", "Print the completion script of a shell."),
}
"""All commands; a command's module is imported only when it is wanted."""

HIDDEN: Final = {"docs": _Place("docs", "docs", "Write the documentation's reference pages.")}
"""Commands for those who work on the project; they are not listed."""


class _Commands(click.Group):
    """Looks commands up by name, so that ``--help`` and completion stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one command, or None."""
        del ctx
        place = COMMANDS.get(cmd_name) or HIDDEN.get(cmd_name)
        if place is None:
            return None
        module = importlib.import_module(f"tellus.cli.{place.module}")
        command: click.Command = getattr(module, place.name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.words) for name, place in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of commands without importing them, and the options."""
        names = [
            CompletionItem(name, help=place.words)
            for name, place in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; Ctrl-C ends it with the exit code that shells know for it."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted", err=True)
            ctx.exit(_INTERRUPTED)


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(tellus.__version__, prog_name="tellus")
def main() -> None:
    """Tellus: the cloud side of a fleet of EV chargers."""
