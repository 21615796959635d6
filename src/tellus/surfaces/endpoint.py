"""A route made ready to serve: decoders, the handler with its service, and its tallies."""

import inspect
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, get_type_hints
from urllib.parse import parse_qsl

from tellus.consent.model import BIT
from tellus.kernel.batch import BatchRequest
from tellus.kernel.call import NOTHING, Audience, Call, Nothing, Principal
from tellus.kernel.decoding import BodyDecoder, convert_query
from tellus.kernel.errors import InvalidParameter
from tellus.kernel.freetext import mask_body
from tellus.kernel.tables import Table
from tellus.surfaces.reads import kind_of
from tellus.surfaces.routes import Answer, Route

LATENCY_BOUNDS_S: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip

_PARAMETERS_LARGEST = 100
_SPACED_ZONE_END = -6

Services = Mapping[type, Any]


class Endpoint:
    """One route with everything a request to it needs, looked up once."""

    __slots__ = (
        "_body", "_empty", "_handler", "_masks", "_query", "_service", "audience", "bit",
        "body_bytes", "by_status", "hears_leaving", "latency", "limit", "reads", "reads_body",
        "reads_query", "route", "scope", "seconds",
    )  # fmt: skip

    def __init__(self, route: Route, services: Services) -> None:
        self.route = route
        self.audience = route.audience
        self.scope = route.scope
        self.bit = 0 if route.service is None else BIT[route.service]
        self.limit = route.limit
        self.reads = kind_of(route)
        self.body_bytes = route.body_bytes
        self.reads_body = route.request is not Nothing
        files = route.table is not None or route.answer is Answer.FILE
        self.hears_leaving = route.waits or files
        self.reads_query = route.query is not Nothing
        self._body: BodyDecoder[Any] = BodyDecoder(
            route.request, whole=route.request is not BatchRequest
        )
        # What chargers send is sealed or masked by those who know where a VIN stands in it.
        self._masks = self.reads_body and route.audience in (Audience.OPERATOR, Audience.ADMIN)
        self._query = route.query
        self._handler = route.handler
        self._service = services[service_type(route.handler)]
        self._empty = b"{}" if route.optional_body else b""
        self.by_status: dict[int, int] = {}
        self.latency = [0] * (len(LATENCY_BOUNDS_S) + 1)
        self.seconds = 0.0

    def decode_body(self, body: bytes, *, form: bool) -> Any:
        """Return the request struct of ``body``.

        Raises:
            InvalidParameter: malformed, a wrong type or out of bounds.
            MissingParameter: a required field is absent.
        """
        if form:
            return convert_query(parse_parameters(body), self.route.request)
        decoded = self._body.decode(body or self._empty)
        if self._masks and body:
            masked = mask_body(body)
            if masked is not body:
                return self._body.decode(masked)
        return decoded

    def decode_query(self, query: bytes) -> Any:
        """Return the query struct of a raw query string; raises like ``decode_body``."""
        if not self.reads_query:
            return NOTHING
        return convert_query(parse_parameters(query), self._query)

    def handle(self, call: Call[Any, Any]) -> Awaitable[Any]:
        """Run the handler."""
        return self._handler(self._service, call)

    def tabulate(self, call: Call[Any, Any]) -> Awaitable[Table[Any]]:
        """Return the whole list as a table; for routes that have one."""
        tabulate = self.route.table
        if tabulate is None:
            raise TypeError(f"{self.route.operation_id} is no list")
        return tabulate(self._service, call)

    def prepare(self, body: Any, principal: Principal, now_ms: int) -> tuple[Any, Any] | None:
        """Return the kind and the operation of a call that is one hot operation, else None."""
        hot = self.route.hot
        return None if hot is None else hot(self._service, body, principal, now_ms)

    def tally(self, status: int, took_s: float) -> None:
        """Count one answer."""
        self.by_status[status] = self.by_status.get(status, 0) + 1
        self.latency[bisect_left(LATENCY_BOUNDS_S, took_s)] += 1
        self.seconds += took_s


def service_type(handler: Callable[..., Any]) -> type:
    """Return the type of a handler's first parameter: the service it wants."""
    first = next(iter(inspect.signature(handler).parameters))
    kind: type = get_type_hints(handler)[first]
    return kind


def parse_parameters(raw: bytes) -> dict[str, str]:
    """Return the parameters of a query string or form.

    A blank before the hours of a zone is read as the ``+`` that a client forgot to escape.

    Raises:
        InvalidParameter: bad UTF-8, a NUL, a parameter given twice, or too many of them.
    """
    if not raw:
        return {}
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_PARAMETERS_LARGEST,
        )
    except ValueError:
        message = "The parameters are not valid"
        raise InvalidParameter(message, "query") from None
    values: dict[str, str] = {}
    for name, value in pairs:
        if "\0" in value or "\0" in name:
            message = "Text must not contain the NUL character"
            raise InvalidParameter(message, "query")
        if name in values:
            raise InvalidParameter(f"Parameter '{name[:64]}' is given twice", name[:64])
        spaced = "T" in value and value[_SPACED_ZONE_END : _SPACED_ZONE_END + 1] == " "
        values[name] = value.replace(" ", "+") if spaced else value
    return values
