"""The notation in which the contract model is written: shapes, fields, parameters, operations.

A shape says what a JSON value may be. Shapes are immutable; the short constants (`STR`, `INT`,
`NUM` …) are the unbounded ones, and `between`, `at_least`, `up_to` give bounded copies.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Any


class Kind(Enum):
    """What sort of JSON value a shape stands for."""

    STRING = "string"
    TIME = "time"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    OBJECT = "object"
    ARRAY = "array"
    NULL = "null"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Shape:
    """What one JSON value may be.

    `lo` and `hi` bound numbers (both inclusive), `longest` a string's characters, `fewest` and
    `most` an array's items. An object without `fields` is opaque: whatever stands in it is fine.
    `keeps_unknown` marks one whose further members come back as a charger sent them.
    """

    kind: Kind
    lo: float | None = None
    hi: float | None = None
    longest: int | None = None
    fewest: int | None = None
    most: int | None = None
    choices: tuple[str, ...] = ()
    items: "Shape | None" = None
    fields: tuple["Field", ...] = ()
    nullable: bool = False
    keeps_unknown: bool = False

    def between(self, lo: float, hi: float) -> "Shape":
        """The same shape, bounded on both sides."""
        return replace(self, lo=lo, hi=hi)

    def at_least(self, lo: float) -> "Shape":
        """The same shape, bounded from below."""
        return replace(self, lo=lo)

    def up_to(self, longest: int) -> "Shape":
        """The same string shape with a largest number of characters."""
        return replace(self, longest=longest)

    def or_null(self) -> "Shape":
        """The same shape, where the contract also names null."""
        return replace(self, nullable=True)

    def with_unknown(self) -> "Shape":
        """The same object, whose further members come back as a charger sent them."""
        return replace(self, keeps_unknown=True)

    def field(self, name: str) -> "Field | None":
        """The field of this object with that name, if the contract names one."""
        return next((field for field in self.fields if field.name == name), None)


@dataclass(frozen=True, slots=True)
class Field:
    """One named member of an object.

    `required` is what the published contract demands; `always` is what this implementation
    promises beyond it, such as page fields on every page.
    """

    name: str
    shape: Shape
    required: bool = False
    always: bool = False


STR = Shape(Kind.STRING)
TIME = Shape(Kind.TIME)
INT = Shape(Kind.INTEGER)
NUM = Shape(Kind.NUMBER)
BOOL = Shape(Kind.BOOLEAN)
NULL = Shape(Kind.NULL)
ANY = Shape(Kind.ANY)
OPAQUE = Shape(Kind.OBJECT)


def req(name: str, shape: Shape) -> Field:
    """A field that the published contract requires."""
    return Field(name, shape, required=True)


def opt(name: str, shape: Shape) -> Field:
    """A field that may be left out."""
    return Field(name, shape)


def promised(name: str, shape: Shape) -> Field:
    """A field that the published contract makes optional and this implementation always sends."""
    return Field(name, shape, always=True)


def one_of(*choices: str) -> Shape:
    """A string out of a closed list."""
    return Shape(Kind.STRING, choices=choices)


def list_of(items: Shape, *, fewest: int | None = None, most: int | None = None) -> Shape:
    """An array whose items all have one shape."""
    return Shape(Kind.ARRAY, items=items, fewest=fewest, most=most)


def obj(*fields: Field) -> Shape:
    """An object with these fields; more may stand beside them."""
    return Shape(Kind.OBJECT, fields=fields)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One path or query parameter. `default` is what its absence means, as far as published."""

    name: str
    place: str
    shape: Shape
    required: bool = False
    default: int | str | None = None


def in_path(name: str, shape: Shape) -> Parameter:
    """A parameter in the path, always required."""
    return Parameter(name, "path", shape, required=True)


def in_query(
    name: str, shape: Shape, *, required: bool = False, default: int | str | None = None
) -> Parameter:
    """A parameter in the query string."""
    return Parameter(name, "query", shape, required=required, default=default)


class Form(Enum):
    """How an answer's body is put together."""

    ENVELOPE = "envelope"
    TOKEN = "token"
    FRAME = "frame"
    BARE = "bare"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of one HTTP status: its form, the shape of its payload, and what is published.

    `described` is false where the published file names the status without giving it a schema.
    """

    form: Form
    payload: Shape = ANY
    described: bool = True


FAILURE = Answer(Form.FAILURE)
FAILURE_NAMED_ONLY = Answer(Form.FAILURE, described=False)


def enveloped(payload: Shape) -> Answer:
    """A success in the envelope with `data` of that shape."""
    return Answer(Form.ENVELOPE, payload)


def undescribed(payload: Shape) -> Answer:
    """A success in the envelope whose payload the published file leaves open."""
    return Answer(Form.ENVELOPE, payload, described=False)


class Audience(Enum):
    """Who calls an operation."""

    ANYONE = "anyone"
    OPERATOR = "operator"
    DEVICE = "device"
    PEER = "peer"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method on one path.

    `security_stated` is false where the published file says nothing about credentials although
    the operation needs them (the stream, the legacy paths). `body_required` is about the body as
    a whole; which of its fields are required stands in `request`. `takes_file` is about bodies of
    raw bytes, which have no shape.
    """

    method: str
    path: str
    audience: Audience
    scope: str | None = None
    parameters: tuple[Parameter, ...] = ()
    request: Shape | None = None
    body_required: bool = True
    answers: tuple[tuple[int, Answer], ...] = ()
    security_stated: bool = True
    takes_file: bool = False

    @property
    def key(self) -> str:
        """Method and path template: the name of the operation in reports."""
        return f"{self.method} {self.path}"

    def answer(self, status: int) -> Answer | None:
        """What the contract says about that HTTP status, if anything."""
        return dict(self.answers).get(status)

    def parameters_in(self, place: str) -> tuple[Parameter, ...]:
        """The parameters that stand in `path` or in `query`."""
        return tuple(parameter for parameter in self.parameters if parameter.place == place)


def describe(value: Any, limit: int = 60) -> str:
    """A value as it may stand in a violation: short, with its JSON type."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
