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
from tellus.kernel.vins import find_vin

T = TypeVar("T")

DEPTH_LARGEST = 16
_MENDS = 600
_REASON_CHARACTERS = 160
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
_MENDABLE = re.compile(r"`int`?.*got `float`|Invalid RFC3339")
_LEAP_SECOND = re.compile(r"(\d[Tt ]\d\d:\d\d):60")
_SECRET_FIELD = re.compile(r"secret|token|vin|(?:^|[._])imei|password|authorization", re.IGNORECASE)
_SECRET_SHAPE = re.compile(r"eyJ|sk_|cs_|Bearer ", re.IGNORECASE)


class BodyDecoder(Generic[T]):
    """Decodes JSON bytes into one msgspec type, or raises an ``ApiError`` that names the field.

    ``whole`` False is for an envelope of items that are decoded one by one later: what is wrong
    inside an item must not refuse the others.
    """

    def __init__(self, kind: type[T], *, whole: bool = True) -> None:
        self._kind = kind
        self._whole = whole
        self._decoder = msgspec.json.Decoder(kind)

    def decode(self, body: bytes) -> T:
        """Return the value of ``body``.

        Raises:
            InvalidParameter: malformed JSON, a wrong type or a value out of bounds.
            MissingParameter: a required field is absent.
        """
        if not body.isascii():
            _require_utf8(body)  # the decoder skips unknown properties without a look
        if self._whole:
            _check_content(body)
        try:
            return self._decoder.decode(body)
        except msgspec.ValidationError as error:
            if _MENDABLE.search(str(error)):
                return self._mend(body)
            raise describe(error, body) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
            message = "The body is not valid JSON"
            raise InvalidParameter(message, "body") from None

    def _mend(self, body: bytes) -> T:
        """Decode again with integral floats as integers, and leap seconds as the second before."""
        plain = _decode_plainly(body)
        for _ in range(_MENDS):
            try:
                return msgspec.convert(plain, self._kind)
            except msgspec.ValidationError as error:
                if not _MENDABLE.search(str(error)) or not _mend_value(plain, str(error)):
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
    words = reason[:1].lower() + reason[1:].replace("`", "'")
    return words if len(words) <= _REASON_CHARACTERS else words[:_REASON_CHARACTERS] + "…"


def _is_private(field: str, value: Any) -> bool:
    if _SECRET_FIELD.search(field):
        return True
    return isinstance(value, str) and bool(find_vin(value) or _SECRET_SHAPE.search(value))


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


def _mend_value(plain: Any, message: str) -> bool:
    """Mend the value that ``message`` points at, in place; tell whether it could be mended."""
    place = _PLACE.search(message)
    steps = [name or int(index) for name, index in _STEP.findall(place[1])] if place else []
    if not steps:
        return False
    holder: Any = plain
    for step in steps[:-1]:
        holder = holder[step]
    value = holder[steps[-1]]
    mended: Any = None
    if isinstance(value, float) and value.is_integer():
        mended = int(value)
    elif isinstance(value, str) and _LEAP_SECOND.search(value):
        mended = _LEAP_SECOND.sub(r"\1:59", value)
    if mended is None:
        return False
    holder[steps[-1]] = mended
    return True


def _decode_plainly(body: bytes) -> Any:
    """Return all of ``body``, also what lies behind the first fault and in unknown properties."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        message = "The body is not valid JSON"
        raise InvalidParameter(message, "body") from None


def _require_utf8(body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError:
        message = "The body is not valid UTF-8"
        raise InvalidParameter(message, "body") from None


def _check_content(body: bytes) -> None:
    """Refuse what the decoder would let pass: NUL in text, nesting over 16."""
    if b"\\u0000" in body and _NUL_ESCAPE.search(body):
        raise InvalidParameter("Text must not contain the NUL character", "body")
    if body.count(b"{") + body.count(b"[") > DEPTH_LARGEST and _depth(body) > DEPTH_LARGEST:
        raise InvalidParameter(f"The body is nested more than {DEPTH_LARGEST} deep", "body")


def _depth(body: bytes) -> int:
    """Return how deep arrays and objects nest; one more than allowed stands for anything deeper."""
    bare = _STRINGS.sub(b"", body).translate(None, _BRACKETS)
    for depth in range(DEPTH_LARGEST + 1):
        if not bare:
            return depth
        bare = _INNERMOST.sub(b"", bare)
    return DEPTH_LARGEST + 1
