"""The words of files and diagnostic reports."""

import enum
from typing import Final, Literal, NamedTuple

PART_BYTES: Final = 512 * 1024
"""How much of a file one row holds at most."""

FILE_BYTES_LARGEST: Final = 32 * 1024 * 1024
"""How large a file may be (rule P6)."""

Status = Literal["queued", "uploading", "ready", "failed"]
"""The published states of a report."""


class StoredFile(NamedTuple):
    """A file that is whole: size in bytes, SHA-256 in hexadecimal, times in ms since 1970 UTC."""

    file_id: str
    operator_id: str
    kind: str
    name: str
    media_type: str
    size: int
    sha256: str
    created_ms: int
    expires_ms: int


class Draft(NamedTuple):
    """A file on its way in; ``device_no`` is whose it is, None where it is no device's."""

    file_id: str
    operator_id: str
    device_no: int | None
    kind: str
    name: str
    media_type: str
    created_ms: int
    expires_ms: int


class ReportState(enum.StrEnum):
    """Where a report stands by what was stored of it; its command may know better."""

    QUEUED = "queued"
    UPLOADING = "uploading"
    READY = "ready"
    FAILED = "failed"


class Wanted(NamedTuple):
    """What a report is asked to be about: a span of time ``[from, to)`` (ms), and why."""

    from_ms: int | None = None
    to_ms: int | None = None
    note: str | None = None


class Report(NamedTuple):
    """A diagnostic report as stored; times in ms since 1970 UTC.

    ``upload_digest`` is of the secret in its upload address, ``touched_ms`` when something last
    came of an upload. From ``file_id`` on it is what the upload brought.
    """

    report_id: str
    operator_id: str
    device_no: int
    device_id: str
    command_id: str
    upload_digest: str
    upload_until_ms: int
    state: ReportState
    reason: str | None
    wanted: Wanted
    created_ms: int
    touched_ms: int
    file_id: str | None = None
    media_type: str | None = None
    size: int | None = None
    sha256: str | None = None
    uploaded_ms: int | None = None
    expires_ms: int | None = None
