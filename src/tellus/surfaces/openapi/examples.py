"""Examples of the main operations, by method and path: one small depot, the same in all of them."""

from typing import Any, Final

from tellus.surfaces.routes import Answer, Route

_DEVICE: Final = "dvc_7f3k9m2q8r5t1v6w4x0y"
_SITE: Final = "site_2b8d4f6h0k3m5p7r9t1v"
_CONTROL_ID: Final = "ctl_5b9d2f7h4k0n6q1s8u3w"
_COMMAND: Final = "cmd_9c5e1g7j3m8q2s6u4w0y"
_CONTROL: Final = "/v1/operator/devices/{device_id}/connectors/{connector_id}"

_SITE_ITEM: Final = {
    "site_id": _SITE,
    "name": "Harbour depot",
    "address": "Kaistrasse 4, 24103 Kiel",
    "location": {"lat": 54.3165, "lng": 10.1377},
    "total_connectors": 6,
    "status_summary": {
        "idle": 3,
        "charging": 2,
        "fault": 0,
        "discharging": 1,
        "unavailable": 0,
        "offline": 0,
    },
    "power_capacity": 420.0,
    "created_at": "2026-01-12T08:00:00Z",
    "status": "active",
    "timezone": "Europe/Berlin",
    "region": "eu",
}
_SAMPLE: Final = {
    "timestamp": "2026-03-02T06:41:05Z",
    "connector_id": 2,
    "state": "charging",
    "voltage": 741.5,
    "current": 78.2,
    "power": 57.99,
    "energy_delivered": 21.4,
    "soc": 63,
    "temperature": 41.0,
}
_EVENT: Final = {
    "timestamp": "2026-03-02T06:12:00Z",
    "event_type": "plug_in",
    "connector_id": 2,
    "data": {"vehicle_connected": True},
}
_RECORD: Final = {
    "record_id": "K4-000217",
    "connector_id": 2,
    "start_time": "2026-03-02T06:12:10Z",
    "end_time": "2026-03-02T06:58:40Z",
    "energy": 38.6,
    "max_power": 59.1,
    "avg_power": 49.8,
    "cost": 17.37,
    "meter_start": 81204.1,
    "meter_end": 81242.7,
    "vehicle_info": {"soc_start": 31, "soc_end": 80},
}
_CREDENTIALS: Final = {
    "client_id": "cli_4h8k2m6q0s3u7w1y5a9c",
    "client_secret": "the secret that was shown once",
    "grant_type": "client_credentials",
}
_PLAN: Final = {
    "schedule_id": "weeknights",
    "enabled": True,
    "type": "weekly",
    "time_slots": [
        {
            "day_of_week": ["mon", "tue", "wed", "thu", "fri"],
            "start": "22:00",
            "end": "06:00",
            "power_limit": 11.0,
            "action": "charge",
        }
    ],
    "target_soc": 90,
    "effective_until": "2026-09-30T22:00:00Z",
    "timezone": "Europe/Berlin",
}

_FLEXIBILITY: Final = "/v1/operator/control/flexibility"
_LIMIT: Final = {
    "target_type": "site",
    "target_ids": [_SITE],
    "command": "set_power_limit",
    "params": {"power_limit_percent": 50, "duration": 1800, "reason": "grid_overload"},
}
_LIMIT_SHOWN: Final = {
    **_LIMIT,
    "control_id": _CONTROL_ID,
    "status": "executing",
    "chargers": 1,
    "created_at": "2026-03-02T17:00:00Z",
    "ends_at": "2026-03-02T17:30:00Z",
}

