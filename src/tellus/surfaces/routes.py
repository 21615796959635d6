"""The row of a route table: all that one endpoint needs, in one place.

Pipeline, OpenAPI document, tests and reference pages are made from the same rows.
"""

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tellus.consent.model import Service
from tellus.kernel.call import Audience, Nothing
from tellus.kernel.tables import Table

KIB = 1024
BODY_BYTES = 64 * KIB
BODY_BYTES_CREDENTIALS = 4 * KIB
BODY_BYTES_FLEXIBILITY = 256 * KIB
BODY_BYTES_BATCH = 1024 * KIB
BODY_BYTES_FILE = 32 * 1024 * KIB


class LimitClass(enum.StrEnum):
    """The rate-limit classes; their figures are in ``ratelimit.py``."""

    QUERIES = "queries"
    CONTROL = "control"
    BATCH_CONTROL = "batch_control"
    TOKEN = "token"  # noqa: S105 - a name, no secret
    DEVICE_HOT = "device_hot"
    DEVICE_OTHER = "device_other"
    DEVICE_BATCH = "device_batch"
    NONE = "none"


class Answer(enum.StrEnum):
    """How a handler's result becomes a body."""

    ENVELOPE = "envelope"
    TOKEN = "token"  # noqa: S105 - a name, no secret
    STREAM = "stream"
    BARE = "bare"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint.

    ``handler`` is ``async (service, call) -> result``; the service is found by the type of its
    first parameter. ``request``, ``query`` and ``response`` are msgspec structs; ``Nothing`` where
    there is none (a response of ``Nothing`` is ``data: null``). ``form`` admits form encoding
    beside JSON. ``optional_body`` admits an empty body. ``lenient`` decodes the bodies of devices
    that are known to deviate (rule P7). ``hot`` is for routes whose handler does nothing but submit
    one hot operation and answers with ``data: null``: ``(service, body, principal, now_ms)`` gives
    its kind and itself, or None where the handler has more to do. ``waits`` marks a handler that
    parks the call and wants to know when the caller leaves. ``secret`` marks an answer that no
    cache may keep. ``table`` gives the whole list for a file, as ``async (service, call) -> Table``
    with the service of ``handler``; callers ask for it by ``Accept``. ``upload`` marks a body that
    is a file: of any media type, up to ``body_bytes``, in ``Call.upload`` and never held whole. An
    answer of ``Answer.FILE`` is one: the handler returns a ``FileAnswer``. ``service`` is what the
    owner of a device must have agreed to before this may touch its data; None for what always
    works. ``sifts`` marks a handler that leaves out the devices without that consent.
    """

    method: str
    path: str
    operation_id: str
    handler: Callable[..., Awaitable[Any]]
    audience: Audience
    summary: str
    tag: str
    description: str = ""
    scope: str | None = None
    limit: LimitClass = LimitClass.NONE
    request: Any = Nothing
    query: Any = Nothing
    response: Any = Nothing
    answer: Answer = Answer.ENVELOPE
    body_bytes: int = BODY_BYTES
    form: bool = False
    optional_body: bool = False
    lenient: Callable[[bytes], Any] | None = None
    hot: Callable[..., Any] | None = None
    waits: bool = False
    secret: bool = False
    table: Callable[..., Awaitable[Table[Any]]] | None = None
    upload: bool = False
    service: Service | None = None
    sifts: bool = False

    @property
    def is_control(self) -> bool:
        """Tell whether this changes something for an operator: where signing can be demanded."""
        return self.audience is Audience.OPERATOR and self.method != "GET"
