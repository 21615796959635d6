"""What the storage suites store: numbers with a text, through one hot kind that keeps a diary."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from tellus.storage.database import Tx
from tellus.storage.migrate import Migration

FACTS = Migration(
    1,
    "facts",
    "first",
    """-- owner: nobody
CREATE TABLE facts (k BIGINT PRIMARY KEY, v TEXT NOT NULL);
CREATE TABLE numbers (
    n {{serial}},
    text TEXT,
    real DOUBLE PRECISION,
    bytes {{blob}}
);
""",
)
COUNT = "SELECT count(*) FROM facts"
INSERT = "INSERT INTO facts (k, v)"

Fact = tuple[int, str | None]


class Facts:
    """Inserts facts; a fact without text breaks the statement it is in.

    ``gate`` holds the writer inside ``apply_many`` until it is set, so that a test can let
    operations gather; ``refused`` names facts that fail by their outcome alone.
    """

    name = "facts"

    def __init__(self, diary: list[Any] | None = None) -> None:
        self.diary: list[Any] = [] if diary is None else diary
        self.sizes: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.refused: set[int] = set()
        self.look: Callable[[], Any] | None = None

    def apply_many(self, tx: Tx, operations: Sequence[Fact]) -> list[Any]:
        self.entered.set()
        assert self.gate.wait(30)
        self.sizes.append(len(operations))
        wanted = [fact for fact in operations if fact[0] not in self.refused]
        tx.insert_many(INSERT, wanted)
        return [ValueError(k) if k in self.refused else k * 10 for k, _text in operations]

    def after_commit(self, operations: Sequence[Fact], outcomes: Sequence[Any]) -> None:
        seen = self.look() if self.look else None
        self.diary.append(("after_commit", list(operations), list(outcomes), seen))


def insert_fact(tx: Tx, k: int, text: str | None = "cold") -> int:
    """Insert one fact; return its key."""
    tx.execute("INSERT INTO facts (k, v) VALUES ($1, $2)", k, text)
    return k


def list_keys(tx: Tx) -> list[int]:
    """Return the keys of all facts in order."""
    return [row[0] for row in tx.rows("SELECT k FROM facts ORDER BY k")]