_REQUESTS: Final[dict[str, Any]] = {
    f"POST {_FLEXIBILITY}": _LIMIT,
    "POST /v1/operator/oauth/token": _CREDENTIALS,
    f"POST {_CONTROL}/start": {"charge_power": 50.0, "duration": 5400, "target_soc": 80},
    f"POST {_CONTROL}/stop": {"reason": "user_request"},
    f"POST {_CONTROL}/schedule": _PLAN,
    f"POST {_CONTROL}/discharge": {"discharge_power": 30.0, "duration": 7200, "min_soc": 40},
    "POST /v1/operator/devices/{device_id}/commands": {
        "command": "calibrate_sensor",
        "params": {"sensor": "temperature"},
        "connector_id": 2,
        "confirm": True,
    },
    "POST /v1/device/register": {
        "sn": "TP60-2026-004217",
        "model": "TP-DC60",
        "manufacturer": "Tellus Power",
        "firmware_version": "260420.0107",
        "mac": "02:1b:44:9a:0c:7e",
    },
    "POST /v1/device/token": {
        "device_id": _DEVICE,
        "device_secret": "the secret from the registration",
        "grant_type": "client_credentials",
    },
    "POST /v1/device/heartbeat": {
        "timestamp": "2026-03-02T06:41:00Z",
        "status": "online",
        "fault_code": 0,
    },
    "POST /v1/device/telemetry": _SAMPLE,
    "POST /v1/device/telemetry/batch": {"items": [_SAMPLE]},
    "POST /v1/device/events": _EVENT,
    "POST /v1/device/events/batch": {"items": [_EVENT]},
    "POST /v1/device/charging-records": _RECORD,
    "POST /v1/device/charging-records/batch": {"items": [_RECORD]},
    "POST /v1/device/command-status": {
        "command_id": _COMMAND,
        "status": "accepted",
        "timestamp": "2026-03-02T06:12:08Z",
    },
}

