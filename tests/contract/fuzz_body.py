"""Ways to spoil a request body: field by field, as a text, as bytes, in its encoding and size."""

import gzip
import json
from collections.abc import Callable, Iterator
from typing import Any

from tests.contract.fuzz_items import REFUSED, Draft, Mutation, takes_object
from tests.contract.fuzz_values import Bad, Path, places, put, remove, unfit, written
from tests.contract.shapes import Field, Operation
from tests.contract.surface_limits import body_limit_bytes

_TOO_LARGE = frozenset({413})
_REFUSED_MEDIA = frozenset({415})
_HUGE_BYTES = 5_000_000

Bytes = Callable[[Draft], bytes]


def body_mutations(operation: Operation) -> Iterator[Mutation]:
    """Every way to spoil the operation's body; none for operations without one."""
    if operation.takes_file:
        yield from _as_file()
    if operation.request is None:
        return
    for way, field in places(operation.request):
        yield from _of_field(operation, way, field)
    yield from _as_text(operation)
    yield from _as_bytes(operation)
    yield from _in_size(operation)
    yield from _in_encoding(operation)


# -------------------------------------------------------------------------- field by field


def _of_field(operation: Operation, way: Path, field: Field) -> Iterator[Mutation]:
    name = ".".join(map(str, way))
    # In a batch each item is judged for itself: the whole may be a success.
    in_batch = operation.path.endswith("/batch") and len(way) > 1
    for bad in unfit(field.shape):
        orderly = in_batch or not bad.refused or _is_admitted(operation, field, bad)
        yield Mutation(f"{bad.what} in {name}", _set(way, bad.value), orderly)
    if field.required:
        admitted = in_batch or _is_admitted(operation, field, None)
        yield Mutation(f"{name} missing", _without(way), admitted)
    if not field.shape.nullable:
        yield Mutation(f"null in {name}", _set(way, None), orderly=in_batch or not field.required)


def _is_admitted(operation: Operation, field: Field, bad: Bad | None) -> bool:
    """What the contract would refuse and this implementation is known to take."""
    if operation.path.endswith("/events") and field.name == "connector_id":
        return bad is None or bad.value == 0
    if field.name == "fault_code":
        return bad is not None and isinstance(bad.value, str)
    return False


def _set(way: Path, value: Any) -> Callable[[Draft], None]:
    def spoil(draft: Draft) -> None:
        body = json.loads(draft.body)
        put(body, way, value)
        draft.body = written(body)
        # A long literal may be over the small bound of the credential operations.
        if len(draft.body) > body_limit_bytes(draft.operation.path):
            draft.acceptable = REFUSED | _TOO_LARGE

    return spoil


def _without(way: Path) -> Callable[[Draft], None]:
    def spoil(draft: Draft) -> None:
        body = json.loads(draft.body)
        remove(body, way)
        draft.body = written(body)

    return spoil


# ---------------------------------------------------------------------------- as a text


def _as(make: Bytes, acceptable: frozenset[int] = REFUSED) -> Callable[[Draft], None]:
    def spoil(draft: Draft) -> None:
        draft.body = make(draft)
        draft.acceptable = acceptable

    return spoil


def _fixed(text: bytes) -> Bytes:
    return lambda _: text


def _with_member(text: bytes) -> Bytes:
    """The body with one more member written before all others."""

    def make(draft: Draft) -> bytes:
        rest = draft.body[1:]
        return b"{" + text + (rest if rest == b"}" else b", " + rest)

    return make


def _cut(draft: Draft) -> bytes:
    return draft.body[: draft.rng.randrange(1, max(2, len(draft.body)))]


def _noise(draft: Draft) -> bytes:
    return b"\x01" + draft.rng.randbytes(draft.rng.randrange(1, 400))


def _flipped(draft: Draft) -> bytes:
    """A body whose closing brace became something else: never valid, however it is read."""
    return draft.body[:-1] + bytes([draft.rng.choice(b")>,:{[")])


