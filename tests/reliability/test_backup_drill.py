"""The drill of docs/how-to/back-up-and-restore.md, to the letter, on either database.

A load writes and keeps a ledger; the page's own blocks take the copy meanwhile; the original is
destroyed; the page's own blocks restore and look. Then everything that was acknowledged before the
copy began must be there, and, so that the comparison is known to bite, not everything that was
acknowledged after it.
"""

import asyncio
import re
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.markdown import REPOSITORY, Block, read_blocks
from tests.docs.pasting import Pasted, paste_into_shell
from tests.reliability.ledger import Findings, Ledger
from tests.reliability.mixed_load import MixedLoad
from tests.reliability.postgres_cluster import Cluster, running_cluster
from tests.reliability.test_kill import audit
from tests.server import Client, Device, RunningServer, start_server

PAGE = REPOSITORY / "docs" / "how-to" / "back-up-and-restore.md"
CHARGERS = 6
LOAD_S = 2.0
LOAD_AFTER_S = 1.0
ARCHIVED_WITHIN_S = 30.0
KINDS = {"telemetry", "event", "record", "command", "report"}

pytestmark = pytest.mark.slow


def blocks_below(part: str, heading: str, language: str = "sh") -> list[Block]:
    """Return the page's blocks below a heading of a part, in order."""
    current: list[str] = ["", ""]
    places: dict[int, tuple[str, str]] = {}
    for number, line in enumerate(PAGE.read_text().splitlines(), 1):
        if line.startswith("## "):
            current = [line[3:], ""]
        elif line.startswith("### "):
            current[1] = line[4:]
        places[number] = (current[0], current[1])
    blocks = read_blocks(PAGE, language)
    found = [block for block in blocks if places[block.line] == (part, heading)]
    assert found, f"nothing below {part}: {heading}"
    return found


@dataclass
class Promised:
    """What had been acknowledged at some moment, in the form that an audit reads."""

    ledger: Ledger

    async def pause(self) -> None:
        """Nothing runs any more."""


@dataclass
class Written:
    """A load that is over: who took part, and what was promised before and after the copy."""

    devices: list[Device]
    client: Client
    before: Promised
    after: Promised


def make_folder(tmp_path: Path) -> Path:
    """Return a reader's folder, with the environment that the page names."""
    folder = tmp_path / "reader"
    folder.mkdir()
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def write_and_copy(server: RunningServer, copy: Callable[[], list[Pasted]]) -> Written:
    """Run a load, take the copy while it runs, let it go on for a while, and end it."""
    devices = [server.register() for _ in range(CHARGERS)]
    client = server.create_client(limits={})
    load = MixedLoad(int(server.base_url.rpartition(":")[2]), devices, client, seed=1)

    async def run() -> Ledger:
        load.start()
        load.running.set()
        await asyncio.sleep(LOAD_S)
        before = Ledger(acknowledged=dict(load.ledger.acknowledged))
        await asyncio.to_thread(copy)
        await asyncio.sleep(LOAD_AFTER_S)
        await load.stop()
        return before

    before = asyncio.run(run())
    before.sent = load.ledger.sent
    assert load.ledger.failures == []
    assert {key[0] for key in before.acknowledged} == KINDS
    assert len(load.ledger.acknowledged) > len(before.acknowledged)
    return Written(devices, client, Promised(before), Promised(load.ledger))


def compare(server: RunningServer, written: Written) -> None:
    """Judge a restored platform; stop it."""
    port = int(server.base_url.rpartition(":")[2])

    def look(promised: Promised) -> Findings:
        return asyncio.run(audit(port, written.devices, written.client, promised, 0))  # type: ignore[arg-type]

    try:
        before, after = look(written.before), look(written.after)
        print(f"acknowledged before the copy: {before}; by the end: {after}")
        assert (before.lost[:10], before.duplicates[:10], before.phantoms[:10]) == ([], [], [])
        assert before.looked_for >= len(written.before.ledger.acknowledged)
        assert after.lost, "what came after the copy cannot be in it"
        for device in written.devices:
            assert server.device_token(device)
    finally:
        assert server.stop() == 0


def output_of(steps: list[Pasted], part: str) -> str:
    """What the first block that holds ``part`` printed."""
    return next(step.output for step in steps if part in step.block.text)


# ------------------------------------------------------------------------------------- SQLite


def test_sqlite_file__copied_under_load_and_restored__holds_all_acknowledged_before(
    tmp_path: Path,
) -> None:
    """The page's copy, restore and drill lose nothing that was acknowledged before the copy."""
    folder = make_folder(tmp_path)
    server = start_server(tmp_path / "data")
    backup = tmp_path / "backup"
    places = {"DATA": str(server.data_dir), "BACKUP": str(backup)}

    def copy() -> list[Pasted]:
        steps = paste_into_shell(
            blocks_below("SQLite", "Copy the file, while it runs"), folder, **places
        )
        assert output_of(steps, "integrity_check") == "ok\n"
        return steps

    written = write_and_copy(server, copy)
    copies = [*backup.glob("*.db"), *backup.glob("keys/*")]
    assert {path.name for path in copies[1:]} == {"keys.json", "admin.json"}
    assert {path.stat().st_mode & 0o777 for path in copies} == {0o600}
    server.kill()
    shutil.rmtree(server.data_dir)

    paste_into_shell(blocks_below("SQLite", "Restore the file"), folder, **places)
    [drill] = paste_into_shell(blocks_below("SQLite", "Drill with the file"), folder, **places)
    assert drill.output.count("dvc_") == CHARGERS
    assert server.base_url not in (folder / "restored" / "admin.json").read_text()
    compare(start_server(folder / "restored"), written)


