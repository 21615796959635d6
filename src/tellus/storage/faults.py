"""Who is hit by an error of a database, and whether to go on."""

import enum


class Fault(enum.StrEnum):
    """What an error means; each back end tells which of its errors means what."""

    OPERATION = "operation"
    """The operation alone: a constraint, a bug in its code."""
    RETRY = "retry"
    """The whole transaction, which was in the way of another one: run it again."""
    BUSY = "busy"
    """The whole transaction, for now: a lock held too long, memory or files short."""
    FULL = "full"
    """The whole transaction, until there is space again."""
    LOST = "lost"
    """The connection; whether a commit under way came to pass is unknown."""
    FATAL = "fatal"
    """The store: the disk or the file cannot be trusted until a restart recovers from the log."""


class TransactionLost(Exception):
    """The database ended the transaction under an operation that hid why."""
