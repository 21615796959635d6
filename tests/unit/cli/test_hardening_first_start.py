"""The first start may end at any moment: the next one has keys and an administrator."""

import json
import stat
from functools import partial
from pathlib import Path

import pytest

from tellus.app import Platform
from tellus.cli.serve import _keep_account, restore_admin_file, write_admin_file
from tellus.config import load_configuration
from tellus.identity.keys import KeyFileRefused
from tellus.identity.model import IssuedAccountSecret, ServiceAccount
from tellus.logs import LogRecorder

ACCOUNT = ServiceAccount("sa_1", "first", frozenset(), b"", 1, None, 0)


def build(folder: Path) -> Platform:
    """The platform over a data folder, as ``tellus serve`` builds it before it starts."""
    settings = load_configuration({"data_dir": str(folder)}, environment={}).settings
    return Platform(settings, LogRecorder())


def test_keys__missing_beside_a_database__are_refused_and_not_replaced(tmp_path: Path) -> None:
    """A lost key file is told of; a fresh one in its place would hide the loss."""
    (tmp_path / "tellus.db").touch()
    with pytest.raises(KeyFileRefused, match="cannot be read"):
        build(tmp_path)
    assert not (tmp_path / "keys.json").exists()


def test_keys__no_database_yet__are_made_once(tmp_path: Path) -> None:
    """A start that ended before it had a database leaves keys that the next one takes."""
    build(tmp_path)
    made = (tmp_path / "keys.json").read_bytes()
    build(tmp_path)
    assert (tmp_path / "keys.json").read_bytes() == made


def test_admin_file__start_ended_after_the_commit__is_finished_by_the_next(tmp_path: Path) -> None:
    """The secret is on disk before its account is committed; only the name was left to give."""
    path = tmp_path / "admin.json"
    _keep_account(path, "http://127.0.0.1:1", IssuedAccountSecret("sk_adm_x", ACCOUNT))
    assert not path.exists()
    restore_admin_file(path)
    assert json.loads(path.read_text())["service_account_secret"] == "sk_adm_x"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_admin_file__leftover_beside_it__does_not_replace_it(tmp_path: Path) -> None:
    """A file that is there stands, whatever an ended start has left."""
    path = tmp_path / "admin.json"
    write_admin_file(path, "sa_good", "sk_adm_good", "http://127.0.0.1:1")
    (tmp_path / "admin.new").write_text("{")
    restore_admin_file(path)
    assert json.loads(path.read_text())["service_account_id"] == "sa_good"


def test_admin_file__moved_elsewhere_by_its_owner__stays_away(tmp_path: Path) -> None:
    """Who puts the file into a vault does not find it back in the folder."""
    restore = partial(restore_admin_file, tmp_path / "admin.json")
    restore()
    assert list(tmp_path.iterdir()) == []
