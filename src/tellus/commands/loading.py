"""What is read of commands in one snapshot."""

from tellus.commands import store
from tellus.commands.model import Command, CommandFilter, Report
from tellus.storage.database import Tx


def load_command(tx: Tx, command_id: str) -> tuple[Command | None, list[Report]]:
    """Return a command with all that its charger said of it; None and nothing if it is absent."""
    command = store.find_command(tx, command_id)
    return command, store.list_reports(tx, command_id) if command is not None else []


def load_page(tx: Tx, wanted: CommandFilter, size: int, offset: int) -> tuple[int, list[Command]]:
    """Return how many commands match, and a page of them, newest first."""
    return store.count_commands(tx, wanted), store.list_commands(tx, wanted, size, offset)
