"""An installation with something of everything, and what its readers are answered."""

import asyncio
from pathlib import Path
from typing import Any

from tellus.app import Platform
from tellus.config import load_configuration
from tellus.logs import LogRecorder
from tests.api.cli.console import wait_until
from tests.api.cli.diagnosed import diagnose
from tests.api.legacy.partner import Partner, new_partner
from tests.api.reports.uploading import ask
from tests.api.tenancy import (
    Charger,
    Tenant,
    event,
    heartbeat,
    moment,
    new_tenant,
    record,
    sample,
)
from tests.contract.client import ContractClient
from tests.server import RunningServer

VIN = "WTLZ5AB19RC700421"
PAST_S = 5 * 3600
ENERGY = (
    "/v1/operator/aggregated/energy?granularity=month&group_by=site"
    "&start_time=2025-01-01T00:00:00Z&end_time=2026-01-01T00:00:00Z"
)
PLAN = {
    "schedule_id": "sch_001",
    "enabled": True,
    "type": "daily",
    "time_slots": [{"start": "22:00", "end": "08:00", "power_limit": 7.0, "action": "charge"}],
    "effective_from": "2125-03-16T00:00:00Z",
    "effective_until": "2125-03-31T23:59:59Z",
    "timezone": "Europe/London",
}
RELEASE = {
    "models": ["TP-DC180"],
    "firmware_version": "3.2.0",
    "url": "https://firmware.example/3.2.0.bin",
    "sha256": "ab" * 32,
    "size": 2_000_000,
}
LIMIT = {
    "command": "set_power_limit",
    "params": {"power_limit_percent": 50, "duration": 3600, "reason": "grid_overload"},
}
ADMIN_PATHS = [
    f"/v1/admin/{what}?size=100"
    for what in (
        *("operators", "clients", "sites", "devices", "service-accounts", "signing-keys"),
        "peers",
    )
]


class Installation:
    """An installation with something of everything; ``paths`` are what its readers ask for."""

    def __init__(self, data_dir: Path, server: RunningServer) -> None:
        self.data_dir = data_dir
        with ContractClient(server.base_url) as contract:
            tenant = new_tenant(server, contract)
            self.client = tenant.client
            self.chargers = [tenant.charger() for _ in range(3)]
            for charger in self.chargers:
                report(charger)
            self.paths = _upload(tenant, self.chargers[1])
            self.paths += _operate(tenant, self.chargers)
            self.paths += diagnose(tenant, self.chargers[0])
            self.paths += _deal_with(new_partner(tenant), self.chargers[0])
            tenant.api.get(ENERGY, expect=200)  # sums up what there is
            upgraded = f"/v1/operator/devices/{self.chargers[2].device_id}/firmware"
            wait_until(lambda: tenant.api.get(upgraded).data["history"], "the rollout to begin")
        verified = "/v1/admin/audit-log/verification"
        wait_until(lambda: server.admin("GET", verified)["checked"], "entries to be sealed")

    def answers(self, server: RunningServer) -> dict[str, Any]:
        """What its readers are answered, by path."""
        found = {path: server.admin("GET", path) for path in ADMIN_PATHS}
        with ContractClient(server.base_url) as contract:
            api = contract.operator(server.operator_token(self.client))
            for path in self.paths:
                found[path] = api.get(path, expect=200).data
        for page in found.values():
            _forget_the_present(page)
        return found


def report(charger: Charger) -> None:
    """Let a charger report some of everything."""
    charger.send("heartbeat", heartbeat())
    for connector_id in (1, 2):
        times_s = [PAST_S + 20 * number for number in range(40)] + [9.0, 6.0, 3.0]
        items = [sample(timestamp=moment(ago_s), connector_id=connector_id) for ago_s in times_s]
        charger.send("telemetry/batch", {"items": items})
        charger.send("telemetry", sample(connector_id=connector_id, state="fault", power=0.0))
        spike = sample(timestamp=moment(PAST_S + 5), connector_id=connector_id, power=9_000.0)
        spike["component_health"] = {"contactor_cycles": 41_250, "relay_state": "closed"}
        charger.send("telemetry", spike)
    charger.send("events", event(data={"vin": VIN}))
    charger.send("firmware/status", {"firmware_version": "3.1.0", "status": "success"})
    twice = record()
    charger.send("charging-records", twice)
    charger.api.post("/v1/device/charging-records", twice | {"energy": 1.25})
    for _ in range(2):
        charger.send("charging-records", record(vehicle_info={"vin": VIN, "soc_start": 20}))