# --------------------------------------------------------------------------------- PostgreSQL


def start_node(cluster: Cluster, folder: Path, database: str, keys: Path) -> RunningServer:
    """Start a node on a database, with a data directory and a key file."""
    environment = {"TELLUS_KEYS_FILE": str(keys)}
    return start_server(folder, "--database-url", cluster.url(database), environment=environment)


def create_keys(folder: Path) -> Path:
    """Make the key file that nodes share, as the documents say."""
    block = Block(PAGE, 0, "sh", "tellus keys create keys.json\n")
    paste_into_shell([block], folder)
    return folder / "keys.json"


def places_of(cluster: Cluster, node: Path, keys: Path, backup: Path) -> dict[str, str]:
    """Return the variables that the page names, for this cluster."""
    return {
        "DATA": str(node),
        "BACKUP": str(backup),
        "TELLUS_DATABASE__URL": cluster.url(),
        "TELLUS_KEYS_FILE": str(keys),
        "RESTORED_URL": cluster.url("tellus_restored"),
        "SERVER_URL": cluster.server_url,
        "PATH": f"{Path(sys.prefix) / 'bin'}:{cluster.programs}:/usr/bin:/bin",
    }


def test_postgres_dump__taken_under_load_and_restored__holds_all_acknowledged_before(
    tmp_path: Path,
) -> None:
    """The page's dump, restore and drill lose nothing that was acknowledged before the dump."""
    folder = make_folder(tmp_path)
    keys = create_keys(folder)
    with running_cluster() as cluster:
        server = start_node(cluster, tmp_path / "node", "tellus", keys)
        places = places_of(cluster, tmp_path / "node", keys, tmp_path / "backup")

        def copy() -> list[Pasted]:
            steps = paste_into_shell(
                blocks_below("PostgreSQL", "Dump, while it runs"), folder, **places
            )
            assert int(output_of(steps, "grep -c")) > 10
            return steps

        written = write_and_copy(server, copy)
        server.kill()
        cluster.ask("DROP DATABASE tellus WITH (FORCE)")
        shutil.rmtree(tmp_path / "node")
        keys.unlink()

        paste_into_shell(blocks_below("PostgreSQL", "Restore the dump"), folder, **places)
        [drill] = paste_into_shell(
            blocks_below("PostgreSQL", "Drill with the dump"), folder, **places
        )
        assert drill.output.count("dvc_") == CHARGERS
        restored = folder / "restored"
        again = start_node(cluster, restored, "tellus_restored", restored / "keys.json")
        compare(again, written)


def archive_settings() -> list[str]:
    """Return the page's lines for keeping the log, for a cluster of the test's own."""
    [block] = blocks_below("PostgreSQL", "Keep the log", "text")
    assert "/var/backups/tellus/wal" in block.text
    return block.text.replace("/var/backups/tellus", "FOLDER/backup").splitlines()


def wait_until_archived(cluster: Cluster, name: str) -> None:
    """Wait until a piece of the log is in the archive."""
    until_s = time.monotonic() + ARCHIVED_WITHIN_S
    while time.monotonic() < until_s:
        if (cluster.folder / "backup" / "wal" / name).exists():
            return
        time.sleep(0.1)
    raise AssertionError(cluster.ask("SELECT * FROM pg_stat_archiver"))


def test_postgres_base_backup__restored_with_the_log__holds_all_acknowledged_before(
    tmp_path: Path,
) -> None:
    """The page's base backup and log give back a cluster that is gone, up to the log's end."""
    folder = make_folder(tmp_path)
    keys = create_keys(folder)
    with running_cluster(archive_settings()) as cluster:
        backup = cluster.own(cluster.folder / "backup")
        cluster.own(backup / "wal")
        work = cluster.own(cluster.folder / "work")
        server = start_node(cluster, tmp_path / "node", "tellus", keys)
        places = places_of(cluster, tmp_path / "node", keys, backup)
        taken = blocks_below("PostgreSQL", "Take a base backup, while it runs")
        base, switch = taken

        def copy() -> list[Pasted]:
            # What was acknowledged after the base backup is in the log, and nowhere else.
            name = cluster.ask("SELECT pg_walfile_name(pg_current_wal_lsn())")
            steps = paste_into_shell([switch], work, prefix=cluster.prefix, **places)
            wait_until_archived(cluster, name)
            return steps

        steps = paste_into_shell([base], work, prefix=cluster.prefix, **places)
        assert steps[0].output == "verified\n"
        written = write_and_copy(server, copy)
        server.kill()
        cluster.destroy()

        places["PGDATA"] = str(cluster.data)
        restore = blocks_below("PostgreSQL", "Restore the base backup and the log")
        paste_into_shell(restore, work, prefix=cluster.prefix, **places)
        again = start_node(cluster, tmp_path / "node", "tellus", keys)
        compare(again, written)


def test_page__blocks_for_a_shell__are_all_part_of_a_drill() -> None:
    """No block of the page is left out by the drills above."""
    source = Path(__file__).read_text()
    for line in re.findall(r"^### (.*)$", PAGE.read_text(), re.MULTILINE):
        assert f'"{line}"' in source
    below = {"SQLite", "PostgreSQL"}
    headings = re.findall(r"^##+ (.*)$", PAGE.read_text(), re.MULTILINE)
    used = [
        block
        for part in below
        for heading in headings
        if f'"{heading}"' in source
        for block in _blocks_or_none(part, heading)
    ]
    assert len(used) == len(read_blocks(PAGE, "sh"))


def _blocks_or_none(part: str, heading: str) -> list[Block]:
    try:
        return blocks_below(part, heading)
    except AssertionError:
        return []
