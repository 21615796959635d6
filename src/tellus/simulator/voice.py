"""What a connector says about commands and about itself."""

from __future__ import annotations

from typing import Any

from tellus.simulator.messages import (
    CommandStatusReport,
    event_message,
    status_message,
    utc_text,
)
from tellus.simulator.stages import Installation


class Voice:
    """The mouth of one connector."""

    def __init__(self, connector_id: int, home: Installation) -> None:
        self.connector_id = connector_id
        self.home = home

    def report(
        self,
        command_id: str,
        status: str,
        now_ms: int,
        text: str,
        details: dict[str, Any] | None = None,
    ) -> None:
        """Tell the platform how a command fares; what no command asked for is told to nobody."""
        if not command_id:
            return
        body = CommandStatusReport(command_id, status, utc_text(now_ms), text)
        if details is not None:
            body.details = details
        self.home.emit(status_message(body, self.connector_id, now_ms))

    def tell(self, event_type: str, now_ms: int, data: dict[str, Any]) -> None:
        """Tell the platform of an event."""
        self.home.emit(event_message(event_type, self.connector_id, now_ms, data))
