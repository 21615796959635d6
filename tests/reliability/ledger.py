"""What a load was promised: every write it sent, and every one that was acknowledged.

Kept outside of the platform, so that it outlives whatever happens there. A write has a key by which
it is found again through the API.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Key = tuple[Any, ...]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def text_of(time_ms: int) -> str:
    """Return RFC 3339 text of epoch milliseconds."""
    return (_EPOCH + timedelta(milliseconds=time_ms)).isoformat().replace("+00:00", "Z")


def ms_of(text: str) -> int:
    """Return epoch milliseconds of RFC 3339 text."""
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(milliseconds=1)


@dataclass(frozen=True)
class Write:
    """One request that writes: how to send it (again), and the keys of what it writes."""

    target: str
    body: dict[str, Any]
    keys: tuple[Key, ...]
    time_ms: int


@dataclass
class Ledger:
    """All writes of a load by key, each with the time that it speaks of (ms)."""

    sent: dict[Key, int] = field(default_factory=dict)
    acknowledged: dict[Key, int] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    unknown_outcomes: int = 0
    repeats: int = 0
    failures: list[str] = field(default_factory=list)

    def note_sent(self, write: Write) -> None:
        """Remember a write before it goes out."""
        for key in write.keys:
            self.sent[key] = write.time_ms

    def note_acknowledged(self, keys: tuple[Key, ...] | list[Key], time_ms: int) -> None:
        """Remember what the platform has promised."""
        for key in keys:
            self.acknowledged[key] = time_ms

    def promised(self, kind: str, device_id: str, since_ms: int) -> set[Key]:
        """Return the acknowledged keys of a kind and device whose time is not before `since_ms`."""
        return {
            key
            for key, time_ms in self.acknowledged.items()
            if key[0] == kind and key[1] == device_id and time_ms >= since_ms
        }


@dataclass
class Findings:
    """What an audit of a ledger against the API came to."""

    looked_for: int = 0
    lost: list[Key] = field(default_factory=list)
    duplicates: list[Key] = field(default_factory=list)
    phantoms: list[Key] = field(default_factory=list)

    def compare(self, ledger: Ledger, promised: set[Key], found: list[Key]) -> None:
        """Judge what the API returned for one device and kind."""
        counted = Counter(found)
        self.looked_for += len(promised)
        self.lost += [key for key in promised if key not in counted]
        self.duplicates += [key for key, number in counted.items() if number > 1]
        self.phantoms += [key for key in counted if key not in ledger.sent]

    def __str__(self) -> str:
        return (
            f"looked for {self.looked_for}: lost {len(self.lost)}, "
            f"duplicates {len(self.duplicates)}, never sent {len(self.phantoms)}"
        )
