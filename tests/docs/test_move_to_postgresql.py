"""The page about moving to PostgreSQL works as printed."""

import json
import secrets
from pathlib import Path

from tests.databases import postgres_server
from tests.docs.conftest import make_reader_folder
from tests.docs.markdown import REPOSITORY, read_blocks
from tests.docs.pasting import paste_into_shell
from tests.server import start_server

PAGE = REPOSITORY / "docs" / "how-to" / "move-to-postgresql.md"


def test_move_to_postgresql__as_printed__has_the_fleet_on_the_new_database(tmp_path: Path) -> None:
    """The file is moved and put away, and a platform on PostgreSQL knows its chargers."""
    url = postgres_server().make_database(f"page_{secrets.token_hex(4)}")
    server = start_server(tmp_path / "data")
    device_ids = {server.register().device_id for _ in range(3)}
    folder = make_reader_folder(server, tmp_path / "reader")
    assert server.stop() == 0
    places = {"DATA": str(server.data_dir), "URL": url}
    *_, looked, _ = paste_into_shell(read_blocks(PAGE, "sh"), folder, **places)
    moved = json.loads((folder / "moved.json").read_text())
    rows = {table["name"]: table["rows"] for table in moved["tables"]}
    assert rows["devices"] == 3
    assert all(device_id in looked.output for device_id in device_ids)
    assert not (server.data_dir / "tellus.db").exists()
    assert (server.data_dir / "before-the-move" / "tellus.db").exists()
    assert (folder / "keys.json").stat().st_mode & 0o777 == 0o600
