"""Which file a caller wants instead of an envelope, by ``Accept`` (RFC 9110, section 12.5.1)."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from tellus.kernel.errors import NotAcceptable
from tellus.kernel.tables import Column, Row
from tellus.surfaces import streaming_csv, streaming_parquet

CSV_TYPE: Final = "text/csv"
PARQUET_TYPE: Final = "application/vnd.apache.parquet"

_JSON: Final = "application/json"
_ACCEPT_CHARACTERS: Final = 1000


class Encoder(Protocol):
    """Makes the bytes of a file from rows, in order."""

    def begin(self) -> bytes:
        """Return what comes before the rows."""
        ...

    def add(self, rows: Sequence[Row]) -> bytes:
        """Return the bytes of further rows."""
        ...

    def end(self) -> bytes:
        """Return what comes after the rows."""
        ...


class FileFormat(NamedTuple):
    """A kind of file; ``needs`` says what has to be installed where ``is_available`` says no."""

    media_type: str
    content_type: str
    ending: str
    make_encoder: Callable[[Sequence[Column]], Encoder]
    is_available: Callable[[], bool]
    needs: str = ""


def _always() -> bool:
    return True


FORMATS: Final[dict[str, FileFormat]] = {
    CSV_TYPE: FileFormat(
        CSV_TYPE,
        "text/csv; charset=utf-8; header=present",
        "csv",
        streaming_csv.CsvEncoder,
        _always,
    ),
    PARQUET_TYPE: FileFormat(
        PARQUET_TYPE,
        PARQUET_TYPE,
        "parquet",
        streaming_parquet.ParquetEncoder,
        streaming_parquet.is_installed,
        "the optional package pyarrow on the server (pip install 'tellus[parquet]')",
    ),
}
"""The files that lists can be had as, by media type."""


def choose_format(scope: dict[str, Any]) -> FileFormat | None:
    """Return the file that a request asks for, None for the envelope.

    The caller's favourite counts, of equals the first in its list; who accepts nothing that is
    offered gets the envelope, as ever.

    Raises:
        NotAcceptable: it accepts nothing but files that this installation cannot write.
    """
    missing: FileFormat | None = None
    for media_type, quality in _read_accept(scope):
        if quality <= 0:
            continue
        if media_type in (_JSON, "application/*", "*/*"):
            return None
        wanted = FORMATS["text/csv"] if media_type == "text/*" else FORMATS.get(media_type)
        if wanted is None:
            continue
        if wanted.is_available():
            return wanted
        missing = missing or wanted
    if missing is not None:
        message = f"{missing.media_type} needs {missing.needs}; {CSV_TYPE} is there"
        raise NotAcceptable(message, "accept", missing.media_type)
    return None


def _read_accept(scope: dict[str, Any]) -> list[tuple[str, float]]:
    """Return (media type, quality) of what is accepted, best first."""
    given = b",".join(value for name, value in scope["headers"] if name == b"accept")
    wanted = [_read_range(part) for part in given[:_ACCEPT_CHARACTERS].decode("latin-1").split(",")]
    return sorted(wanted, key=lambda one: -one[1])


def _read_range(text: str) -> tuple[str, float]:
    media_type, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return media_type, _read_quality(value.strip())
    return media_type, 1.0


def _read_quality(text: str) -> float:
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    return quality if 0.0 <= quality <= 1.0 else 0.0
