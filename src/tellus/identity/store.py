"""Identity's tables of who calls: operators, clients, service accounts, devices, and secrets."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import msgspec

from tellus.identity.model import (
    AdminScope,
    Client,
    ClientScope,
    ClientSecret,
    ClientSettings,
    DeviceRecord,
    DeviceSecret,
    Operator,
    ServiceAccount,
    SigningPolicy,
    VinMode,
)
from tellus.kernel.errors import NotFound
from tellus.storage.database import Row, Tx

# ------------------------------------------------------------------ operators


def append_operator(tx: Tx, operator: Operator) -> None:
    """Insert a new operator."""
    tx.execute(
        "INSERT INTO operators (operator_id, name, region, created_ms) VALUES ($1, $2, $3, $4)",
        operator.operator_id,
        operator.name,
        operator.region,
        operator.created_ms,
    )


def find_operator(tx: Tx, operator_id: str) -> Operator | None:
    """Return an operator, or None."""
    row = tx.row(
        "SELECT operator_id, name, region, created_ms FROM operators WHERE operator_id = $1",
        operator_id,
    )
    return None if row is None else Operator(*row)


def list_operators(tx: Tx, offset: int, size: int) -> tuple[int, list[Operator]]:
    """Return how many operators there are and one page of them, oldest first."""
    rows = tx.rows(
        "SELECT operator_id, name, region, created_ms FROM operators"
        " ORDER BY created_ms, operator_id LIMIT $1 OFFSET $2",
        size,
        offset,
    )
    return _count(tx, "SELECT COUNT(*) FROM operators"), [Operator(*row) for row in rows]


# -------------------------------------------------------------------- clients

_CLIENT = (
    "client_id, operator_id, name, scopes, vin_mode, limits, allowed_networks, cors_origins,"
    " signing, customer, generation, revoked_ms, created_ms"
)
_OF_CLIENT = "secret_id, verifier, created_ms, first_used_ms, retires_ms, sealed"


def append_client(tx: Tx, client: Client) -> None:
    """Insert a new client without its secrets."""
    tx.execute(
        f"INSERT INTO clients ({_CLIENT})"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        client.client_id,
        client.operator_id,
        *_setting_values(client.settings),
        client.generation,
        client.revoked_ms,
        client.created_ms,
    )


def update_client(tx: Tx, client: Client) -> None:
    """Write a client's settings, generation and revocation."""
    tx.execute(
        "UPDATE clients SET name = $1, scopes = $2, vin_mode = $3, limits = $4,"
        " allowed_networks = $5, cors_origins = $6, signing = $7, customer = $8, generation = $9,"
        " revoked_ms = $10 WHERE client_id = $11",
        *_setting_values(client.settings),
        client.generation,
        client.revoked_ms,
        client.client_id,
    )


def save_client_secrets(
    tx: Tx, client_id: str, before: Iterable[ClientSecret], after: Sequence[ClientSecret]
) -> None:
    """Make the rows of a client's secrets those of ``after``."""
    known = {secret.secret_id: secret for secret in before}
    kept = {secret.secret_id for secret in after}
    for secret_id in known.keys() - kept:
        tx.execute("DELETE FROM client_secrets WHERE secret_id = $1", secret_id)
    for secret in after:
        if known.get(secret.secret_id) != secret:
            tx.execute(
                f"INSERT INTO client_secrets (client_id, {_OF_CLIENT})"
                " VALUES ($1, $2, $3, $4, $5, $6, $7)"
                " ON CONFLICT (secret_id) DO UPDATE SET first_used_ms = excluded.first_used_ms,"
                " retires_ms = excluded.retires_ms, sealed = excluded.sealed",
                client_id,
                *msgspec.structs.astuple(secret),
            )


def find_client(tx: Tx, client_id: str, revision: int = 0) -> Client | None:
    """Return a client with its secrets, oldest first, or None."""
    row = tx.row(f"SELECT {_CLIENT} FROM clients WHERE client_id = $1", client_id)
    if row is None:
        return None
    secrets = tx.rows(
        f"SELECT {_OF_CLIENT} FROM client_secrets WHERE client_id = $1"
        " ORDER BY created_ms, secret_id",
        client_id,
    )
    return _client(row, secrets, revision)


