"""An operator's client of schedules for tests, over the commands of a bench."""

from typing import Any

import msgspec

from tellus.commands import operator_api_schedules as api
from tellus.commands.schedules import ScheduleService
from tellus.fleet.catalogue import Catalogue
from tellus.kernel.call import NOTHING, Audience, Call, Principal
from tellus.kernel.decoding import BodyDecoder
from tests.unit.commands.conftest import CLIENT, OPERATOR, CommandBench

NIGHT = {"start": "22:00", "end": "08:00", "power_limit": 7.0, "action": "charge"}
NOON = {"start": "11:00", "end": "14:00", "action": "charge"}


class Planner:
    """An operator's client that speaks to the handlers of schedules over a bench's commands."""

    def __init__(self, bench: CommandBench, operator_id: str = OPERATOR) -> None:
        self._bench = bench
        self._principal = Principal(Audience.OPERATOR, CLIENT, operator_id)
        self._service = ScheduleService(
            bench.database, bench.directory, Catalogue.load(), bench.service
        )

    def _call(self, body: Any, query: Any, connector_id: int) -> Call[Any, Any]:
        path = {"device_id": "dvc_1", "connector_id": connector_id}
        return Call(self._principal, body, query, self._bench.clock.now_ms(), path)

    async def put(
        self, *slots: dict[str, Any], connector_id: int = 1, key: str = "", **body: Any
    ) -> api.ScheduleQueuedResponse:
        sent = {"schedule_id": "s1", "enabled": True, "type": "daily", "time_slots": slots} | body
        request = BodyDecoder(api.ScheduleRequest).decode(msgspec.json.encode(sent))
        call = self._call(request, NOTHING, connector_id)
        call.idempotency_key = key
        return await api.set_schedule(self._service, call)

    async def list(self, connector_id: int = 1) -> list[dict[str, Any]]:
        answer = await api.list_schedules(self._service, self._call(NOTHING, NOTHING, connector_id))
        items: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(answer))["items"]
        return items

    async def delete(self, schedule_id: str = "s1") -> api.ScheduleQueuedResponse:
        query = api.ScheduleQuery(schedule_id=schedule_id)
        return await api.delete_schedule(self._service, self._call(NOTHING, query, 1))
