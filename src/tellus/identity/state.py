"""What the use cases of identity share: the store, the keys, and memory that follows the store."""

import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tellus.audit.model import Actor
from tellus.audit.service import record
from tellus.identity.attempts import FailedAttempts
from tellus.identity.directory import Directory
from tellus.identity.keys import KeyRing
from tellus.identity.model import Fact
from tellus.identity.tokens import Tokens
from tellus.kernel.call import Audience
from tellus.kernel.clock import Clock
from tellus.storage.database import Database, Tx
from tellus.storage.settling import Settling

# Each list holds callables that take the kind of fact it is filed under.
InTx = dict[type[Any], list[Callable[[Tx, Any], None]]]
AfterCommit = dict[type[Any], list[Callable[[Any], None]]]

LookAgain = Callable[[Audience, str], Awaitable[None]]
"""Reads a principal again from the store; there only where other nodes write."""


class IdentityState:
    """One per process; ``scale`` multiplies every limit."""

    def __init__(
        self, database: Database, keys: KeyRing, clock: Clock, issuer: str, scale: float
    ) -> None:
        self.database = database
        self.keys = keys
        self.clock = clock
        self.scale = scale
        self._revisions = itertools.count(1)
        self.directory = Directory(scale, self.next_revision)
        self.tokens = Tokens(self.directory, clock, issuer)
        self.attempts = FailedAttempts(scale)
        self.in_tx: InTx = {}
        self.after_commit: AfterCommit = {}
        self.look_again: LookAgain | None = None
        self.settle = Settling(database).settle

    def next_revision(self) -> int:
        """Return a number greater than all before; taken in a transaction it orders commits."""
        return next(self._revisions)

    def audit(
        self,
        tx: Tx,
        by: Actor,
        action: str,
        resource: tuple[str, str],
        operator_id: str | None = None,
        **details: Any,
    ) -> None:
        """Append what ``by`` did to ``resource`` (its type and id) to the audit log."""
        now_ms = self.clock.now_ms()
        record(tx, by.name, action, *resource, operator_id, by.request_id, now_ms, **details)

    def tell_in_tx(self, tx: Tx, facts: Sequence[Fact]) -> None:
        """Tell those who registered, inside the transaction."""
        for fact in facts:
            for told in self.in_tx.get(type(fact), ()):
                told(tx, fact)

    def tell(self, facts: Sequence[Fact]) -> None:
        """Tell those who registered, after the commit."""
        for fact in facts:
            for told in self.after_commit.get(type(fact), ()):
                told(fact)