def _as_text(operation: Operation) -> Iterator[Mutation]:
    if operation.body_required:
        yield Mutation("an empty body", _as(_fixed(b"")))
        yield Mutation("null as body", _as(_fixed(b"null")))
    else:
        yield Mutation("null as body", _as(_fixed(b"null")), orderly=True)
    if takes_object(operation):
        for text in (b"[]", b"[{}]", b"7", b'"text"', b"true", b"1.5"):
            yield Mutation(f"{text.decode()} as body", _as(_fixed(text)))
    for text in (b" ", b"{", b"}", b"{]", b'{"a"', b'{"a":}', b"{'a': 1}", b"{a: 1}"):
        yield Mutation(f"{text.decode()!r} as body", _as(_fixed(text)))
    yield Mutation("a truncated body", _as(_cut))
    yield Mutation("a body with a wrong end", _as(_flipped))
    yield Mutation("something after the body", _as(lambda draft: draft.body + b"x"))
    yield Mutation("two bodies", _as(lambda draft: draft.body + draft.body))
    yield Mutation("a comment", _as(lambda draft: b"/* a */" + draft.body))
    yield Mutation("a trailing comma", _as(lambda draft: draft.body[:-1] + b",}"))
    if takes_object(operation):
        yield from _with_members()


def _with_members() -> Iterator[Mutation]:
    deep = 40
    for what, text in {
        "arrays 40 deep": b'"zz": ' + b"[" * deep + b"]" * deep,
        "objects 40 deep": b'"zz": ' + b'{"a":' * deep + b"1" + b"}" * deep,
        "arrays 1,500 deep": b'"zz": ' + b"[" * 1_500 + b"]" * 1_500,
        "NaN in an unknown field": b'"zz": NaN',
        "bad UTF-8 in an unknown field": b'"zz": "\xff\xfe"',
    }.items():
        yield Mutation(what, _as(_with_member(text)))
    for what, text in {
        "a repeated key": b'"zz": 1, "zz": 2',
        "an unknown field": b'"zz": {"a": [1, 2, {"b": null}]}',
        "a field named __proto__": b'"__proto__": {"admin": true}',
        "an empty field name": b'"": 1',
        "a long field name": b'"' + b"n" * 2_000 + b'": 1',
        "2**70 in an unknown field": b'"zz": 1180591620717411303424',
        "1e400 in an unknown field": b'"zz": 1e400',
    }.items():
        yield Mutation(what, _as(_with_member(text)), orderly=True)


# ----------------------------------------------------------------------------- as bytes


def _as_bytes(operation: Operation) -> Iterator[Mutation]:
    yield Mutation("random bytes", _as(_noise))
    yield Mutation("UTF-16", _as(lambda draft: draft.body.decode().encode("utf-16")))
    yield Mutation("UTF-32", _as(lambda draft: draft.body.decode().encode("utf-32")))
    yield Mutation("a NUL before the body", _as(lambda draft: b"\x00" + draft.body))
    yield Mutation("a NUL after the body", _as(lambda draft: draft.body + b"\x00"))
    yield Mutation("only NULs", _as(_fixed(b"\x00" * 64)))
    marked = _as(lambda draft: b"\xef\xbb\xbf" + draft.body)
    yield Mutation("a byte order mark", marked, orderly=True)
    if not takes_object(operation):
        return
    for what, text in {
        "a lone continuation byte": b"\x80",
        "an overlong NUL": b"\xc0\x80",
        "an encoded surrogate": b"\xed\xa0\x80",
        "a code point too high": b"\xf4\x90\x80\x80",
        "half a character": b"\xe2\x82",
        "a raw NUL": b"\x00",
        "a raw line break": b"\n",
    }.items():
        yield Mutation(f"{what} in a text", _as(_with_member(b'"zz": "a' + text + b'b"')))
        yield Mutation(f"{what} in a field name", _as(_with_member(b'"z' + text + b'": 1')))
    for first in ("sn", "model", "message", "reason", "schedule_id", "firmware_version"):
        if operation.request is not None and operation.request.field(first):
            yield Mutation(f"bad UTF-8 in {first}", _as(_bad_text(first)))


