"""An audit entry, and who acts."""

from typing import Any

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
    """Which entries are asked for; None admits all."""

    resource_type: str | None = None
    resource_id: str | None = None
    actor: str | None = None


class Actor(msgspec.Struct, frozen=True):
    """Who acts through which request.

    ``scopes`` bounds what the actor may hand on to others; None is the platform itself, unbounded.
    """

    name: str
    request_id: str | None = None
    scopes: frozenset[str] | None = None


PLATFORM = Actor("platform")
