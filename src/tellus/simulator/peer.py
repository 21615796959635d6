"""The platform of another operator, over real HTTP: takes pushes, keeps orders, misbehaves.

It shares no code with any platform. What it is told it keeps as told, so that a test or a
demonstration can compare both sides.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec
from aiohttp import web

from tellus.simulator.peer_client import PeerClient
from tellus.simulator.peer_faults import PeerFault, misbehave

_STATION = "notification_stationStatus"
_WORK = "notify_work_status"
_ENDS = frozenset({"COMPLETED", "START_FAILED"})
_SHUTDOWN_S = 0.2


class _Connector(msgspec.Struct):
    connector_id: int = msgspec.field(name="ConnectorId")
    status: str = msgspec.field(name="Status")


class _Station(msgspec.Struct):
    charge_box_id: str = msgspec.field(name="ChargeBoxId")
    create_time: str = msgspec.field(name="CreateTime")
    type: str = msgspec.field(name="Type")
    power_kw: int = msgspec.field(name="Power")
    longitude: float = msgspec.field(name="Longitude")
    latitude: float = msgspec.field(name="Latitude")
    connectors: list[_Connector] = msgspec.field(name="Connectors")


class _Work(msgspec.Struct):
    order_id: str = msgspec.field(name="OrderId")
    vendor_order_id: str = msgspec.field(name="DeviceVendorOrderId")
    charge_point_id: str = msgspec.field(name="ChargePointId")
    connector_id: int = msgspec.field(name="ConnectorId")
    change_time: str = msgspec.field(name="ChangeTime")
    status: str = msgspec.field(name="Status")


@dataclass
class ReceivedPush:
    """A push as it came; ``answer`` is the verdict that it got, empty where a fault answered."""

    operation: str
    body: dict[str, Any]
    at_s: float
    answer: str = ""


@dataclass
class PeerOrder:
    """An order of the peer's customers at the other side, with all it was told of it."""

    order_id: str
    charge_point_id: str
    connector_id: int
    vendor_order_id: str = ""
    told: list[dict[str, Any]] = field(default_factory=list)

    @property
    def statuses(self) -> list[str]:
        """Return the statuses that were told, in the order of their arrival."""
        return [str(one["Status"]) for one in self.told]

    @property
    def is_over(self) -> bool:
        """Tell whether its end was told."""
        return bool(self.told) and self.told[-1]["Status"] in _ENDS

    @property
    def energy_kwh(self) -> float | None:
        """Return the energy of the last word that had one."""
        meters = [one["Meter"]["Energy"] for one in self.told if one.get("Meter")]
        return float(meters[-1]) if meters else None


class PeerPlatform:
    """A peer on 127.0.0.1. ``port`` 0 takes a free one.

    Who pushes proves itself with ``push_token``, or with a token got from
    ``/v1/operator/oauth/token`` for ``push_client`` (id and secret); without either, anybody may.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        push_token: str = "",
        push_client: tuple[str, str] | None = None,
        slow_s: float = 10.0,
    ) -> None:
        self.port = port
        self.slow_s = slow_s
        self.pushes: list[ReceivedPush] = []
        self.stations: dict[str, dict[str, Any]] = {}
        self.orders: dict[str, PeerOrder] = {}
        self.stray_requests: list[str] = []
        self._push_client = push_client
        self._tokens = {push_token} if push_token else set()
        self._is_open = not push_token and push_client is None
        self._fault: PeerFault | None = None
        self._faults_left = 0
        self._runner: web.AppRunner | None = None
        self._told = asyncio.Event()

    # ------------------------------------------------------------------ life

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._go_down()

    @property
    def base_url(self) -> str:
        """Return what pushes go below."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def token_url(self) -> str:
        """Return where tokens are to be had."""
        return f"{self.base_url}/operator/oauth/token"

    async def misbehave(self, fault: PeerFault, times: int = 1_000_000) -> None:
        """Let something be wrong from now on, for so many pushes."""
        if fault is PeerFault.DOWN:
            await self._go_down()
        else:
            self._fault, self._faults_left = fault, times

    async def behave(self) -> None:
        """Let all be well again."""
        self._fault = None
        if self._runner is None:
            await self._listen()

    # ------------------------------------------------------------------ its customers

    async def start_order(
        self,
        client: PeerClient,
        charge_point_id: str,
        connector_id: int,
        *,
        discharge: bool = False,
    ) -> PeerOrder:
        """Order charging at the other side for a customer; return the order as it was answered."""
        order = PeerOrder(f"peer-{secrets.token_hex(8)}", charge_point_id, connector_id)
        self.orders[order.order_id] = order
        start = client.start_discharging if discharge else client.start_charging
        answer = await start(order.order_id, charge_point_id, connector_id)
        order.vendor_order_id = str(answer["DeviceVendorOrderId"])
        return order

    async def wait_until_over(self, order: PeerOrder, timeout_s: float) -> None:
        """Return when the end of an order was told.

        Raises:
            TimeoutError: it was not, in that time.
        """
        async with asyncio.timeout(timeout_s):
            while not order.is_over:
                self._told.clear()
                await self._told.wait()

    # ------------------------------------------------------------------ handlers

    async def _listen(self) -> None:
        application = web.Application()
        router = application.router
        router.add_put(f"/v1/customer/{_STATION}", self._take_station)
        router.add_post(f"/v1/customer/{_WORK}", self._take_work)
        router.add_post("/v1/operator/oauth/token", self._give_token)
        router.add_route("*", "/{path:.*}", self._take_stray)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=_SHUTDOWN_S)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def _go_down(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _give_token(self, request: web.Request) -> web.Response:
        body = await request.json()
        given = body.get("client_id"), body.get("client_secret")
        if self._push_client is None or given != self._push_client:
            return web.json_response({"code": 2001, "message": "no"}, status=401)
        token = secrets.token_urlsafe(24)
        self._tokens.add(token)
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": 86_400}
        return web.json_response(answer)

    async def _take_station(self, request: web.Request) -> web.Response:
        return await self._take(request, _STATION, _Station)

    async def _take_work(self, request: web.Request) -> web.Response:
        return await self._take(request, _WORK, _Work)

    async def _take_stray(self, request: web.Request) -> web.Response:
        self.stray_requests.append(f"{request.method} {request.path}")
        return web.Response(status=404)

    async def _take(self, request: web.Request, operation: str, shape: Any) -> web.Response:
        """Keep a push and answer it, unless something is wrong."""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not self._is_open and token not in self._tokens:
            return web.json_response({"code": 2001, "message": "no"}, status=401)
        content = await request.read()
        push = ReceivedPush(operation, {}, time.monotonic())
        self.pushes.append(push)
        try:
            push.body = msgspec.json.decode(content, type=dict[str, Any])
            read = msgspec.json.decode(content, type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return web.json_response({"code": 1001, "message": str(error)}, status=400)
        if self._fault is not None and self._faults_left > 0:
            self._faults_left -= 1
            wrong = await misbehave(self._fault, self.slow_s)
            if wrong is not None:
                return wrong
        push.answer = self._learn(read, push.body)
        self._told.set()
        return web.json_response({"Status": push.answer})

    def _learn(self, read: _Station | _Work, body: dict[str, Any]) -> str:
        """Take over what a push says; it rejects news of orders that are not its own."""
        if isinstance(read, _Station):
            self.stations[read.charge_box_id] = body
            return "Accept"
        order = self.orders.get(read.order_id)
        if order is None:
            return "Reject"
        order.told.append(body)
        return "Accept"
