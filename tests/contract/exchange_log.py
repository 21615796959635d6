"""What a test session sent and got: the last exchanges, and which answers were ever seen."""

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock

from tests.contract.model import OPERATIONS, find_operation, plain_path
from tests.contract.shapes import Operation

_KEPT_EXCHANGES = 2_000


@dataclass(frozen=True, slots=True)
class Logged:
    """One exchange, short."""

    method: str
    target: str
    status: int
    code: int | None
    principal: str


class ExchangeLog:
    """Counts every (operation, status) that was seen; keeps the newest exchanges themselves.

    Safe to be shared by threads. Memory is bounded: counts go by operation, not by path.
    """

    def __init__(self) -> None:
        self.seen: Counter[tuple[str, int]] = Counter()
        self.recent: deque[Logged] = deque(maxlen=_KEPT_EXCHANGES)
        self._lock = Lock()

    def add(self, entry: Logged) -> None:
        """Notes one exchange."""
        operation = find_operation(entry.method, entry.target)
        key = operation.key if operation else _beyond(entry.method, entry.target)
        with self._lock:
            self.seen[key, entry.status] += 1
            self.recent.append(entry)

    def statuses_of(self, operation: Operation) -> set[int]:
        """The HTTP statuses with which an operation has answered so far."""
        return {status for key, status in list(self.seen) if key == operation.key}

    def unseen(self, operations: Iterable[Operation] = OPERATIONS) -> list[tuple[str, int]]:
        """The (operation, status) pairs that the contract names and nobody has seen."""
        return [
            (operation.key, status)
            for operation in operations
            for status, _ in operation.answers
            if (operation.key, status) not in self.seen
        ]

    def report(self, operations: Iterable[Operation] = OPERATIONS) -> str:
        """A table for people: each operation with the statuses seen and the named ones missing."""
        lines = []
        for operation in operations:
            counts = {s: n for (key, s), n in sorted(self.seen.items()) if key == operation.key}
            shown = "  ".join(f"{status}×{count}" for status, count in counts.items())
            missing = [str(status) for status, _ in operation.answers if status not in counts]
            note = f"  (never {', '.join(missing)})" if missing else ""
            lines.append(f"{operation.key:<75} {shown}{note}")
        return "\n".join(lines)


def _beyond(method: str, target: str) -> str:
    """A bounded name for an operation outside the contract: its path with ids folded."""
    parts = [
        "{id}" if any(c.isdigit() or c == "%" for c in part) and part != "v1" else part[:40]
        for part in plain_path(target).split("/")[:8]
    ]
    return f"{method} {'/'.join(parts)}"


SESSION = ExchangeLog()
