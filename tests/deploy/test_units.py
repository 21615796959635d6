"""The units for systemd are sound, hardened, and leave an orderly stop its time."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.claims import DEPLOY

UNITS = DEPLOY / "systemd"
STOP_TAKES_S = 30
MOST_EXPOSED = 25  # tenths of what `systemd-analyze security` gives; a bare unit has 96


def _installed(name: str, folder: Path) -> Path:
    """Copy a unit as it would be installed, started from this environment."""
    text = (UNITS / name).read_text().replace("/opt/tellus/.venv", sys.prefix)
    file = folder / name.replace("@", "@8601")
    file.write_text(text)
    return file


def _values(name: str, key: str) -> list[str]:
    """Return what a unit sets ``key`` to."""
    return re.findall(rf"^{key}=(.*)$", (UNITS / name).read_text(), re.MULTILINE)


def _analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed here")
    return subprocess.run([analyze, *arguments], check=False, capture_output=True, text=True)


UNIT_NAMES = [path.name for path in sorted(UNITS.iterdir())]


@pytest.mark.parametrize("name", UNIT_NAMES)
def test_unit__read_by_the_checker_of_systemd__is_sound(name: str, tmp_path: Path) -> None:
    """The checker finds nothing wrong with the unit."""
    done = _analyze("verify", _installed(name, tmp_path))
    assert [line for line in done.stderr.splitlines() if "tellus" in line] == []


@pytest.mark.parametrize("name", UNIT_NAMES)
def test_unit__judged_for_its_exposure__is_well_confined(name: str, tmp_path: Path) -> None:
    """What a unit may do beside serving is next to nothing."""
    unit = _installed(name, tmp_path)
    done = _analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", unit)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr
    bare = tmp_path / "bare.service"
    bare.write_text(f"[Service]\nExecStart={sys.executable}\n")
    assert _analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", bare).returncode


@pytest.mark.parametrize("name", UNIT_NAMES)
def test_unit__its_lines__are_settings_each_given_once(name: str) -> None:
    """Without systemd too: sections and settings only, and no setting twice but Environment."""
    lines = [line for line in (UNITS / name).read_text().splitlines() if line]
    assert all(re.match(r"#|\[\w+\]$|[A-Z]\w+=", line) for line in lines)
    keys = [line.split("=")[0] for line in lines if line[0].isupper()]
    assert {key for key in keys if keys.count(key) > 1} <= {"Environment"}


@pytest.mark.parametrize("name", UNIT_NAMES)
def test_unit__told_to_stop__is_given_longer_than_a_stop_takes(name: str) -> None:
    """No node is killed in the middle of an orderly stop."""
    assert int(_values(name, "TimeoutStopSec")[0]) > STOP_TAKES_S
    assert _values(name, "User") == ["tellus"]
    assert _values(name, "StateDirectoryMode") == ["0700"]


def test_units__data_directory__is_the_one_that_systemd_makes() -> None:
    """What a unit serves from is what StateDirectory makes; each node has one of its own."""
    for name in UNIT_NAMES:
        [folder], [start] = _values(name, "StateDirectory"), _values(name, "ExecStart")
        assert f"--data-dir /var/lib/{folder} " in start + " "
    assert _values("tellus@.service", "StateDirectory") == ["tellus/%i"]


def test_units__hardening__is_the_same_in_both() -> None:
    """Neither unit is left behind when the other is hardened."""
    hardening = re.compile(
        r"^(?:No|Private|Protect|Restrict|Lock|SystemCall|UMask)\w*=.*$", re.MULTILINE
    )
    one, node = (hardening.findall((UNITS / name).read_text()) for name in UNIT_NAMES)
    assert one == node
    assert len(one) > 15
