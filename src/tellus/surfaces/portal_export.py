"""The data of a charger for its customer's export, as the operator's surface shows it."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from tellus.kernel.call import NOTHING, Call
from tellus.kernel.decoding import convert_query
from tellus.kernel.units import to_ms, to_text
from tellus.portal.export import Asked
from tellus.surfaces.endpoint import Endpoint

_PAGE: Final = "100"


class _Source(NamedTuple):
    """A list: its operation, and the parameters that bound it in time.

    Where it has none, ``time_field`` of its items says when they are from. ``each`` is another
    list, and the field of its items, with which the path of this one is to be filled.
    """

    operation_id: str
    bounds: tuple[str, str] | None = ("start_time", "end_time")
    time_field: str = ""
    by_connector: bool = False
    each: tuple[str, str] | None = None


_SOURCES: Final[dict[str, _Source]] = {
    "event": _Source("listDeviceEvents"),
    "sample": _Source("listDeviceTelemetry", by_connector=True),
    "session": _Source("listSessions"),
    "charging_record": _Source("listChargingRecords"),
    "command": _Source("listCommands"),
    "alert": _Source("listAlerts", None, "first_found_at"),
    "diagnostic_report": _Source("listDiagnostics", None, "created_at"),
    "runbook_run": _Source("listRunbookRuns", None, "created_at", each=("listRunbooks", "slug")),
    "proposal": _Source("listProposals", None, "created_at", each=("listAgents", "agent")),
}


class ChargerSources:
    """Reads what operators can list of a device, past the checks of their surface."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._endpoints = {endpoint.route.operation_id: endpoint for endpoint in endpoints}

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the kinds there are, in the order in which they are written."""
        return tuple(_SOURCES)

    async def read(self, kind: str, asked: Asked) -> AsyncIterator[Sequence[Any]]:
        """Yield the items of a kind, some at a time."""
        source = _SOURCES[kind]
        async for path in self._paths(source, asked):
            for more in _connectors(source, asked):
                async for items in self._pages(source, asked, path, more):
                    yield [one for one in items if _is_wanted(one, source, asked)]

    async def _paths(self, source: _Source, asked: Asked) -> AsyncIterator[dict[str, str]]:
        """Yield the values of the paths that a list is read from."""
        own = {"device_id": asked.device_id}
        if source.each is None:
            yield own
            return
        operation_id, field = source.each
        async for items in self._pages(_Source(operation_id, None), asked, own, {}):
            for item in items:
                yield own | {field: getattr(item, field)}

    async def _pages(
        self, source: _Source, asked: Asked, path: dict[str, str], more: dict[str, str]
    ) -> AsyncIterator[Sequence[Any]]:
        endpoint = self._endpoints[source.operation_id]
        query = {"device_id": asked.device_id, "size": _PAGE, **more}
        if source.bounds is not None:
            query |= zip(source.bounds, map(to_text, (asked.from_ms, asked.to_ms)), strict=True)
        page, seen = 1, 0
        while True:
            call: Call[Any, Any] = Call(
                asked.principal,
                NOTHING,
                convert_query(query, endpoint.route.query),
                asked.now_ms,
                path,
            )
            found = await endpoint.handle(call)
            yield found.items
            seen += len(found.items)
            cursor = getattr(found, "next_cursor", msgspec.UNSET)
            if cursor is not msgspec.UNSET:
                query["cursor"] = cursor
            elif found.items and seen < getattr(found, "total", 0) and "cursor" not in query:
                page += 1
                query["page"] = str(page)
            else:
                return


def _connectors(source: _Source, asked: Asked) -> Iterator[dict[str, str]]:
    if not source.by_connector:
        yield {}
        return
    for connector_id in asked.connector_ids:
        yield {"connector_id": str(connector_id)}


def _is_wanted(item: Any, source: _Source, asked: Asked) -> bool:
    """Tell whether an item is about the device, and from the time that is asked for."""
    if getattr(item, "device_id", asked.device_id) != asked.device_id:
        return False
    if source.bounds is not None:
        return True
    time_ms = to_ms(datetime.fromisoformat(getattr(item, source.time_field)))
    return asked.from_ms <= time_ms < asked.to_ms
