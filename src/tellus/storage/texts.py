"""Changing a text wherever it stands: for erasing, the one thing that concerns every feature."""

from collections.abc import Mapping
from typing import Any

from tellus.storage.database import Tx


def replace_text(
    tx: Tx, table: str, column: str, key: Mapping[str, Any], texts: tuple[str, str]
) -> bool:
    """Put the second of ``texts`` in the place of the first, in one row; tell whether it was there.

    A row that was written meanwhile is left as it is. Names come from the record of processing,
    never from a caller.
    """
    before, after = texts
    where = " AND ".join(f"{name} = ${number}" for number, name in enumerate(key, 3))
    return (
        tx.execute(
            f"UPDATE {table} SET {column} = $1 WHERE {column} = $2 AND {where}",
            after,
            before,
            *key.values(),
        )
        > 0
    )
