"""Rows as the bytes of files, and which file is asked for."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellus.kernel.errors import NotAcceptable
from tellus.kernel.tables import Column, Kind
from tellus.surfaces import streaming_parquet
from tellus.surfaces.streaming_csv import CsvEncoder
from tellus.surfaces.streaming_formats import CSV_TYPE, FORMATS, PARQUET_TYPE, choose_format

COLUMNS = (
    Column("name"),
    Column("count", Kind.INTEGER),
    Column("power", Kind.NUMBER),
    Column("time", Kind.TIME),
)
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"))
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def encode(*rows: tuple[Any, ...]) -> bytes:
    """A CSV file of rows."""
    encoder = CsvEncoder(COLUMNS)
    return encoder.begin() + encoder.add(rows) + encoder.end()


def test_csv__kinds_of_cells__have_their_forms() -> None:
    """Times are RFC 3339, numbers are not touched, what is not known is empty."""
    text = encode(("a", 1, -2.5, 1_767_225_600_000), (None, None, None, None))
    assert text == b"name,count,power,time\r\na,1,-2.5,2026-01-01T00:00:00Z\r\n,,,\r\n"


@given(TEXTS)
def test_csv__any_text__comes_back_and_is_no_formula(text: str) -> None:
    """Quotes, commas and line ends survive; what begins like a formula has an apostrophe."""
    (row,) = csv.DictReader(io.StringIO(encode((text, 1, 1.0, 0)).decode(), newline=""))
    assert row["name"] == ("'" + text if text.startswith(FORMULAS) else text)
    assert not row["name"].startswith(FORMULAS)
    assert row["count"] == "1"


def choose(accept: str | None) -> str | None:
    """The media type of the file that a header asks for, None for the envelope."""
    headers = [] if accept is None else [(b"accept", accept.encode())]
    found = choose_format({"headers": headers})
    return None if found is None else found.media_type


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, None),
        ("", None),
        ("*/*", None),
        ("text/csv", CSV_TYPE),
        ("text/csv;charset=utf-8", CSV_TYPE),
        ("text/csv, application/json", CSV_TYPE),
        ("application/json, text/csv", None),
        ("application/json;q=0.2, text/csv;q=0.3", CSV_TYPE),
        ("*/*;q=0.1, text/*", CSV_TYPE),
        ("text/csv;q=0", None),
        ("text/csv;q=2", None),
        ("text/html", None),
        (";;,,=", None),
        (f"{PARQUET_TYPE}, text/csv;q=0.5", "best"),
        (f"{PARQUET_TYPE};q=0.5, */*;q=0.1", "rest"),
    ],
)
@pytest.mark.parametrize("installed", [False, True])
def test_choose_format__accept__is_read_as_http_says(
    monkeypatch: pytest.MonkeyPatch, accept: str | None, chosen: str | None, *, installed: bool
) -> None:
    """The caller's favourite counts among what this installation can write."""
    kind = FORMATS[PARQUET_TYPE]._replace(is_available=lambda: installed)
    monkeypatch.setitem(FORMATS, PARQUET_TYPE, kind)
    if chosen in ("best", "rest"):
        chosen = PARQUET_TYPE if installed else CSV_TYPE if chosen == "best" else None
    assert choose(accept) == chosen


def test_choose_format__nothing_but_what_is_missing__says_what_is_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """406 names the extra, and what there is instead."""
    kind = FORMATS[PARQUET_TYPE]._replace(is_available=lambda: False)
    monkeypatch.setitem(FORMATS, PARQUET_TYPE, kind)
    with pytest.raises(NotAcceptable) as refused:
        choose(PARQUET_TYPE)
    assert refused.value.http_status == 406
    assert refused.value.details == {"field": "accept", "value": PARQUET_TYPE}
    assert "tellus[parquet]" in refused.value.message
    assert CSV_TYPE in refused.value.message


@pytest.mark.skipif(not streaming_parquet.is_installed(), reason="needs the extra tellus[parquet]")
def test_parquet__rows_page_by_page__come_back_with_their_types() -> None:
    """Each page is a row group; the pieces together are one file."""
    from pyarrow import parquet  # noqa: PLC0415

    encoder = streaming_parquet.ParquetEncoder(COLUMNS)
    rows = [("=a", n, -n / 2, 1_767_225_600_000 + n) for n in range(10)] + [(None,) * 4]
    parts = [encoder.begin(), encoder.add(rows[:5]), encoder.add([]), encoder.add(rows[5:])]
    parts.append(encoder.end())
    assert all(parts[n] for n in (1, 3, 4))
    file = parquet.ParquetFile(io.BytesIO(b"".join(parts)))
    assert file.num_row_groups == 2
    table = file.read()
    assert [str(kind) for kind in table.schema.types] == [
        "string", "int64", "double", "timestamp[ms, tz=UTC]",
    ]  # fmt: skip
    found = table.to_pydict()
    assert found["name"] == [row[0] for row in rows]
    assert found["power"] == [row[2] for row in rows]
    assert [time and round(time.timestamp() * 1000) for time in found["time"]] == [
        row[3] for row in rows
    ]
