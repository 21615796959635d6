"""Alerts over a real store, with devices of two operators and a clock that is moved."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tellus.alerts.model import (
    Alert,
    AlertChange,
    AlertFilter,
    AlertSeverity,
    AlertStatus,
    AlertView,
    Cleared,
    Finding,
)
from tellus.alerts.service import AlertService
from tellus.audit.model import Actor
from tellus.kernel.clock import ManualClock, SystemClock
from tellus.storage.database import Tx
from tests.databases import open_database

T = TypeVar("T")

OPERATOR, OTHER = "op_1", "op_2"
KEY = "F-0421:dvc_1:1"
BEGAN_MS = 1_790_000_000_000


def finding(**changes: Any) -> Finding:
    """A finding about connector 1 of device 1."""
    facts: dict[str, Any] = {
        "key": KEY,
        "operator_id": OPERATOR,
        "site_id": "site_1",
        "code": "F-0421",
        "severity": AlertSeverity.HIGH,
        "title": "Contactor failed to engage",
        "text": "The contactor did not close when the session began.",
        "found_by": "charger",
        "at_ms": BEGAN_MS,
        "device_no": 1,
        "connector_id": 1,
        "evidence": {"fault_code": "F-0421"},
        "runbook": "charger-wont-start",
    }
    return Finding(**(facts | changes))


def clearing(at_ms: int = BEGAN_MS, key: str = KEY) -> Cleared:
    """Word that the matter is no longer so."""
    return Cleared(operator_id=OPERATOR, key=key, at_ms=at_ms)


class AlertBench:
    """The alerts of one test; ``changes`` are those that were told in their transactions."""

    def __init__(self, path: Path) -> None:
        self.clock = ManualClock(BEGAN_MS)
        # The store measures how long writes take: by a clock that no test moves.
        self.database = open_database(path, SystemClock())
        self.service = AlertService(self.database, self.clock)
        self.changes: list[AlertChange] = []
        self.service.in_tx.append(lambda _tx, changes: self.changes.extend(changes))

    async def start(self) -> None:
        await self.database.start()
        await self.database.write(_add_devices)

    async def stop(self) -> None:
        await self.database.stop()

    async def find_all(self, operator_id: str = OPERATOR, **wanted: Any) -> Sequence[Alert]:
        """The operator's alerts, newest first."""
        filters = AlertFilter(operator_id=operator_id, **wanted)
        return (await self.service.list_alerts(filters, 0, 100))[1]

    async def only(self) -> Alert:
        """The one alert that there is."""
        [alert] = await self.find_all()
        return alert

    async def change(
        self, alert: Alert, status: str | None = None, note: str | None = None
    ) -> AlertView:
        """Let somebody do something about an alert."""
        wanted = None if status is None else AlertStatus(status)
        by = Actor("cl_1", "req_1")
        return await self.service.change_alert(alert.operator_id, alert.alert_id, wanted, note, by)


def run_alerts(path: Path, test: Callable[[AlertBench], Awaitable[T]]) -> T:
    """Run a test over a store that is stopped afterwards."""

    async def whole() -> T:
        bench = AlertBench(path)
        await bench.start()
        try:
            return await test(bench)
        finally:
            await bench.stop()

    return asyncio.run(whole())


def _add_devices(tx: Tx) -> None:
    """Devices 1 and 2 of the one operator, 3 of the other."""
    tx.insert_many(
        "INSERT INTO devices (device_no, device_id, sn, operator_id, site_id, model, manufacturer,"
        " firmware_version, active, created_ms, updated_ms)",
        [
            (number, f"dvc_{number}", f"SN{number}", owner, "site_1", "M", "X", "1", 1, 0, 0)
            for number, owner in ((1, OPERATOR), (2, OPERATOR), (3, OTHER))
        ],
    )
