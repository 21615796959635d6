"""How far the folder is."""

from typing import NamedTuple


class FolderStatus(NamedTuple):
    """Facts before ``folded_to_ms`` are in the sums, except around marks; None before the first.

    ``marks`` connectors are to be folded again, the oldest since ``oldest_mark_ms``.
    """

    folded_to_ms: int | None
    marks: int
    oldest_mark_ms: int | None
    sessions: int
    implausible_samples: int