def _bad_text(name: str) -> Bytes:
    def make(draft: Draft) -> bytes:
        body = json.loads(draft.body)
        body[name] = "@here@"
        return json.dumps(body).encode().replace(b"@here@", b"caf\xe9")

    return make


# ------------------------------------------------------------------------------ as a file


def _as_file() -> Iterator[Mutation]:
    """Raw bytes to an address that nobody was told: whatever they are, they find nothing."""
    refused = frozenset({400, 404})
    for what, make in {
        "a file of noise": _noise,
        "an empty file": _fixed(b""),
        "a file of 200 kB": _fixed(bytes(200_000)),
        "JSON as a file": _fixed(b'{"a": 1}'),
    }.items():
        yield Mutation(what, _as(make, refused))
    for name in ("gzip", "br", "compress, gzip", "x-unknown"):
        yield Mutation(f"a file with content encoding {name}", _encoded(name))
    for text in ("///", "application", ";", "text/html; charset=\x01", "a/b" * 100):
        yield Mutation(f"a file of content type {text[:20]!r}", _typed(text), orderly=True)


def _encoded(name: str) -> Callable[[Draft], None]:
    def spoil(draft: Draft) -> None:
        draft.headers["content-encoding"] = name
        draft.body = b"x"
        draft.acceptable = frozenset({404, 415})

    return spoil


def _typed(text: str) -> Callable[[Draft], None]:
    def spoil(draft: Draft) -> None:
        draft.headers["content-type"] = text
        draft.body = b"x"

    return spoil


# ------------------------------------------------------------------------ size, encoding


def _padded(size: int, draft: Draft) -> bytes:
    return draft.body + b" " * (size - len(draft.body))


def _too_large(size: int) -> Callable[[Draft], None]:
    def spoil(draft: Draft) -> None:
        draft.body = _padded(size, draft)
        draft.acceptable = _TOO_LARGE
        draft.may_close = True

    return spoil


def _in_size(operation: Operation) -> Iterator[Mutation]:
    limit = body_limit_bytes(operation.path)
    yield Mutation("one byte too many", _too_large(limit + 1))
    yield Mutation("twice the size", _too_large(2 * limit))
    if limit < _HUGE_BYTES:
        yield Mutation("5 MB", _too_large(_HUGE_BYTES))
    full = _as(lambda draft: _padded(limit, draft)[:-1] + b"x")
    yield Mutation("wrong in the last byte that fits", full)


def _media(text: str) -> Callable[[Draft], None]:
    def spoil(draft: Draft) -> None:
        draft.headers["content-type"] = text
        draft.acceptable = _REFUSED_MEDIA

    return spoil


def _zipped(name: str) -> Callable[[Draft], None]:
    def spoil(draft: Draft) -> None:
        draft.headers["content-encoding"] = name
        draft.body = gzip.compress(draft.body, mtime=0)
        draft.acceptable = REFUSED | _REFUSED_MEDIA

    return spoil


def _in_encoding(operation: Operation) -> Iterator[Mutation]:
    for text in ("text/plain", "application/xml", "text/json5", "multipart/form-data; boundary=x"):
        yield Mutation(f"content type {text}", _media(text))
    if not operation.path.endswith("/token"):
        form = "application/x-www-form-urlencoded"
        yield Mutation("a form's content type", _media(form))
    for text in ("///", "application/json; charset=utf-16", "application", ";"):
        yield Mutation(f"content type {text}", _media(text), orderly=True)
    for name in ("gzip", "br", "deflate", "compress, gzip", "x-unknown"):
        yield Mutation(f"content encoding {name}", _zipped(name))
