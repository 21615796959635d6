"""Whether a JSON text is what a shape allows, judged on the text as it was sent.

Numbers are kept as they were written, so that `5.0` where an integer is promised is seen.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from tests.contract.shapes import Field, Kind, Shape, describe

_UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
_TIME_NAMES = ("_at", "_time", "timestamp")

# What stands in these is kept as somebody else sent it: it is judged no further.
AS_SENT = frozenset({"data", "details", "result", "params", "raw", "extras", "component_health"})


class NotStrictJsonError(ValueError):
    """The text is no JSON, or not the strict kind: NaN, a repeated key, bad UTF-8."""


def _refuse_constant(name: str) -> float:
    raise NotStrictJsonError(f"{name} is no JSON number")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    value = dict(pairs)
    if len(value) < len(names):
        repeated = min(name for name in names if names.count(name) > 1)
        raise NotStrictJsonError(f"key {repeated!r} stands twice in one object")
    return value


def parse_strictly(body: bytes) -> Any:
    """The JSON value in a body; a number with a point or an exponent comes back as float.

    Raises `NotStrictJsonError` with a readable reason.
    """
    try:
        return json.loads(
            body.decode("utf-8"),
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique_keys,
        )
    except NotStrictJsonError:
        raise
    except UnicodeDecodeError as error:
        raise NotStrictJsonError(f"not UTF-8: {error}") from error
    except RecursionError as error:
        raise NotStrictJsonError("nested too deeply to be read") from error
    except ValueError as error:
        raise NotStrictJsonError(f"not JSON: {error}") from error


def is_utc_time(value: object) -> bool:
    """Whether a value is an RFC 3339 time (section 5.6) in UTC, written with `Z`."""
    if not isinstance(value, str) or not _UTC_TIME.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value[:19])
    except ValueError:
        return False
    return True


def violations_of(shape: Shape, value: Any, where: str) -> Iterator[str]:
    """Everything in a value that the shape does not allow, one readable line each."""
    if value is None:
        if not shape.nullable and shape.kind not in {Kind.NULL, Kind.ANY}:
            yield f"{where} is null, which the contract does not name there"
        return
    problem = _JUDGES[shape.kind](shape, value)
    if problem:
        yield f"{where} {problem}"
    elif shape.kind is Kind.OBJECT and shape.fields:
        yield from _of_object(shape, value, where)
    elif shape.kind is Kind.ARRAY and shape.items is not None:
        for index, item in enumerate(value):
            yield from violations_of(shape.items, item, f"{where}[{index}]")


def _of_object(shape: Shape, value: dict[str, Any], where: str) -> Iterator[str]:
    for field in shape.fields:
        yield from _of_field(field, value, where)
    if shape.keeps_unknown:
        return
    for name in value.keys() - {field.name for field in shape.fields}:
        yield from _of_extra(name, value[name], f"{where}.{name}")


def _of_field(field: Field, value: dict[str, Any], where: str) -> Iterator[str]:
    if field.name in value:
        yield from violations_of(field.shape, value[field.name], f"{where}.{field.name}")
    elif field.required:
        yield f"{where}.{field.name} is missing, which the contract requires"
    elif field.always:
        yield f"{where}.{field.name} is missing, which is always promised"


def _of_extra(name: str, value: Any, where: str) -> Iterator[str]:
    """Additional properties are free, except that unknown means absent and times are UTC."""
    if value is None:
        yield f"{where} is null: an unknown value is left out"
    elif name in AS_SENT:
        return
    elif isinstance(value, str):
        if name.endswith(_TIME_NAMES) and not is_utc_time(value):
            yield f"{where} is no UTC time ending in Z: {describe(value)}"
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _of_extra(key, item, f"{where}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _of_extra(name, item, f"{where}[{index}]")


def _judge_string(shape: Shape, value: Any) -> str | None:
    if not isinstance(value, str):
        return f"is no string: {describe(value)}"
    if shape.choices and value not in shape.choices:
        return f"is none of {', '.join(shape.choices)}: {describe(value)}"
    if shape.longest is not None and len(value) > shape.longest:
        return f"is longer than {shape.longest} characters"
    return None


def _judge_time(_: Shape, value: Any) -> str | None:
    return None if is_utc_time(value) else f"is no UTC time ending in Z: {describe(value)}"


def _judge_number(shape: Shape, value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"is no number: {describe(value)}"
    if value in {float("inf"), float("-inf")}:
        return "is beyond what a double can hold"
    return _judge_bounds(shape, value)


def _judge_integer(shape: Shape, value: Any) -> str | None:
    if isinstance(value, float):
        return f"is an integer field written with a fraction or an exponent: {describe(value)}"
    if isinstance(value, bool) or not isinstance(value, int):
        return f"is no integer: {describe(value)}"
    return _judge_bounds(shape, value)


def _judge_bounds(shape: Shape, value: float) -> str | None:
    if shape.lo is not None and value < shape.lo:
        return f"is below {shape.lo}: {value}"
    if shape.hi is not None and value > shape.hi:
        return f"is above {shape.hi}: {value}"
    return None


def _judge_array(shape: Shape, value: Any) -> str | None:
    if not isinstance(value, list):
        return f"is no array: {describe(value)}"
    if shape.fewest is not None and len(value) < shape.fewest:
        return f"has fewer than {shape.fewest} items"
    if shape.most is not None and len(value) > shape.most:
        return f"has more than {shape.most} items"
    return None


def _judge_object(_: Shape, value: Any) -> str | None:
    return None if isinstance(value, dict) else f"is no object: {describe(value)}"


def _judge_boolean(_: Shape, value: Any) -> str | None:
    return None if isinstance(value, bool) else f"is no boolean: {describe(value)}"


def _judge_null(_: Shape, value: Any) -> str | None:
    return f"is not null: {describe(value)}"


def _judge_any(_: Shape, value: Any) -> str | None:
    return None


_JUDGES = {
    Kind.STRING: _judge_string,
    Kind.TIME: _judge_time,
    Kind.INTEGER: _judge_integer,
    Kind.NUMBER: _judge_number,
    Kind.BOOLEAN: _judge_boolean,
    Kind.OBJECT: _judge_object,
    Kind.ARRAY: _judge_array,
    Kind.NULL: _judge_null,
    Kind.ANY: _judge_any,
}
