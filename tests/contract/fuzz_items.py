"""What the fuzz generator works with: a draft request, a way to spoil it, the finished item."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from tests.contract.fuzz_values import fitting, written
from tests.contract.shapes import Audience, Kind, Operation

REFUSED = frozenset({400})
# Odd but not plainly wrong: any orderly answer will do, a server error never.
ORDERLY = frozenset({200, 400, 401, 403, 404, 409, 413, 415, 429})


@dataclass(frozen=True, slots=True)
class FuzzItem:
    """One malformed request, and the HTTP statuses with which it may be answered.

    `target` is ASCII and goes out as written. Headers of the item stand above those of a client:
    an item that brings its own `authorization` is about that. `may_close` allows the server to
    end the connection without a word, as it may when a body is far too large.
    """

    number: int
    operation: str
    what: str
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    acceptable: frozenset[int]
    audience: Audience
    scope: str | None
    may_close: bool = False

    def __str__(self) -> str:
        body = repr(self.body if len(self.body) <= 300 else self.body[:300] + b"...")
        return (
            f"#{self.number} {self.what}: {self.method} {self.target[:200]} "
            f"{dict(self.headers)} {body} → {sorted(self.acceptable)}"
        )


@dataclass(slots=True)
class Draft:
    """A well-formed request of an operation, which one mutation then spoils."""

    operation: Operation
    rng: random.Random
    method: str
    path: dict[str, str]
    query: list[tuple[str, str]]
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    target: str | None = None
    acceptable: frozenset[int] = REFUSED
    may_close: bool = False

    def request_target(self) -> str:
        """The request target: set outright, or put together from path values and query."""
        if self.target is not None:
            return self.target
        target = self.operation.path
        for name, value in self.path.items():
            target = target.replace(f"{{{name}}}", value)
        query = "&".join(f"{name}={value}" for name, value in self.query)
        return f"{target}?{query}" if query else target


@dataclass(frozen=True, slots=True)
class Mutation:
    """One way to spoil a draft. `orderly` marks those that a server may also put up with."""

    what: str
    spoil: Callable[[Draft], None]
    orderly: bool = False


def draft_of(
    operation: Operation, rng: random.Random, path_values: Mapping[str, str] | None = None
) -> Draft:
    """A well-formed request of the operation; path ids are made up unless given."""
    given = path_values or {}
    path = {
        item.name: given.get(item.name) or quote(str(fitting(item.shape, rng)), safe="")
        for item in operation.parameters_in("path")
    }
    query = [
        (item.name, "1" if item.name == "wait" else quote(str(fitting(item.shape, rng)), safe=""))
        for item in operation.parameters_in("query")
        if item.required or item.name == "wait"
    ]
    has_body = operation.request is not None
    body = written(fitting(operation.request, rng)) if operation.request is not None else b""
    headers = {"content-type": "application/json"} if has_body else {}
    return Draft(operation, rng, operation.method, path, query, body, headers)


def takes_object(operation: Operation) -> bool:
    """Whether the operation's body is an object."""
    return operation.request is not None and operation.request.kind is Kind.OBJECT
