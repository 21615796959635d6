"""A small platform for chargers to talk to: keeps what it takes, and misbehaves on request."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

_PATH_KINDS = {
    "telemetry": "telemetry",
    "events": "event",
    "charging-records": "charging_record",
    "command-status": "command_status",
    "firmware/status": "firmware_status",
    "heartbeat": "heartbeat",
}


@dataclass
class StandIn:
    """State of the stand-in. ``outage`` makes every upload answer 503 until it is cleared."""

    accepted: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    devices: dict[str, tuple[str, str]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    registration_bearers: list[str | None] = field(default_factory=list)
    commands: dict[tuple[str, int], asyncio.Queue[dict[str, Any]]] = field(default_factory=dict)
    heartbeat_commands: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    outage: bool = False
    answers_lost: int = 0
    slow_downs: int = 0
    refuse_events: bool = False
    knows_batches: bool = True
    short_batches: int = 0

    def queue(self, sn: str, connector_id: int) -> asyncio.Queue[dict[str, Any]]:
        """Return the commands that wait for a connector."""
        return self.commands.setdefault((sn, connector_id), asyncio.Queue())

    def of(self, kind: str, sn: str | None = None) -> list[dict[str, Any]]:
        """Return the bodies of a kind taken so far, each with its ``sn``."""
        bodies = self.accepted.get(kind, [])
        return [body for body in bodies if sn is None or body["sn"] == sn]

    # -------------------------------------------------------------- handlers

    async def register(self, request: web.Request) -> web.Response:
        """Register once per serial number, then 409."""
        self.requests["register"] += 1
        body = await request.json()
        self.registration_bearers.append(request.headers.get("Authorization"))
        if body["sn"] in self.devices:
            return _error(409, 4001)
        credentials = (f"dvc_{secrets.token_hex(6)}", secrets.token_hex(12))
        self.devices[body["sn"]] = credentials
        data = {"device_id": credentials[0], "device_secret": credentials[1], "expires_in": 86400}
        return _ok(data)

    async def token(self, request: web.Request) -> web.Response:
        """Issue a token for good credentials."""
        self.requests["token"] += 1
        body = await request.json()
        for sn, credentials in self.devices.items():
            if credentials == (body["device_id"], body["device_secret"]):
                token = secrets.token_hex(12)
                self.tokens[token] = sn
                return web.json_response(
                    {"access_token": token, "token_type": "Bearer", "expires_in": 86400}
                )
        return _error(401, 2001)

    def _sn(self, request: web.Request) -> str | None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return self.tokens.get(token)

    async def upload(self, request: web.Request) -> web.Response:
        """Take one upload of any kind, unless something is to go wrong."""
        kind = _PATH_KINDS[request.match_info["kind"]]
        self.requests[kind] += 1
        sn = self._sn(request)
        body = await request.json()
        if sn is None:
            return _error(401, 2002)
        if self.outage:
            return _error(503, 9001)
        if self.slow_downs > 0:
            self.slow_downs -= 1
            return _error(429, 5001, {"retry_after_seconds": 1})
        if self.refuse_events and kind == "event":
            return _error(400, 1001, {"field": "event_type"})
        self.accepted.setdefault(kind, []).append({**body, "sn": sn})
        if self.answers_lost > 0:
            self.answers_lost -= 1
            assert request.transport is not None
            request.transport.close()
        if kind == "heartbeat":
            return _ok({"commands": self.heartbeat_commands.pop(sn, [])})
        return _ok(None)

    async def batch(self, request: web.Request) -> web.Response:
        """Take a batch, with one outcome per item in order."""
        kind = _PATH_KINDS[request.match_info["kind"]]
        self.requests[f"{kind} batch"] += 1
        sn = self._sn(request)
        body = await request.json()
        if not self.knows_batches:
            return _error(404, 3001)
        if sn is None:
            return _error(401, 2001)
        if self.outage:
            return _error(503, 9001)
        assert 1 <= len(body["items"]) <= 500
        for item in body["items"]:
            self.accepted.setdefault(kind, []).append({**item, "sn": sn})
        if self.short_batches > 0:
            self.short_batches -= 1
            return _ok({"items": []})
        return _ok({"items": [{"outcome": "stored"} for _ in body["items"]]})

    async def poll(self, request: web.Request) -> web.Response:
        """Wait for a command as the contract says."""
        self.requests["command_poll"] += 1
        sn = self._sn(request)
        if sn is None:
            return _error(401, 2001)
        queue = self.queue(sn, int(request.query["connector_id"]))
        try:
            command = await asyncio.wait_for(queue.get(), float(request.query.get("wait", "30")))
        except TimeoutError:
            return _ok(None)
        return _ok(command)

    def application(self) -> web.Application:
        """Return the stand-in as a web application."""
        app = web.Application(client_max_size=2**21)
        app.router.add_post("/v1/device/register", self.register)
        app.router.add_post("/v1/device/token", self.token)
        app.router.add_get("/v1/device/commands", self.poll)
        app.router.add_post("/v1/device/{kind}/batch", self.batch)
        app.router.add_post("/v1/device/{kind:[a-z-]+|firmware/status}", self.upload)
        return app


def _ok(data: Any) -> web.Response:
    return web.json_response({"code": 0, "message": "success", "data": data})


def _error(status: int, code: int, details: dict[str, Any] | None = None) -> web.Response:
    body = {"code": code, "message": "refused", "data": None, "details": details or {}}
    return web.json_response(body, status=status)


class Serving:
    """Serves a stand-in on a free port of 127.0.0.1 for the length of a ``with`` block."""

    def __init__(self, stand_in: StandIn) -> None:
        self.stand_in = stand_in
        self.base_url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        self._runner = web.AppRunner(
            self.stand_in.application(), access_log=None, shutdown_timeout=0.2
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.base_url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()


def serve_for_ever(port: int) -> None:
    """Serve alone, for measurements from another process."""
    print(json.dumps({"port": port}), flush=True)
    web.run_app(StandIn().application(), host="127.0.0.1", port=port, access_log=None, print=None)
