"""Bodies and cursors made to cost much, or to ask the store for what it cannot hold."""

import base64
import json
from typing import Any

import msgspec
import pytest

from tellus.kernel import decoding
from tellus.kernel.decoding import BodyDecoder
from tellus.kernel.errors import InvalidParameter
from tellus.kernel.paging import read_cursor, write_cursor


@pytest.mark.parametrize("tail", [b"", b"\\", b"]]", b"\\\\"])
def test_depth__unterminated_string_of_escaped_quotes__is_one_string(tail: bytes) -> None:
    """The search for strings never begins anew inside one, so its work grows with the body only."""
    body = b'"' + b'\\"' * 50_000 + tail
    found = decoding._STRINGS.findall(body)
    assert found == [body]


def test_decode__deep_and_unterminated__is_refused() -> None:
    """Brackets before a string without an end are still counted, and the body is refused."""
    body = b"[" * 17 + b'"' + b'\\"' * 400_000
    with pytest.raises(InvalidParameter, match="nested"):
        BodyDecoder(list[Any]).decode(body)


@pytest.mark.parametrize("text", [b'"[[[[[[[[[[[[[[[[[[["', b'"\\"[[[[[[[[[[[[[[[[[[["'])
def test_decode__brackets_in_a_string__do_not_nest(text: bytes) -> None:
    """Only brackets outside of strings count, escaped quotes or not."""
    assert BodyDecoder(list[Any]).decode(b"[" + text + b"]")


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**70, 10**300])
def test_cursor__integer_beyond_64_bits__is_refused(number: int) -> None:
    """A cursor with a number that no row can have is none of ours."""
    raw = json.dumps([1, "rec", number]).encode()
    text = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    with pytest.raises(InvalidParameter):
        read_cursor(text, int, str, int)


@pytest.mark.parametrize("number", [-(2**63), -1, 0, 2**63 - 1])
def test_cursor__integer_of_64_bits__is_read_back(number: int) -> None:
    """Every position that the store can name comes back as it was written."""
    assert read_cursor(write_cursor(number, "rec", 1), int, str, int) == (number, "rec", 1)


class Reading(msgspec.Struct):
    """A body with an integer, which chargers also write as ``1.0``."""

    number: int
    power: float


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        b'"power":1',
        b'"power":1}}',
        b"power:1}",
        b'"power":1,"x":1e400}',
        b'"power":1,"x":NaN}',
        b'"power":1,"x":"\\ud800"}',
        b'"power":1,"x":' + b"9" * 5_000 + b"}",
    ],
)
@pytest.mark.parametrize("number", [b"1.0", b"1.5", b"1e300"])
def test_decode__broken_behind_a_fractional_integer__is_refused(number: bytes, rest: bytes) -> None:
    """The second look at a body that has one finds what the first had not come to."""
    with pytest.raises(InvalidParameter):
        BodyDecoder(Reading).decode(b'{"number":' + number + b"," + rest)