_ENERGY_TOTAL: Final = {"charge_energy": 801.48, "discharge_energy": 36.0, "max_power": 118.4}
_STORED: Final = {"items": [{"outcome": "stored"}]}
_QUEUED: Final = {
    "command_id": _COMMAND,
    "status": "queued",
    "expires_at": "2026-03-02T06:14:05Z",
    "device_online": True,
}
_PLAN_QUEUED: Final = {
    "schedule_id": "weeknights",
    "command_id": _COMMAND,
    "status": "queued",
    "expires_at": "2026-03-09T06:12:05Z",
    "device_online": True,
}
_ANSWERS: Final[dict[str, Any]] = {
    "GET /v1/operator/sites": {"total": 1, "page": 1, "size": 20, "items": [_SITE_ITEM]},
    "GET /v1/operator/sites/{site_id}": _SITE_ITEM,
    "GET /v1/operator/devices/{device_id}": {
        "device_id": _DEVICE,
        "sn": "TP60-2026-004217",
        "model": "TP-DC60",
        "manufacturer": "Tellus Power",
        "firmware_version": "260420.0107",
        "status": "online",
        "connectors": [
            {
                "connector_id": 2,
                "status": "charging",
                "power": 57.99,
                "voltage": 741.5,
                "current": 78.2,
                "energy_delivered": 21.4,
                "soc": 63,
                "temperature": 41.0,
                "last_telemetry_time": "2026-03-02T06:41:05Z",
            }
        ],
        "last_heartbeat": "2026-03-02T06:41:00Z",
        "site_id": _SITE,
        "health": "ok",
        "v2g": False,
        "created_at": "2026-01-12T09:30:00Z",
    },
    f"POST {_FLEXIBILITY}": {"control_id": _CONTROL_ID, "status": "executing"},
    f"GET {_FLEXIBILITY}/{{control_id}}": {
        **_LIMIT_SHOWN,
        "command_status": "accepted",
        "updated_at": "2026-03-02T17:00:02Z",
        "targets": [
            {
                "device_id": _DEVICE,
                "status": "completed",
                "power_limit_kw": 30.0,
                "connectors": [
                    {
                        "connector_id": connector_id,
                        "status": "completed",
                        "power_limit_kw": 15.0,
                        "command_id": _COMMAND,
                    }
                    for connector_id in (1, 2)
                ],
            }
        ],
    },
    f"DELETE {_FLEXIBILITY}/{{control_id}}": {
        **_LIMIT_SHOWN,
        "status": "cancelled",
        "cancelled_at": "2026-03-02T17:10:00Z",
    },
    f"POST {_CONTROL}/start": _QUEUED,
    f"POST {_CONTROL}/stop": _QUEUED,
    f"POST {_CONTROL}/discharge": _QUEUED,
    "POST /v1/operator/devices/{device_id}/commands": _QUEUED,
    f"POST {_CONTROL}/schedule": _PLAN_QUEUED,
    f"DELETE {_CONTROL}/schedule": _PLAN_QUEUED,
    f"GET {_CONTROL}/schedule": {
        "items": [
            {
                **_PLAN,
                "command_id": _COMMAND,
                "command_status": "completed",
                "created_at": "2026-03-02T06:12:05Z",
                "updated_at": "2026-03-02T06:12:05Z",
                "next_slots": [
                    {
                        "start_at": "2026-03-02T21:00:00Z",
                        "end_at": "2026-03-03T05:00:00Z",
                        "action": "charge",
                        "power_limit": 11.0,
                    }
                ],
            }
        ]
    },
    "GET /v1/operator/commands/{command_id}": {
        "command_id": _COMMAND,
        "status": "completed",
        "created_at": "2026-03-02T06:12:05Z",
        "updated_at": "2026-03-02T06:12:10Z",
        "device_id": _DEVICE,
        "connector_id": 2,
        "command": "start_charging",
        "params": {"connector_id": 2, "charge_power": 50.0},
        "expires_at": "2026-03-02T06:14:05Z",
        "deliveries": 1,
        "reports": [
            {
                "status": "completed",
                "timestamp": "2026-03-02T06:12:09Z",
                "received_at": "2026-03-02T06:12:10Z",
                "effect": "applied",
            }
        ],
    },
    "GET /v1/operator/stream": {
        "device_id": _DEVICE,
        "timestamp": "2026-03-02T06:41:05Z",
        "connectors": [
            {
                "connector_id": 2,
                "state": "charging",
                "power": 57.99,
                "energy_delivered": 21.4,
                "soc": 63,
            }
        ],
    },
    "POST /v1/device/heartbeat": {"commands": []},
    "GET /v1/operator/aggregated/energy": {
        "granularity": "day",
        "start_time": "2026-03-01T23:00:00Z",
        "end_time": "2026-03-03T23:00:00Z",
        "timezone": "Europe/Berlin",
        "series": [
            {
                "time": day,
                "site_id": _SITE,
                "charge_energy": charge,
                "discharge_energy": discharge,
                "max_power": power,
                "avg_power": mean,
            }
            for day, charge, discharge, power, mean in (
                ("2026-03-02", 412.68, 36.0, 118.4, 15.695),
                ("2026-03-03", 388.8, 0.0, 109.7, 16.2),
            )
        ],
        "total": _ENERGY_TOTAL,
        "groups": [{"site_id": _SITE, "total": _ENERGY_TOTAL}],
    },
    "GET /v1/operator/meter-values": {
        "items": [
            {
                "timestamp": "2026-03-02T06:41:05Z",
                "device_id": _DEVICE,
                "connector_id": 1,
                "measurand": "Power.Active.Import",
                "value": 48.2,
                "unit": "kW",
                "context": "Sample.Periodic",
                "location": "Outlet",
            }
        ],
        "next_cursor": "WzE3NzI0MzM2NjUwMDAsMSw0MiwyXQ",
    },
    "GET /v1/operator/devices/{device_id}/sessions/{record_id}/telemetry": {
        "device_id": _DEVICE,
        "connector_id": 1,
        "record_id": "rec-000173",
        "start_time": "2026-01-02T06:12:08Z",
        "end_time": "2026-01-02T06:58:40Z",
        "resolution": "minute",
        "items": [
            {
                "timestamp": "2026-01-02T06:12:00Z",
                "state": "charging",
                "voltage": 401.8,
                "current": 119.6,
                "power": 48.05,
                "energy_delivered": 0.68,
                "soc": 41,
                "samples": 11,
            }
        ],
    },
    "POST /v1/device/telemetry": None,
    "POST /v1/device/events": None,
    "POST /v1/device/charging-records": None,
    "POST /v1/device/command-status": None,
    "POST /v1/device/telemetry/batch": _STORED,
    "POST /v1/device/events/batch": _STORED,
    "POST /v1/device/charging-records/batch": _STORED,
    "GET /v1/device/commands": {
        "command_id": _COMMAND,
        "command": "start_charging",
        "params": {"connector_id": 2, "charge_power": 50.0, "duration": 5400, "target_soc": 80},
        "expiry": "2026-03-02T06:14:05Z",
    },
}


def request_example(route: Route) -> Any:
    """Return an example of the request body, or None where there is none."""
    return _REQUESTS.get(_key(route))


def answer_example(route: Route) -> Any:
    """Return an example of the whole answer, or None where there is none."""
    if route.answer is Answer.TOKEN:
        token = {"access_token": "a.signed.token", "token_type": "Bearer", "expires_in": 86400}
        return {**token, "code": 0, "message": "success", "data": token}
    key = _key(route)
    if key not in _ANSWERS:
        return None
    if route.answer is Answer.STREAM:
        return _ANSWERS[key]
    return {"code": 0, "message": "success", "data": _ANSWERS[key]}


def _key(route: Route) -> str:
    return f"{route.method} {route.path}"
