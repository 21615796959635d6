"""Nothing in the store is of a device that was erased, whichever feature wrote it."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tellus.app import Platform
from tellus.audit.model import Actor
from tellus.config import load_configuration
from tellus.fleet.erasure import LONGEST_WAIT_MS
from tellus.kernel.clock import ManualClock
from tellus.logs import LogRecorder
from tellus.storage.database import Tx

OWN = {"schema_migrations", "instance", "nodes", "leases", "changes"}
"""Tables of the store and of the nodes."""
OF_ITS_ROWS = {
    "alert_notes", "alert_runs", "reads", "runbook_photos", "runbook_steps", "stored_file_parts",
    "webhook_outbox",
}  # fmt: skip
"""Tables that name no device, whose rows belong to rows that do."""
KEPT = {
    # That it was there, what it was told, and what it said of its firmware.
    "devices", "device_principals", "device_credentials", "device_state", "connectors",
    "connector_state", "commands", "command_reports", "schedules", "control_targets",
    "firmware_reports", "firmware_upgrades", "firmware_rollout_devices", "legacy_points",
    "legacy_orders", "legacy_outbox", "erasures", "provisionings",
    # What was agreed to and done, for as long as somebody may ask.
    "audit_log", "audit_seals", "consents", "customer_requests", "request_keys",
    "signed_answers",
}  # fmt: skip
"""Tables whose rows of a device stay, as the page of what is kept says."""
OF_NO_DEVICE = {
    "operators", "clients", "client_secrets", "service_accounts", "signing_keys", "subjects",
    "sites", "controls", "firmware_releases", "firmware_release_models", "firmware_rollouts",
    "energy_hours", "energy_minutes", "energy_days", "legacy_peers", "legacy_shares",
    "legacy_foreign_points", "legacy_foreign_orders", "component_folders", "config_profiles",
    "config_profile_versions", "destination_regions", "transfer_grants", "v2g_vehicles",
    "webhooks", "agent_turns",
}  # fmt: skip
"""Tables of operators, sites, the platform, and sums that name no device."""

GONE_NO, STAYS_NO = 1_001, 1_002

Columns = dict[str, list[tuple[str, str]]]


def columns_of(store: Path) -> Columns:
    """The columns of each table with their types."""
    with closing(sqlite3.connect(store)) as connection:
        names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        return {
            name: [
                (column, kind)
                for _, column, kind, *_ in connection.execute(f"PRAGMA table_info({name})")
            ]
            for (name,) in names
            if name not in OWN and not name.startswith("sqlite_")
        }


def value_of(column: str, kind: str, number: int) -> Any:
    """What stands in a column for a device: alike in all tables, so that rows belong together."""
    if kind == "TEXT":
        return f"{'device_id' if column == 'scope_id' else column}_{number}"
    return str(number).encode() if kind == "BLOB" else number


def fill(tx: Tx, columns: Columns, number: int) -> None:
    """Write a row into each table for a device."""
    for table, found in columns.items():
        marks = ", ".join(f"${place}" for place in range(1, len(found) + 1))
        names = ", ".join(column for column, _ in found)
        values = [value_of(column, kind, number) for column, kind in found]
        tx.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", *values)


def held(tx: Tx, columns: Columns, number: int) -> set[str]:
    """The tables that have the row of a device."""
    return {
        table
        for table, found in columns.items()
        if tx.row(f"SELECT 1 FROM {table} WHERE {found[0][0]} = $1", value_of(*found[0], number))
    }


def test_device__erased__has_rows_in_no_table_but_those_that_are_kept(tmp_path: Path) -> None:
    """Of one of two devices with a row in every table only what is named here is left."""
    settings = load_configuration({"data_dir": str(tmp_path)}, environment={}).settings
    clock = ManualClock()
    platform = Platform(settings, LogRecorder(), clock=clock)

    async def erase() -> tuple[Columns, set[str], set[str]]:
        database = platform.database
        await database.start()
        try:
            columns = columns_of(tmp_path / "tellus.db")
            for number in (GONE_NO, STAYS_NO):
                await database.write(fill, columns, number)
            await platform.erasures.erase_device(f"device_id_{GONE_NO}", Actor("acc_1", None))
            clock.advance(LONGEST_WAIT_MS)
            await platform.erasures.turn()
            left = [await database.read(held, columns, no) for no in (GONE_NO, STAYS_NO)]
        finally:
            await database.stop()
        return columns, left[0], left[1]

    columns, left, of_other = asyncio.run(erase())
    assert of_other == set(columns)
    names_it = {
        table
        for table, found in columns.items()
        if {"device_no", "device_id"} & {column for column, _ in found}
    }
    erased = (names_it | OF_ITS_ROWS) - KEPT
    assert left == set(columns) - erased
    assert left == KEPT | OF_NO_DEVICE, "say whose the rows of a new table are"
