"""A tenant on the shared server, its chargers, and what chargers send, for tests of the API."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.contract.client import ContractClient, Reply
from tests.server import Client, RunningServer


def moment(ago_s: float = 0.0) -> str:
    """A time in whole milliseconds, some seconds before now, as chargers write it."""
    time = datetime.now(UTC) - timedelta(seconds=ago_s)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def heartbeat(**changes: Any) -> dict[str, Any]:
    """A heartbeat."""
    return {"timestamp": moment(), "status": "online", "fault_code": 0} | changes


def sample(**changes: Any) -> dict[str, Any]:
    """A telemetry sample of a charging connector."""
    return {
        "timestamp": moment(),
        "connector_id": 1,
        "state": "charging",
        "voltage": 400.5,
        "current": 100.25,
        "power": 40.125,
        "energy_delivered": 3.5,
    } | changes


def event(**changes: Any) -> dict[str, Any]:
    """An event."""
    return {
        "timestamp": moment(),
        "connector_id": 1,
        "event_type": "plug_in",
        "data": {},
    } | changes


def record(**changes: Any) -> dict[str, Any]:
    """A charging record of an hour."""
    return {
        "record_id": f"rec-{secrets.token_hex(8)}",
        "connector_id": 1,
        "start_time": "2025-06-02T09:00:00Z",
        "end_time": "2025-06-02T10:00:00Z",
        "energy": 20.5,
        "max_power": 50.0,
        "avg_power": 20.5,
        "meter_start": 100.0,
        "meter_end": 120.5,
    } | changes


def without(body: dict[str, Any], name: str) -> dict[str, Any]:
    """The body without one property; a dot leads into a nested one."""
    outer, _, inner = name.partition(".")
    if inner:
        return body | {outer: without(body[outer], inner)}
    return {key: value for key, value in body.items() if key != outer}


@dataclass
class Charger:
    """A registered charger with its own client, and the operator's view of it."""

    device_id: str
    device_secret: str
    sn: str
    token: str
    api: ContractClient
    operator: ContractClient

    def send(self, path: str, body: Any, **expected: int) -> Reply:
        """POST to the charger's surface, by default with success."""
        return self.api.post(f"/v1/device/{path}", body, **({"expect": 200} | expected))

    def seen(self) -> dict[str, Any]:
        """The device as its operator sees it."""
        data: dict[str, Any] = self.operator.get(
            f"/v1/operator/devices/{self.device_id}", expect=200
        ).data
        return data

    def connector(self, number: int = 1) -> dict[str, Any]:
        """A connector as its operator sees it."""
        found: dict[str, Any] = next(
            one for one in self.seen()["connectors"] if one["connector_id"] == number
        )
        return found

    def events(self, **query: Any) -> list[dict[str, Any]]:
        """The device's events, newest first."""
        items: list[dict[str, Any]] = self.operator.get(
            f"/v1/operator/devices/{self.device_id}/events", params=query, expect=200
        ).data["items"]
        return items

    def samples(self, **query: Any) -> list[dict[str, Any]]:
        """A connector's stored samples, oldest first."""
        items: list[dict[str, Any]] = self.operator.get(
            f"/v1/operator/devices/{self.device_id}/telemetry", params=query, expect=200
        ).data["items"]
        return items

    def records(self, **query: Any) -> list[dict[str, Any]]:
        """The device's records, newest first."""
        asked = {"device_id": self.device_id} | query
        items: list[dict[str, Any]] = self.operator.get(
            "/v1/operator/charging-records", params=asked, expect=200
        ).data["items"]
        return items


@dataclass
class Tenant:
    """An operator with a site and a client of both scopes."""

    server: RunningServer
    contract: ContractClient
    operator_id: str
    site_id: str
    client: Client
    admin: ContractClient

    @property
    def api(self) -> ContractClient:
        """The operator surface with this tenant's token."""
        return self.contract.operator(self.client.token)

    def charger(self, model: str = "TP-DC180", site_id: str = "", **more: Any) -> Charger:
        """A charger of this tenant, registered with its enrolment token."""
        sn = f"SN-{secrets.token_hex(8)}"
        asked = {"sn": sn, "site_id": site_id or self.site_id}
        made = self.admin.post("/v1/admin/devices/provision", asked, expect=200)
        body = {"sn": sn, "model": model, "manufacturer": "Maker", "firmware_version": "3.1.0"}
        headers = {"authorization": f"Bearer {made.data['enrolment_token']}"}
        device = self.contract.post("/v1/device/register", body | more, headers=headers, expect=200)
        credentials = {
            "device_id": device.data["device_id"],
            "device_secret": device.data["device_secret"],
        }
        asked = credentials | {"grant_type": "client_credentials"}
        token = self.contract.post("/v1/device/token", asked, expect=200).json["access_token"]
        api = self.contract.device(token)
        return Charger(**credentials, sn=sn, token=token, api=api, operator=self.api)

    def site(self, name: str = "Another", **more: Any) -> str:
        """Another site of this tenant."""
        body = {"operator_id": self.operator_id, "name": name} | more
        site_id: str = self.admin.post("/v1/admin/sites", body, expect=200).data["site_id"]
        return site_id

    def client_with(self, **settings: Any) -> Client:
        """Another client of this tenant, with a token."""
        return self.server.create_client(self.operator_id, **settings)

    def api_with(self, **settings: Any) -> ContractClient:
        """The operator surface as another client of this tenant has it."""
        return self.contract.operator(self.client_with(**settings).token)


def new_tenant(server: RunningServer, contract: ContractClient) -> Tenant:
    """A tenant of its own on a running server."""
    server.admin("GET", "/v1/admin/operators")  # makes sure of the administrator's token
    operator_id = server.create_operator("Acme")
    site_id = server.create_site(operator_id, "Harbour")
    client = server.create_client(operator_id)
    admin = contract.bearer(server._admin_token, "admin")
    return Tenant(server, contract, operator_id, site_id, client, admin)
