"""What a charger is told beside the stored parameters of a command: secrets made on the way out."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tellus.commands.model import Command

Completion = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Returns what is added to the stored parameters of a command."""


class Completions:
    """Who completes which commands."""

    def __init__(self) -> None:
        self._by_name: dict[str, Completion] = {}

    def add(self, name: str, completion: Completion) -> None:
        """Have commands of a name completed."""
        self._by_name[name] = completion

    def params_of(self, command: Command) -> dict[str, Any]:
        """Return the parameters of a command as its charger gets them."""
        params: dict[str, Any] = msgspec.json.decode(command.params)
        completion = self._by_name.get(command.command)
        return params if completion is None else {**params, **completion(params)}