def get_client(tx: Tx, client_id: str, revision: int = 0) -> Client:
    """Return a client with its secrets.

    Raises:
        NotFound: there is none of that id.
    """
    client = find_client(tx, client_id, revision)
    if client is None:
        raise NotFound
    return client


def list_clients(
    tx: Tx, operator_id: str | None, offset: int, size: int
) -> tuple[int, list[Client]]:
    """Return how many clients there are (of one operator or of all) and one page, oldest first."""
    condition, values = (
        ("", []) if operator_id is None else (" WHERE operator_id = $1", [operator_id])
    )
    rows = tx.rows(
        f"SELECT client_id FROM clients{condition} ORDER BY created_ms, client_id"
        f" LIMIT ${len(values) + 1} OFFSET ${len(values) + 2}",
        *values,
        size,
        offset,
    )
    total = _count(tx, f"SELECT COUNT(*) FROM clients{condition}", *values)
    return total, [get_client(tx, row[0]) for row in rows]


def list_all_clients(tx: Tx, revision: int = 0) -> list[Client]:
    """Return every client with its secrets."""
    by_client: dict[str, list[Row]] = {}
    for client_id, *secret in tx.rows(
        f"SELECT client_id, {_OF_CLIENT} FROM client_secrets"
        " ORDER BY client_id, created_ms, secret_id"
    ):
        by_client.setdefault(client_id, []).append(tuple(secret))
    rows = tx.rows(f"SELECT {_CLIENT} FROM clients")
    return [_client(row, by_client.get(row[0], []), revision) for row in rows]


def _client(row: Row, secrets: Iterable[Row], revision: int) -> Client:
    client_id, operator_id, name, scopes, vin_mode, limits, networks, origins, *more = row
    signing, customer, *rest = more
    settings = ClientSettings(
        name=name,
        scopes=frozenset(ClientScope(scope) for scope in scopes.split()),
        limits=msgspec.json.decode(limits, type=dict[str, int]),
        allowed_networks=tuple(networks.split()),
        cors_origins=tuple(origins.split()),
        vin_mode=VinMode(vin_mode),
        signing=SigningPolicy(signing),
        customer=customer,
    )
    held = tuple(ClientSecret(*secret) for secret in secrets)
    return Client(*[client_id, operator_id, settings, *rest, held, revision])


def _setting_values(settings: ClientSettings) -> tuple[str | None, ...]:
    return (
        settings.name,
        " ".join(sorted(settings.scopes)),
        settings.vin_mode.value,
        msgspec.json.encode(settings.limits).decode(),
        " ".join(settings.allowed_networks),
        " ".join(settings.cors_origins),
        settings.signing.value,
        settings.customer,
    )


# ----------------------------------------------------------- service accounts

_AT_ONCE = 200
_ACCOUNT = "service_account_id, name, scopes, verifier, generation, revoked_ms, created_ms"


def upsert_account(tx: Tx, account: ServiceAccount) -> None:
    """Insert a service account, or write what may change of it."""
    tx.execute(
        f"INSERT INTO service_accounts ({_ACCOUNT}) VALUES ($1, $2, $3, $4, $5, $6, $7)"
        " ON CONFLICT (service_account_id) DO UPDATE SET verifier = excluded.verifier,"
        " generation = excluded.generation, revoked_ms = excluded.revoked_ms",
        account.service_account_id,
        account.name,
        " ".join(sorted(account.scopes)),
        account.verifier,
        account.generation,
        account.revoked_ms,
        account.created_ms,
    )


def get_account(tx: Tx, service_account_id: str, revision: int = 0) -> ServiceAccount:
    """Return a service account.

    Raises:
        NotFound: there is none of that id.
    """
    row = tx.row(
        f"SELECT {_ACCOUNT} FROM service_accounts WHERE service_account_id = $1",
        service_account_id,
    )
    if row is None:
        raise NotFound
    return _account(row, revision)


def list_accounts(tx: Tx, revision: int = 0) -> list[ServiceAccount]:
    """Return every service account, oldest first."""
    rows = tx.rows(
        f"SELECT {_ACCOUNT} FROM service_accounts ORDER BY created_ms, service_account_id"
    )
    return [_account(row, revision) for row in rows]


