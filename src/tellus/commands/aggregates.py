"""Where a command's id may lead beside commands: to what was asked of many chargers."""

from typing import Protocol

from tellus.audit.model import Actor
from tellus.commands.model import Aggregate


class Aggregates(Protocol):
    """Where aggregates are found; both raise ``NotFound`` for what is absent or another's."""

    async def read_aggregate(self, command_id: str, operator_id: str, now_ms: int) -> Aggregate:
        """Return an aggregate as it stands now."""
        ...

    async def cancel_aggregate(
        self, command_id: str, operator_id: str, by: Actor, now_ms: int
    ) -> Aggregate:
        """Take an aggregate back and return it."""
        ...
