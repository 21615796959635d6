"""Folders for copies belong to a region."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from tellus.cli import main
from tellus.cli.backup import TAG


def prepare(folder: Path) -> int:
    """Prepare a folder; return the exit code."""
    return CliRunner().invoke(main, ["backup", "prepare", str(folder)]).exit_code


def test_backup_prepare__first_time__makes_and_marks_the_folder(tmp_path: Path) -> None:
    """A new folder is private and says of which region its copies are; again it is fine."""
    folder = tmp_path / "copies"
    assert prepare(folder) == 0
    assert (folder / TAG).read_text() == "eu\n"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert prepare(folder) == 0


def test_backup_prepare__folder_of_another_region__is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data of another region does not go there, and the mark stays."""
    assert prepare(tmp_path) == 0
    monkeypatch.setenv("TELLUS_INSTANCE__REGION", "us")
    assert prepare(tmp_path) == 6
    assert (tmp_path / TAG).read_text() == "eu\n"
