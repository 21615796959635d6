"""From bytes to typed values: one decoder for all bodies, and errors that name the field.

Accepts what JSON Schema 2020-12 calls an integer (``55.0``) for integer fields. Refuses nesting
over 16, NUL in text, and whatever msgspec refuses (NaN, Infinity, numbers out of range, bad UTF-8).
"""

import re
from collections.abc import Hashable
from datetime import datetime
from functools import cache
from typing import Any, Generic, TypeVar, cast, get_args

import msgspec

from tellus.kernel.errors import ApiError, InvalidParameter, MissingParameter

T = TypeVar("T")

DEPTH_LARGEST = 16
_INTEGER_REPAIRS = 600
_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
# A string without an end reaches to the end: were it no match, the search would begin anew at each
# of its escaped quotes and take hours over a large body.
_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_INNERMOST = re.compile(rb"\{\}|\[\]")
_NUL_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_MISSING = re.compile(r"Object missing required field `([^`]+)`(?: - at `\$([^`]*)`)?")
_PLACE = re.compile(r" - at `(?:key in )?\$([^`]*)`$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_INTEGER = re.compile(r"-?[0-9]+(?:\.0+)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]")
_SECRET_FIELD = re.compile(r"secret|token|vin|password|authorization", re.IGNORECASE)
_VIN = re.compile(r"[A-HJ-NPR-Za-hj-npr-z0-9]{17}")
_SECRET_SHAPE = re.compile(r"eyJ|sk_|cs_|Bearer ", re.IGNORECASE)


class BodyDecoder(Generic[T]):
    """Decodes JSON bytes into one msgspec type, or raises an ``ApiError`` that names the field."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._decoder = msgspec.json.Decoder(kind)

    def decode(self, body: bytes) -> T:
        """Return the value of ``body``.

        Raises:
            InvalidParameter: malformed JSON, a wrong type or a value out of bounds.
            MissingParameter: a required field is absent.
        """
        if not body.isascii():
            _require_utf8(body)  # the decoder skips unknown properties without a look
        if b"\\u0000" in body and _NUL_ESCAPE.search(body):
            message = "Text must not contain the NUL character"
            raise InvalidParameter(message, "body")
        if body.count(b"{") + body.count(b"[") > DEPTH_LARGEST and _depth(body) > DEPTH_LARGEST:
            raise InvalidParameter(f"The body is nested more than {DEPTH_LARGEST} deep", "body")
        try:
            return self._decoder.decode(body)
        except msgspec.ValidationError as error:
            if "`, got `float`" in str(error) and "`int" in str(error):
                return self._repair_integers(body)
            raise describe(error, body) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
            message = "The body is not valid JSON"
            raise InvalidParameter(message, "body") from None

    def _repair_integers(self, body: bytes) -> T:
        """Decode again with integral floats turned into integers where integers are wanted."""
        plain = msgspec.json.decode(body)
        for _ in range(_INTEGER_REPAIRS):
            try:
                return msgspec.convert(plain, self._kind)
            except msgspec.ValidationError as error:
                if "`, got `float`" not in str(error) or not _make_integer(plain, str(error)):
                    raise describe(error, body) from None
        raise InvalidParameter("The body has too many fractional integers", "body")


def convert_query(values: dict[str, str], kind: type[T]) -> T:
    """Return query or form ``values`` as a ``kind``; text is read as numbers where wanted.

    Raises:
        InvalidParameter: a wrong type or a value out of bounds.
        MissingParameter: a required parameter is absent.
    """
    for name in _integer_fields(cast("Hashable", kind)):
        if name in values and not _INTEGER.fullmatch(values[name]):
            raise InvalidParameter(f"Parameter '{name}' must be an integer", name, values[name])
    for name in _time_fields(cast("Hashable", kind)):
        if name in values and not _DATE.match(values[name]):
            raise InvalidParameter(
                f"Parameter '{name}' must be an RFC 3339 date and time", name, values[name]
            )
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _describe_value(error, values) from None


@cache
def _integer_fields(kind: Hashable) -> tuple[str, ...]:
    """Return the fields that hold an integer: as text, ``1e2`` would be read as one."""
    described = msgspec.inspect.type_info(kind)
    fields = described.fields if isinstance(described, msgspec.inspect.StructType) else ()
    return tuple(field.encode_name for field in fields if _is_integer(field.type))


def _is_integer(kind: msgspec.inspect.Type) -> bool:
    if isinstance(kind, msgspec.inspect.UnionType):
        return any(isinstance(part, msgspec.inspect.IntType) for part in kind.types)
    return isinstance(kind, msgspec.inspect.IntType)


@cache
def _time_fields(kind: Hashable) -> tuple[str, ...]:
    """Return the fields that hold a time: as text, a bare number would be read as an epoch time."""
    return tuple(
        field.name
        for field in msgspec.structs.fields(cast("type[msgspec.Struct]", kind))
        if datetime in (field.type, *get_args(field.type))
    )


def describe(error: msgspec.ValidationError, body: bytes) -> ApiError:
    """Return the API's error for a validation error found in ``body``."""
    try:
        plain = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        plain = None
    return _describe_value(error, plain)


def _describe_value(error: msgspec.ValidationError, plain: Any) -> ApiError:
    text = str(error)
    missing = _MISSING.search(text)
    if missing:
        return MissingParameter(_field_name((missing[2] or "") + "." + missing[1]))
    place = _PLACE.search(text)
    reason = text[: place.start()] if place else text
    path = place[1] if place else ""
    field = _field_name(path)
    value = _look_up(plain, path) if path else None
    if value is not None and _is_private(field, value):
        value = None
    name = f"Parameter '{field}'" if path else "The body"
    return InvalidParameter(f"{name} is not valid: {_plain_words(reason)}", field or "body", value)


def _field_name(path: str) -> str:
    return path.removeprefix(".").replace("[...]", "")


def _plain_words(reason: str) -> str:
    return reason[:1].lower() + reason[1:].replace("`", "'")


def _is_private(field: str, value: Any) -> bool:
    if _SECRET_FIELD.search(field):
        return True
    return isinstance(value, str) and bool(_VIN.search(value) or _SECRET_SHAPE.search(value))


def _look_up(plain: Any, path: str) -> Any:
    value = plain
    for name, index in _STEP.findall(path):
        if name and isinstance(value, dict):
            value = value.get(name)
        elif index and isinstance(value, list) and int(index) < len(value):
            value = value[int(index)]
        else:
            return None
    return value if isinstance(value, str | int | float | bool) else None


def _make_integer(plain: Any, message: str) -> bool:
    """Turn the integral float that ``message`` points at into an integer, in place."""
    place = _PLACE.search(message)
    steps = _STEP.findall(place[1]) if place else []
    if not steps:
        return False
    holder: Any = plain
    for name, index in steps[:-1]:
        holder = holder[name] if name else holder[int(index)]
    name, index = steps[-1]
    key: Any = name or int(index)
    value = holder[key]
    if not isinstance(value, float) or not value.is_integer():
        return False
    holder[key] = int(value)
    return True


def _require_utf8(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError:
        message = "The body is not valid UTF-8"
        raise InvalidParameter(message, "body") from None


def _depth(body: bytes) -> int:
    """Return how deep arrays and objects nest; one more than allowed stands for anything deeper."""
    bare = _STRINGS.sub(b"", body).translate(None, _BRACKETS)
    for depth in range(DEPTH_LARGEST + 1):
        if not bare:
            return depth
        bare = _INNERMOST.sub(b"", bare)
    return DEPTH_LARGEST + 1
