"""Opening PostgreSQL as the promises need it: durable commits, one spelling of every value."""

from typing import Any, Final, NamedTuple

import psycopg
from psycopg.adapt import Loader
from psycopg.pq import ConnStatus
from psycopg.types.numeric import FloatBinaryDumper, Int8BinaryDumper
from psycopg.types.string import BytesBinaryDumper, StrBinaryDumper

from tellus.storage.postgres_tx import Connection
from tellus.storage.refusals import NotDurable, StorageRefused

_OLDEST_SERVER: Final = 140_000
_CONNECT_TIMEOUT_S: Final = 5
_STRONG_ENOUGH: Final = ("on", "remote_apply")
# A peer that went away without a word is noticed after about ten seconds.
_NETWORK: Final[dict[str, Any]] = {
    "connect_timeout": _CONNECT_TIMEOUT_S,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "client_encoding": "UTF8",
}
_WANTED: Final = (
    "server_version_num",
    "server_encoding",
    "fsync",
    "full_page_writes",
    "synchronous_commit",
)


class Address(NamedTuple):
    """Where the database is: its URL, which may hold a password, and how this process is called."""

    url: str
    application_name: str = "tellus"
    statement_timeout_ms: int = 30_000

    def __str__(self) -> str:
        """Return host, port and name of the database, and nothing secret."""
        known = psycopg.conninfo.conninfo_to_dict(self.url)
        host = known.get("host") or known.get("hostaddr") or "the local socket"
        return f"database {known.get('dbname') or known.get('user')} at {host}"


class DatabaseUnreachable(StorageRefused):
    """PostgreSQL does not answer, or lets us not in."""


class _Number(Loader):
    """Sums of integers are integers, as SQLite has them, and not decimals."""

    def load(self, data: Any) -> int | float:
        text = bytes(data).decode()
        return int(text) if text.lstrip("-").isdigit() else float(text)


def connect(address: Address) -> Connection:
    """Open a connection on which statements stand alone until a transaction is begun.

    Raises:
        psycopg.OperationalError: the server cannot be reached, or does not let us in.
    """
    connection: Connection = psycopg.connect(
        address.url,
        autocommit=True,
        prepare_threshold=2,
        **{"application_name": address.application_name, **_NETWORK},
    )
    adapters = connection.adapters
    # One type per kind of value, whatever its size: statements are then prepared once.
    for kind, dumper in (
        (int, Int8BinaryDumper),
        (bool, Int8BinaryDumper),
        (float, FloatBinaryDumper),
        (str, StrBinaryDumper),
        (bytes, BytesBinaryDumper),
    ):
        adapters.register_dumper(kind, dumper)
    adapters.register_loader("numeric", _Number)
    try:
        connection.prepared_max = 500
        connection.execute(
            "SELECT set_config('statement_timeout', %s, false),"
            " set_config('lock_timeout', '10s', false),"
            " set_config('idle_in_transaction_session_timeout', '60s', false),"
            " set_config('synchronous_commit', CASE current_setting('synchronous_commit')"
            " WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false)",
            (f"{address.statement_timeout_ms}",),
        )
    except BaseException:
        connection.close()
        raise
    return connection


def require_durable(connection: Connection) -> None:
    """Read back the settings that a durable commit stands on.

    Raises:
        NotDurable: the server is too old, or one of them is not as needed.
        StorageRefused: text is not kept in UTF-8, or the server only reads.
    """
    rows = connection.execute(
        "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", (list(_WANTED),)
    ).fetchall()
    held: dict[str, str] = dict(rows)
    if int(held["server_version_num"]) < _OLDEST_SERVER:
        version = int(held["server_version_num"]) / 10_000
        raise NotDurable(f"PostgreSQL {version:.0f} is too old: 14 or newer is needed")
    if held["server_encoding"] != "UTF8":
        raise StorageRefused(
            f"The database keeps text in {held['server_encoding']}: create it with"
            " ENCODING 'UTF8' TEMPLATE template0"
        )
    weak = [f"{name}={held[name]}" for name in ("fsync", "full_page_writes") if held[name] != "on"]
    if held["synchronous_commit"] not in _STRONG_ENOUGH:
        weak.append(f"synchronous_commit={held['synchronous_commit']}")
    if weak:
        raise NotDurable(
            f"PostgreSQL reports {', '.join(weak)} where on is needed: acknowledged writes could"
            " be lost, so the store does not start"
        )
    (reads_only,) = connection.execute("SHOW transaction_read_only").fetchall()[0]
    if reads_only == "on":
        raise StorageRefused("The database only reads: it is a standby, or set to read only")


def is_alive(connection: Connection) -> bool:
    """Tell whether the connection is open as far as this side knows."""
    return not connection.closed and connection.pgconn.status == ConnStatus.OK
