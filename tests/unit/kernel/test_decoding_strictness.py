import msgspec
import pytest
from msgspec import UNSET, UnsetType

from tellus.kernel.decoding import BodyDecoder, convert_query
from tellus.kernel.errors import InvalidParameter


class Body(msgspec.Struct):
    name: str


class Query(msgspec.Struct):
    size: int = 20
    page: int | UnsetType = UNSET


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "a", "other": "\xff\xfe"}',
        b'{"name": "a", "other": "\xed\xa0\x80"}',
        b'{"name": "a", "oth\xc0\x80er": 1}',
        b'{"name": "a", "other": {"deep": ["\xf4\x90\x80\x80"]}}',
    ],
)
def test_body__of_bad_utf8_in_an_unknown_property__is_refused(body: bytes) -> None:
    """Text that is no UTF-8 is refused wherever it stands, also where nobody reads it."""
    with pytest.raises(InvalidParameter):
        BodyDecoder(Body).decode(body)


def test_body__of_good_utf8_in_an_unknown_property__is_taken() -> None:
    """Letters beyond ASCII are fine in all places."""
    body = '{"name": "Ladesäule", "другое": "充电"}'.encode()
    assert BodyDecoder(Body).decode(body).name == "Ladesäule"


@pytest.mark.parametrize("text", ["1e2", "1_0", "+5", " 5", "0x10", "", "5.5", "\u0661", "5\n"])
@pytest.mark.parametrize("name", ["size", "page"])
def test_query__integer_written_otherwise_than_in_digits__is_refused(name: str, text: str) -> None:
    """An integer in a query is digits, perhaps behind a minus, perhaps with `.0`."""
    with pytest.raises(InvalidParameter):
        convert_query({name: text}, Query)


@pytest.mark.parametrize(("text", "value"), [("5", 5), ("-5", -5), ("5.0", 5)])
def test_query__integer_in_digits__is_read(text: str, value: int) -> None:
    """What is an integer to JSON Schema is one here."""
    assert convert_query({"size": text}, Query).size == value
