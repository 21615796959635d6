"""A served platform with two operators, what its detectors find, and a receiver of webhooks."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from tellus.alerts.model import AlertSeverity, Cleared, Finding
from tellus.kernel.clock import ManualClock
from tests.api.tenancy import Tenant, new_tenant
from tests.contract.client import ContractClient
from tests.contract.exchange_log import SESSION
from tests.databases import POSTGRES, Choice, database_url
from tests.served import ServedApi, ServedPlatform

PATIENCE_S = 10.0


class CalendarClock(ManualClock):
    """The time of day is moved by tests; what is measured goes on, as the store relies on it."""

    def monotonic_s(self) -> float:
        return time.monotonic()


class AlertWorld:
    """The platform, two tenants, and a charger of the first."""

    def __init__(self, data_dir: Path, **sections: dict[str, Any]) -> None:
        database = {"url": database_url(data_dir)} if Choice.kind == POSTGRES else {}
        near = {"allow_private_addresses": True, "turn_s": 0.02}
        self.served = ServedPlatform(
            data_dir, clock=CalendarClock(), alerts=near, database=database, **sections
        )
        self.base_url = self.served.start()
        self.clock = self.served.clock
        server = ServedApi(self.served, self.base_url)
        self.contract = ContractClient(server.base_url, log=SESSION)
        self.tenant: Tenant = new_tenant(server, self.contract)
        self.other: Tenant = new_tenant(server, self.contract)
        self.charger = self.tenant.charger()

    def stop(self) -> None:
        self.contract.close()
        self.served.stop()

    def advance(self, seconds: float) -> None:
        """Let time pass; tokens that expire meanwhile are got anew, receivers tried again."""
        self.clock.advance(seconds)
        self.served.run(self._forget_breakers())
        for tenant in (self.tenant, self.other):
            tenant.client.token = tenant.server.operator_token(tenant.client)

    async def _forget_breakers(self) -> None:
        self.served.platform.diagnosing.deliveries._breakers.clear()

    @property
    def api(self) -> ContractClient:
        """The operator's surface of the first tenant."""
        return self.tenant.api

    def find(self, **changes: Any) -> None:
        """Let something be found about the first connector of the charger."""
        self.served.run(self._alerts.report([self.finding(**changes)]))

    def clear(self, key: str = "F-0421:1") -> None:
        """Let a matter be over."""
        operator_id, now_ms = self.tenant.operator_id, self.clock.now_ms()
        cleared = Cleared(operator_id=operator_id, key=key, at_ms=now_ms)
        self.served.run(self._alerts.report([], [cleared]))

    def finding(self, **changes: Any) -> Finding:
        facts: dict[str, Any] = {
            "key": "F-0421:1",
            "operator_id": self.tenant.operator_id,
            "site_id": self.tenant.site_id,
            "code": "F-0421",
            "severity": AlertSeverity.HIGH,
            "title": "Contactor failed to engage",
            "text": "The contactor did not close when the session began.",
            "found_by": "charger",
            "at_ms": self.clock.now_ms(),
            "device_no": self.device_no(self.charger.device_id),
            "connector_id": 1,
            "evidence": {"fault_code": "F-0421"},
            "runbook": "charger-wont-start",
        }
        return Finding(**(facts | changes))

    def device_no(self, device_id: str) -> int:
        device = self.served.platform.directory.by_id(device_id)
        assert device is not None
        return device.device_no

    def list(self, **query: Any) -> list[dict[str, Any]]:
        """The alerts that match, newest first."""
        found = self.api.get("/v1/operator/alerts", params=query, expect=200).data
        items: list[dict[str, Any]] = found["items"]
        return items

    def change(self, alert: dict[str, Any], expect: int = 200, **body: Any) -> Any:
        """Say what is done about an alert."""
        path = f"/v1/operator/alerts/{alert['alert_id']}"
        return self.api.patch(path, body, expect=expect)

    @property
    def _alerts(self) -> Any:
        return self.served.platform.diagnosing.alerts


class Received(NamedTuple):
    """One request as the receiver got it."""

    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        held: dict[str, Any] = json.loads(self.raw)
        return held

    def is_signed_with(self, secret: str) -> bool:
        """Whether a signature fits, computed as a receiver would from the documentation."""
        parts = [part.split("=", 1) for part in self.headers["x-tellus-signature"].split(",")]
        time_s = next(value for name, value in parts if name == "t")
        signed = time_s.encode() + b"." + self.raw
        mark = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        return mark in [value for name, value in parts if name == "v1"]


class Receiver:
    """A server that keeps what it is sent and answers as told: ``statuses``, then 204.

    While it is ``holding`` it takes requests and answers none.
    """

    def __init__(self) -> None:
        self.got: list[Received] = []
        self.statuses: list[int] = []
        self.holding: threading.Event | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait_for(self, count: int, patience_s: float = PATIENCE_S) -> list[Received]:
        """Return what came once that is at least ``count``."""
        wait_until(lambda: len(self.got) >= count, patience_s)
        return list(self.got)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                names = {name.lower(): value for name, value in self.headers.items()}
                receiver.got.append(Received(names, raw))
                if receiver.holding is not None:
                    receiver.holding.wait(PATIENCE_S)
                    return
                status = receiver.statuses.pop(0) if receiver.statuses else 204
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_line: object) -> None:
                """Say nothing."""

        return Handler


def wait_until(is_so: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Wait until something is so; it takes a moment, never this long."""
    until_s = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < until_s, "it did not happen"
        time.sleep(0.01)
