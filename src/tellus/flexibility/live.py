"""What memory knows of the controls under way; only a hint, read back at start."""

from collections.abc import Iterable

from tellus.flexibility.model import Control, Phase, Target


class Live:
    """A control under way or being taken back.

    ``known`` has the number of connectors of each charger as it was counted, ``unrated`` the
    chargers with a connector of which no rating is known, ``away`` those whose return is awaited.
    ``unmarked`` is true until all targets of a cancelled control have been marked.
    """

    def __init__(self, control: Control) -> None:
        self.control = control
        self.known: dict[int, int] = {}
        self.unrated: set[int] = set()
        self.away: set[int] = set()
        self.next_due_ms: int | None = None
        self.unmarked = False

    @property
    def is_cancelled(self) -> bool:
        """Tell whether the control was cancelled."""
        return self.control.phase is Phase.CANCELLED

    def count(self, targets: Iterable[Target]) -> None:
        """Note the chargers of new targets, and when the first of these needs attention."""
        for target in targets:
            number = target.device_no
            self.known[number] = self.known.get(number, 0) + (target.connector_id > 0)
            if target.limit_kw is None:
                self.unrated.add(number)
            self.note_due(target.due_ms)

    def note_due(self, due_ms: int | None) -> None:
        """Note that a target needs attention then."""
        if due_ms is not None and (self.next_due_ms is None or due_ms < self.next_due_ms):
            self.next_due_ms = due_ms

    def forget(self, device_no: int) -> None:
        """Count a charger no longer."""
        self.known.pop(device_no, None)
        self.unrated.discard(device_no)
        self.away.discard(device_no)
