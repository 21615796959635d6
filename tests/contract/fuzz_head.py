"""Ways to spoil the rest of a request: query, path, method, headers."""

from collections.abc import Callable, Iterator
from urllib.parse import quote

from tests.contract.fuzz_items import REFUSED, Draft, Mutation
from tests.contract.shapes import Audience, Kind, Operation, Parameter

_UNKNOWN = frozenset({400, 404})
_NO_ROUTE = frozenset({400, 404, 405})
_TOO_LONG = frozenset({400, 404, 414, 431})
_NO_METHOD = frozenset({400, 405, 501})
_NOBODY = frozenset({401})

_NOT_INTEGERS = (
    ("abc", "abc"),
    ("a fraction", "1.5"),
    ("nothing", ""),
    ("a blank", "%20"),
    ("-1", "-1"),
    ("2**70", str(2**70)),
    ("5,000 digits", "9" * 5_000),
    ("an exponent", "1e2"),
    ("hexadecimal", "0x10"),
    ("an underscore", "1_0"),
    ("digits of another script", quote("\u0661")),
    ("a NUL", "%00"),
    ("a NUL after a digit", "1%00"),
    ("bad UTF-8", "%ff%fe"),
    ("true", "true"),
    ("JSON", "%5B1%5D"),
)
_NOT_TIMES = (
    ("a word", "yesterday"),
    ("no date", "0000-00-00"),
    ("a month too many", "2025-13-01T00:00:00Z"),
    ("a day too many", "2025-02-30T00:00:00Z"),
    ("a NUL", "2025-03-15T10:00:00Z%00"),
    ("bad UTF-8", "%ff"),
    ("five digits of years", "99999-01-01T00:00:00Z"),
    ("an offset of 99 hours", "2025-03-15T10:00:00%2B99:99"),
)
_ODD_TEXTS = (
    ("a NUL", "%00"),
    ("bad UTF-8", "%ff%fe"),
    ("an encoded surrogate", "%ed%a0%80"),
    ("a way out of the folder", "..%2F..%2Fetc%2Fpasswd"),
    ("SQL", "%27%3B%20DROP%20TABLE%20devices%3B--"),
    ("a broken percent sign", "%zz"),
    ("half a percent sign", "a%"),
    ("commas", ",,,,"),
    ("300 characters", "x" * 300),
    ("line breaks", "a%0d%0aX-Evil:%201"),
)
_NOT_IDS = (
    ("dots", ".."),
    ("encoded dots", "%2e%2e"),
    ("an encoded slash", "a%2Fb"),
    ("a NUL", "%00"),
    ("a NUL at the end", "dvc_1%00"),
    ("bad UTF-8", "%ff%fe"),
    ("a blank", "a%20b"),
    ("a leading underscore", "_a"),
    ("SQL", "%27%20OR%201%3D1--"),
    ("a template", "%7B%7B7*7%7D%7D"),
    ("another script", quote("заряд")),
    ("65 characters", "x" * 65),
    ("a broken percent sign", "%zz"),
    ("a colon first", ":a"),
)


def head_mutations(operation: Operation) -> Iterator[Mutation]:
    """Every way to spoil the query, path, method and headers of an operation's requests."""
    for parameter in operation.parameters_in("query"):
        yield from _in_query(parameter)
    for parameter in operation.parameters_in("path"):
        yield from _in_path(parameter)
    yield from _query_at_large()
    yield from _in_method()
    yield from _in_headers(operation)


def _query(name: str, *texts: str, acceptable: frozenset[int] = REFUSED) -> Callable[[Draft], None]:
    def spoil(draft: Draft) -> None:
        others = [(key, value) for key, value in draft.query if key != name]
        draft.query = [*others, *((name, text) for text in texts)]
        draft.acceptable = acceptable

    return spoil


def _in_query(parameter: Parameter) -> Iterator[Mutation]:
    name, shape = parameter.name, parameter.shape
    texts = {Kind.INTEGER: _NOT_INTEGERS, Kind.TIME: _NOT_TIMES}.get(shape.kind, ())
    for what, text in texts:
        acceptable = _TOO_LONG if len(text) > 1_000 else REFUSED
        yield Mutation(f"{what} in query {name}", _query(name, text, acceptable=acceptable))
    if shape.lo is not None:
        below = str(int(shape.lo) - 1)
        yield Mutation(f"below the bound of query {name}", _query(name, below))
    if shape.hi is not None:
        above = str(int(shape.hi) + 1)
        yield Mutation(f"above the bound of query {name}", _query(name, above))
    if shape.choices:
        yield Mutation(f"no choice of query {name}", _query(name, "nonsense"))
        yield Mutation(f"capitals in query {name}", _query(name, shape.choices[0].upper()))
    if parameter.required:
        yield Mutation(f"query {name} missing", _query(name))
    if shape.kind is Kind.STRING and not shape.choices:
        for what, text in _ODD_TEXTS:
            yield Mutation(f"{what} in query {name}", _query(name, text), orderly=True)
    twice = _query(name, "1", "2")
    yield Mutation(f"query {name} twice", twice, orderly=True)
    endless = _query(name, "z" * 20_000, acceptable=_TOO_LONG)
    yield Mutation(f"20,000 characters in query {name}", endless)


