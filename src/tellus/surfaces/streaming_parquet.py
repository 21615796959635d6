"""Tables as Apache Parquet, where the optional package ``pyarrow`` is installed."""

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from io import BytesIO
from typing import Any

from tellus.kernel.tables import Column, Kind, Row


def is_installed() -> bool:
    """Tell whether this process can write Parquet."""
    return find_spec("pyarrow") is not None


class ParquetEncoder:
    """Writes each page of rows as a row group, compressed; times are UTC with milliseconds."""

    def __init__(self, columns: Sequence[Column]) -> None:
        # Not with the module: it is optional, and takes 60 MB and a good while to load.
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415

        kinds = {
            Kind.TEXT: pa.string(),
            Kind.INTEGER: pa.int64(),
            Kind.NUMBER: pa.float64(),
            Kind.TIME: pa.timestamp("ms", tz="UTC"),
        }
        self._arrow: Any = pa
        self._schema = pa.schema([(name, kinds[kind]) for name, kind in columns])
        self._sink = _Outlet()
        self._writer = parquet.ParquetWriter(self._sink, self._schema, compression="zstd")

    def begin(self) -> bytes:
        """Return the beginning of the file."""
        return self._sink.take()

    def add(self, rows: Iterable[Row]) -> bytes:
        """Return the row group of ``rows``."""
        held = list(zip(*rows, strict=True))
        if held:
            arrays = [
                self._arrow.array(cells, field.type)
                for cells, field in zip(held, self._schema, strict=True)
            ]
            self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        return self._sink.take()

    def end(self) -> bytes:
        """Return the end of the file: what its row groups are and where."""
        self._writer.close()
        return self._sink.take()


class _Outlet(BytesIO):
    """A file of which only what was written last is kept; positions count from its beginning."""

    def __init__(self) -> None:
        super().__init__()
        self._taken_bytes = 0

    def tell(self) -> int:
        """Return how many bytes were ever written."""
        return self._taken_bytes + super().tell()

    def seekable(self) -> bool:
        """Tell that what was written is gone."""
        return False

    def take(self) -> bytes:
        """Return what was written since the last time, and forget it."""
        part = self.getvalue()
        self._taken_bytes += len(part)
        self.seek(0)
        self.truncate()
        return part
