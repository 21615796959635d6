"""An audit entry, what seals it, and who acts."""

import enum
from typing import Any, NamedTuple

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """One recorded action; ``details`` holds facts that help to understand it, never a secret."""

    entry_no: int
    at_ms: int
    actor: str
    action: str
    resource_type: str
    resource_id: str
    operator_id: str | None
    request_id: str | None
    details: dict[str, Any]


class Filter(msgspec.Struct, frozen=True):
    """Which entries are asked for; None admits all.

    ``verbs`` are those that an action has to end in, or, with False, must not end in.
    """

    resource_type: str | None = None
    resource_id: str | None = None
    actor: str | None = None
    operator_id: str | None = None
    since_ms: int | None = None
    verbs: tuple[tuple[str, ...], bool] | None = None


class ActionKind(enum.StrEnum):
    """What an action does to its resource, as lists are filtered by it."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    EXECUTE_COMMAND = "execute_command"


class Written(NamedTuple):
    """An entry exactly as it is stored: what its seal is made over."""

    entry_no: int
    at_ms: int
    actor: str
    action: str
    resource_type: str
    resource_id: str
    operator_id: str | None
    request_id: str | None
    details: str


class Seal(NamedTuple):
    """A link of the chain: number ``seal_no``, over an entry and the seal before."""

    seal_no: int
    entry_no: int
    hash: bytes


class ProblemKind(enum.StrEnum):
    """What is wrong with the log.

    ``changed``: the entry, or its seal, is not what was sealed. ``missing``: the sealed entry is
    gone. ``gap``: seals are gone. ``cut_off``: the chain ends before its known head. ``unsealed``:
    an entry that should have been sealed long since.
    """

    CHANGED = "changed"
    MISSING = "missing"
    GAP = "gap"
    CUT_OFF = "cut_off"
    UNSEALED = "unsealed"


class Problem(NamedTuple):
    """Something wrong, with the seal and the entry that it was found at where there are any."""

    kind: ProblemKind
    seal_no: int | None
    entry_no: int | None


class Verification(NamedTuple):
    """What the check of a part of the chain found; ``checked_to`` is its last seal.

    ``is_last`` tells that the chain ends there.
    """

    checked: int
    checked_to: int
    is_last: bool
    problems: list[Problem]


class Actor(msgspec.Struct, frozen=True):
    """Who acts through which request.

    ``scopes`` bounds what the actor may hand on to others; None is the platform itself, unbounded.
    """

    name: str
    request_id: str | None = None
    scopes: frozenset[str] | None = None


PLATFORM = Actor("platform")