def _query_at_large() -> Iterator[Mutation]:
    for what, pair in (
        ("an unknown parameter", ("zz", "1")),
        ("an empty parameter name", ("", "1")),
        ("a parameter name with a NUL", ("%00", "1")),
        ("a parameter name of bad UTF-8", ("%ff", "1")),
        ("brackets in a parameter name", ("page[]", "1")),
        ("a semicolon", ("a", "1;b=2")),
        ("many separators", ("a", "&&&=&==&")),
    ):
        yield Mutation(what, _more_query(*pair), orderly=True)
    yield Mutation("1,000 parameters", _many_parameters, orderly=True)


def _more_query(name: str, text: str) -> Callable[[Draft], None]:
    def spoil(draft: Draft) -> None:
        draft.query.append((name, text))

    return spoil


def _many_parameters(draft: Draft) -> None:
    draft.query.extend((f"q{index}", "1") for index in range(1_000))
    draft.acceptable = _TOO_LONG


def _path(name: str, text: str, acceptable: frozenset[int]) -> Callable[[Draft], None]:
    def spoil(draft: Draft) -> None:
        draft.path[name] = text
        draft.acceptable = acceptable

    return spoil


def _in_path(parameter: Parameter) -> Iterator[Mutation]:
    name = parameter.name
    if parameter.shape.kind is Kind.INTEGER:
        texts: tuple[tuple[str, str], ...] = (*_NOT_INTEGERS, ("0", "0"))
    else:
        texts = (*_NOT_IDS, ("nothing", ""))
    for what, text in texts:
        wrong = _TOO_LONG if len(text) > 1_000 else _UNKNOWN
        # An empty segment, dots or a slash may well lead to another route.
        stray = text in {"", "..", "%2e%2e", "a%2Fb"}
        acceptable = _NO_ROUTE if stray else wrong
        yield Mutation(f"{what} in path {name}", _path(name, text, acceptable))
    yield Mutation(f"9,000 characters in path {name}", _path(name, "y" * 9_000, _TOO_LONG))


def _method(name: str, acceptable: frozenset[int]) -> Callable[[Draft], None]:
    def spoil(draft: Draft) -> None:
        draft.method = name
        draft.acceptable = acceptable

    return spoil


def _in_method() -> Iterator[Mutation]:
    for name in ("TRACE", "PROPFIND", "BREW"):
        yield Mutation(f"method {name}", _method(name, _NO_METHOD))
    for suffix in ("/", "/zz", "//", "/..", "%00", ";a=1"):
        yield Mutation(f"{suffix} after the path", _after_path(suffix), orderly=True)


def _after_path(suffix: str) -> Callable[[Draft], None]:
    def spoil(draft: Draft) -> None:
        path, _, query = draft.request_target().partition("?")
        draft.target = f"{path}{suffix}?{query}" if query else f"{path}{suffix}"
        draft.acceptable = _NO_ROUTE

    return spoil


def _header(name: str, text: str, acceptable: frozenset[int]) -> Callable[[Draft], None]:
    def spoil(draft: Draft) -> None:
        draft.headers[name] = text
        draft.acceptable = acceptable

    return spoil


def _in_headers(operation: Operation) -> Iterator[Mutation]:
    if operation.audience is not Audience.ANYONE:
        for text in (
            "Bearer",
            "Bearer x",
            "Bearer a.b.c",
            "Bearer e30.e30.",
            "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.",
            "Bearer one two",
            "Basic !!!",
            "Digest username=a",
            "Bearer " + "." * 300,
            "Bearer " + "A" * 6_000,
        ):
            acceptable = _NOBODY | ({431} if len(text) > 4_000 else set())
            spoil = _header("authorization", text, acceptable)
            yield Mutation(f"authorization {text[:24]!r}", spoil)
    too_many = _header("x-filler", "f" * 30_000, frozenset({400, 431}))
    yield Mutation("30,000 characters in a header", too_many)
    for name, text in (
        ("accept", "image/png;q=2, */*;q=x"),
        ("x-request-id", "a b'\"<script>" + "r" * 300),
        ("idempotency-key", "k" * 400),
        ("idempotency-key", ";'--"),
        ("x-signature", "no signature"),
        ("x-timestamp", "0000-00-00"),
        ("forwarded", "for=_evil;proto=gopher"),
        ("x-forwarded-for", "999.1.1.1, ::::"),
        ("if-none-match", '"'),
        ("range", "bytes=9-1"),
        ("origin", "null"),
        ("cookie", "=;=;="),
    ):
        yield Mutation(f"odd header {name}", _odd(name, text), orderly=True)


def _odd(name: str, text: str) -> Callable[[Draft], None]:
    def spoil(draft: Draft) -> None:
        draft.headers[name] = text

    return spoil