def _upload(tenant: Tenant, charger: Charger) -> list[str]:
    """Let a charger upload its logs, and its presence be noticed; return what there is to read."""
    asked = ask(charger)
    assert asked.upload(bytes(range(256)) * 4_096).status_code == 200
    device = f"/v1/operator/devices/{charger.device_id}"
    wait_until(
        lambda: tenant.api.get(f"{device}/network").data["history"]["items"], "presence to be seen"
    )
    return [f"/v1/operator/diagnostics/{asked.report_id}", f"{device}/diagnostics"]


def _operate(tenant: Tenant, chargers: list[Charger]) -> list[str]:
    """Issue commands, a schedule, a control and a rollout; return what there is to be read."""
    first, _, third = chargers
    connector = f"/v1/operator/devices/{first.device_id}/connectors/1"
    issued = tenant.api.post(f"{connector}/start", {"charge_power": 20.0}, expect=200).data
    first.send("heartbeat", heartbeat())
    said = {"command_id": issued["command_id"], "status": "accepted", "timestamp": moment()}
    first.send("command-status", said)
    plan = tenant.api.post(f"{connector}/schedule", PLAN, expect=200).data
    control = tenant.api.post(
        "/v1/operator/control/flexibility",
        LIMIT | {"target_type": "site", "target_ids": [tenant.site_id]},
        expect=200,
    ).data
    tenant.admin.post("/v1/admin/firmware/releases", RELEASE, expect=200)
    rollout = {
        "firmware_version": "3.2.0",
        "cohort": {"device_ids": [third.device_id]},
        "waves": [{"success_percent": 100, "max_failure_percent": 0}],
    }
    tenant.api.post("/v1/operator/firmware/rollouts", rollout, expect=200)
    paths = [
        "/v1/operator/sites",
        "/v1/operator/devices",
        "/v1/operator/charging-records?size=100",
        "/v1/operator/firmware/releases",
        f"{connector}/schedule",
        f"/v1/operator/commands/{plan['command_id']}",
        f"/v1/operator/commands/{issued['command_id']}",
        f"/v1/operator/control/flexibility/{control['control_id']}",
        "/v1/operator/sessions?status=ended&size=100",
        "/v1/operator/data-quality?size=100",
        ENERGY,
    ]
    for charger in chargers:
        device = f"/v1/operator/devices/{charger.device_id}"
        paths += [device, f"{device}/events", f"{device}/firmware"]
        paths += [f"{device}/telemetry?connector_id={number}&size=100" for number in (1, 2)]
        paths.append(f"{device}/component-health")
    return paths


def _deal_with(partner: Partner, charger: Charger) -> list[str]:
    """Let a partner look, start what cannot begin, and tell of its own; return what to read."""
    assert partner.info()["ItemSize"] > 0
    assert partner.start("order-1", charger).json["Status"] == "START_FAILED"
    point = {
        "ChargeBoxId": "CN-0001",
        "CreateTime": "2024-01-08 15:30:00",
        "Type": "DC",
        "Power": 120,
        "Longitude": 121.4737,
        "Latitude": 31.2304,
        "Connectors": [{"ConnectorId": 1, "Status": "Working"}],
    }
    path = "/v1/customer/notification_stationStatus"
    partner.api.request("PUT", path, json=point, expect=200)
    said = {
        "OrderId": "theirs-1",
        "DeviceVendorOrderId": "vendor-1",
        "ChargePointId": "CN-0001",
        "ConnectorId": 1,
        "ChangeTime": "2026-05-01 10:00:00",
        "Status": "CHARGING",
    }
    partner.api.post("/v1/customer/notify_work_status", said, expect=200)
    lists = ("foreign-charge-points", "foreign-orders", "peer-orders")
    return [f"/v1/operator/{name}" for name in lists]


def _forget_the_present(value: Any) -> None:
    """Take out what follows the time of the question, and not what is stored."""
    if isinstance(value, dict):
        for name in ("last_used_at", "last_seen", "last_seen_at", "next_slots", "status_age"):
            value.pop(name, None)
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            _forget_the_present(one)


def pack(data_dir: Path) -> None:
    """Let time pass for the log: what is old is packed into hours."""

    async def compact() -> None:
        settings = load_configuration({"data_dir": str(data_dir)}, environment={}).settings
        platform = Platform(settings, LogRecorder())
        await platform.start()
        await platform.telemetry.compact()
        await platform.stop()

    asyncio.run(compact())