def _account(row: Row, revision: int) -> ServiceAccount:
    account_id, name, scopes, *rest = row
    held = frozenset(AdminScope(scope) for scope in scopes.split())
    return ServiceAccount(*[account_id, name, held, *rest, revision])


# -------------------------------------------------------------------- devices

_DEVICE = "device_no, device_id, operator_id, generation, revoked_ms, created_ms"
_OF_DEVICE = (
    "secret_id, verifier, created_ms, expires_ms, first_used_ms, retires_ms, overdue_told_ms"
)


def upsert_device(tx: Tx, record: DeviceRecord) -> None:
    """Insert a device's principal, or write its operator, generation and revocation."""
    tx.execute(
        f"INSERT INTO device_principals ({_DEVICE}) VALUES ($1, $2, $3, $4, $5, $6)"
        " ON CONFLICT (device_no) DO UPDATE SET operator_id = excluded.operator_id,"
        " generation = excluded.generation, revoked_ms = excluded.revoked_ms",
        record.device_no,
        record.device_id,
        record.operator_id,
        record.generation,
        record.revoked_ms,
        record.created_ms,
    )


def raise_device_generations(tx: Tx, device_nos: Sequence[int]) -> None:
    """Let the tokens that devices have count no more."""
    for start in range(0, len(device_nos), _AT_ONCE):
        part = device_nos[start : start + _AT_ONCE]
        marks = ", ".join(f"${number}" for number in range(1, len(part) + 1))
        tx.execute(
            "UPDATE device_principals SET generation = generation + 1"
            f" WHERE device_no IN ({marks})",
            *part,
        )


def get_device(tx: Tx, device_no: int, revision: int = 0) -> DeviceRecord:
    """Return a device with its secrets, oldest first.

    Raises:
        NotFound: there is none of that number.
    """
    row = tx.row(f"SELECT {_DEVICE} FROM device_principals WHERE device_no = $1", device_no)
    if row is None:
        raise NotFound
    secrets = tx.rows(
        f"SELECT {_OF_DEVICE} FROM device_credentials WHERE device_no = $1"
        " ORDER BY created_ms, secret_id",
        device_no,
    )
    held = tuple(DeviceSecret(*secret) for secret in secrets)
    return DeviceRecord(*[*row, held, revision])


def find_device_no(tx: Tx, device_id: str) -> int | None:
    """Return the number of a device, or None."""
    row = tx.row("SELECT device_no FROM device_principals WHERE device_id = $1", device_id)
    return None if row is None else row[0]


def list_devices(tx: Tx, revision: int = 0) -> list[DeviceRecord]:
    """Return every device with its secrets."""
    secrets: dict[int, tuple[DeviceSecret, ...]] = {}
    rows = tx.rows(
        f"SELECT device_no, {_OF_DEVICE} FROM device_credentials"
        " ORDER BY device_no, created_ms, secret_id"
    )
    for device_no, group in groupby(rows, key=_first):
        secrets[device_no] = tuple(DeviceSecret(*row[1:]) for row in group)
    return [
        DeviceRecord(*[*row, secrets.get(row[0], ()), revision])
        for row in tx.rows(f"SELECT {_DEVICE} FROM device_principals")
    ]


def save_device_secrets(
    tx: Tx, device_no: int, before: Iterable[DeviceSecret], after: Sequence[DeviceSecret]
) -> None:
    """Make the rows of a device's secrets those of ``after``."""
    known = {secret.secret_id: secret for secret in before}
    kept = {secret.secret_id for secret in after}
    for secret_id in known.keys() - kept:
        tx.execute(
            "DELETE FROM device_credentials WHERE device_no = $1 AND secret_id = $2",
            device_no,
            secret_id,
        )
    for secret in after:
        if known.get(secret.secret_id) != secret:
            tx.execute(
                f"INSERT INTO device_credentials (device_no, {_OF_DEVICE})"
                " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
                " ON CONFLICT (device_no, secret_id) DO UPDATE SET"
                " first_used_ms = excluded.first_used_ms, retires_ms = excluded.retires_ms,"
                " overdue_told_ms = excluded.overdue_told_ms",
                device_no,
                *msgspec.structs.astuple(secret),
            )


def _count(tx: Tx, sql: str, *values: Any) -> int:
    row = tx.row(sql, *values)
    return int(row[0]) if row else 0


def _first(row: Row) -> Any:
    return row[0]
