"""Values that fit a shape, and values that do not, for the fuzz generator."""

import json
import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.contract.shapes import Field, Kind, Shape

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Literal:
    """A JSON text that no Python value gives, such as `1e400`; it goes out as written."""

    text: str


@dataclass(frozen=True, slots=True)
class Bad:
    """A value for one field. `refused` says whether the contract demands a refusal."""

    what: str
    value: Any
    refused: bool = True


def written(value: Any) -> bytes:
    """The JSON text of a value in which `Literal`s may stand."""
    literals: list[str] = []

    def mark(item: Any) -> str:
        literals.append(item.text)
        return f"@literal{len(literals) - 1}@"

    text = json.dumps(value, default=mark, ensure_ascii=False)
    for index, literal in enumerate(literals):
        text = text.replace(f'"@literal{index}@"', literal)
    return text.encode("utf-8", "surrogatepass")


def fitting(shape: Shape, rng: random.Random) -> Any:
    """A value of the shape, chosen with the given generator of chance."""
    return _FITTING[shape.kind](shape, rng)


def _fitting_text(shape: Shape, rng: random.Random) -> str:
    if shape.choices:
        return rng.choice(shape.choices)
    return "f" + "".join(rng.choices(string.ascii_lowercase + string.digits, k=15))


def _fitting_time(_: Shape, rng: random.Random) -> str:
    return f"2025-03-{rng.randint(1, 28):02}T{rng.randint(0, 23):02}:00:00Z"


def _fitting_integer(shape: Shape, rng: random.Random) -> int:
    return rng.randint(int(shape.lo or 0), int(shape.hi if shape.hi is not None else 60))


def _fitting_number(shape: Shape, rng: random.Random) -> float:
    return round(rng.uniform(shape.lo or 0.0, shape.hi if shape.hi is not None else 50.0), 2)


def _fitting_object(shape: Shape, rng: random.Random) -> dict[str, Any]:
    return {field.name: fitting(field.shape, rng) for field in shape.fields}


_FITTING: dict[Kind, Callable[[Shape, random.Random], Any]] = {
    Kind.STRING: _fitting_text,
    Kind.TIME: _fitting_time,
    Kind.INTEGER: _fitting_integer,
    Kind.NUMBER: _fitting_number,
    Kind.BOOLEAN: lambda _, rng: rng.random() < 0.5,
    Kind.ARRAY: lambda shape, rng: [fitting(shape.items, rng)] if shape.items else [],
    Kind.OBJECT: _fitting_object,
    Kind.NULL: lambda *_: None,
    Kind.ANY: lambda *_: None,
}


def places(shape: Shape, at: Path = ()) -> Iterator[tuple[Path, Field]]:
    """Every field of a body, nested ones too, with the way to it."""
    if shape.kind is Kind.ARRAY and shape.items is not None:
        yield from places(shape.items, (*at, 0))
    for field in shape.fields:
        way = (*at, field.name)
        yield way, field
        yield from places(field.shape, way)


def put(body: Any, way: Path, value: Any) -> None:
    """Sets the value at the end of the way."""
    for step in way[:-1]:
        body = body[step]
    body[way[-1]] = value


def remove(body: Any, way: Path) -> None:
    """Takes the field at the end of the way out."""
    for step in way[:-1]:
        body = body[step]
    del body[way[-1]]


_NUMBERS = (
    Bad("NaN", Literal("NaN")),
    Bad("Infinity", Literal("Infinity")),
    Bad("minus Infinity", Literal("-Infinity")),
    Bad("1e400", Literal("1e400")),
    Bad("-1e400", Literal("-1e400")),
    Bad("2**70", 2**70),
    Bad("-2**70", -(2**70)),
    Bad("a number of 3,900 digits", Literal("9" * 3_900)),
    Bad("leading zeros", Literal("007")),
    Bad("hexadecimal", Literal("0x10")),
    Bad("a bare minus", Literal("-")),
    Bad("a boolean for a number", value=True),
    Bad("a number in quotes", "12"),
)
_NOT_SCALAR = (Bad("an array for a scalar", [1]), Bad("an object for a scalar", {"a": 1}))
_TIMES = (
    "0000-00-00",
    "yesterday",
    "",
    "2025-13-01T00:00:00Z",
    "2025-02-30T00:00:00Z",
    "2025-03-15T25:00:00Z",
    "2025-03-15T10:61:00Z",
    "2025-03-15T10:00:00+99:99",
    "99999-01-01T00:00:00Z",
    "2025-03-15T10:00:00Z\x00",
    "٢٠٢٥-03-15T10:00:00Z",
)
_ODD_TEXTS = (
    Bad("an empty text", "", refused=False),
    Bad("NUL in a text", "a\x00b", refused=False),
    Bad("half a surrogate pair", Literal('"\\ud800"'), refused=False),
    Bad("an overlong text", "x" * 3_000, refused=False),
    Bad("text beyond the basic plane", "\U0001f50c" * 40, refused=False),
    Bad("text from right to left", "\u202e\u0627\u0628", refused=False),
    Bad("a statement of SQL", "'; DROP TABLE devices; --", refused=False),
    Bad("a format string", "%s%n{0.__class__}${x}", refused=False),
    Bad("a way out of the folder", "../../../../etc/passwd", refused=False),
    Bad("line breaks", "a\r\nX-Evil: 1\r\n\r\n", refused=False),
)


def unfit(shape: Shape) -> tuple[Bad, ...]:
    """Values that the shape does not allow, and odd ones that it barely does."""
    found = _UNFIT.get(shape.kind, ())
    if shape.choices:
        found = (*_NOT_TEXT, *_choices(shape))
    return (*found, *_beyond(shape))


def _choices(shape: Shape) -> Iterator[Bad]:
    yield Bad("none of the choices", "nonsense")
    yield Bad("an empty choice", "")
    yield Bad("a choice in capitals", shape.choices[0].swapcase())
    yield Bad("a choice with a blank", f"{shape.choices[0]} ")


def _beyond(shape: Shape) -> Iterator[Bad]:
    if shape.lo is not None:
        yield Bad("below its bound", shape.lo - 1)
    if shape.hi is not None:
        yield Bad("above its bound", shape.hi + 1)


_NOT_TEXT = (
    Bad("a number for a text", 7),
    Bad("a boolean for a text", value=False),
    *_NOT_SCALAR,
)
_UNFIT: dict[Kind, tuple[Bad, ...]] = {
    Kind.STRING: (*_NOT_TEXT, *_ODD_TEXTS),
    Kind.TIME: (
        *(Bad(f"the time {text[:24]!r}", text) for text in _TIMES),
        Bad("a boolean for a time", value=True),
        *_NOT_SCALAR,
    ),
    Kind.INTEGER: (Bad("a fraction", 1.5), *_NUMBERS, *_NOT_SCALAR),
    Kind.NUMBER: (Bad("1e300", 1e300), *_NUMBERS, *_NOT_SCALAR),
    Kind.BOOLEAN: (Bad("a boolean in quotes", "true"), Bad("1 for true", 1), *_NOT_SCALAR),
    Kind.ARRAY: (
        Bad("an object for an array", {}),
        Bad("a text for an array", "a,b"),
        Bad("a number for an array", 1),
        Bad("an array of 500 nulls", [None] * 500),
    ),
    Kind.OBJECT: (
        Bad("an array for an object", []),
        Bad("a text for an object", "{}"),
        Bad("a number for an object", 0),
    ),
}
