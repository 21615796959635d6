"""Several nodes start at once on one empty PostgreSQL database, and are one installation."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg

from tellus.identity.keys import create_key_file
from tests.databases import postgres_server
from tests.server import RunningServer, start_server

NODES = 3
ONE_EACH = ("operators", "sites", "signing_keys", "service_accounts")


def test_start__many_nodes_on_an_empty_database__make_one_installation(tmp_path: Path) -> None:
    """One node migrates, one makes the first account and keys; a token of one is good at all."""
    url = postgres_server().make_database()
    keys = tmp_path / "keys.json"
    create_key_file(keys)

    def start(number: int) -> RunningServer:
        environment = {"TELLUS_KEYS_FILE": str(keys), "TELLUS_DATABASE__URL": url}
        folder = tmp_path / f"node{number}"
        return start_server(folder, "--database-url", url, environment=environment)

    with ThreadPoolExecutor(NODES) as pool:
        servers = list(pool.map(start, range(NODES)))
    try:
        with psycopg.connect(url) as connection:
            for table in ONE_EACH:
                assert connection.execute(f"SELECT count(*) FROM {table}").fetchall() == [(1,)]
        first = [server for server in servers if (server.data_dir / "admin.json").exists()]
        assert len(first) == 1
        operators = first[0].admin("GET", "/v1/admin/operators")
        for server in servers:
            server._admin_token = first[0]._admin_token
            assert server.admin("GET", "/v1/admin/operators") == operators
    finally:
        codes = [server.stop() for server in servers]
    assert codes == [0] * NODES
