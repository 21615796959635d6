"""The quickstart works as printed, in the README and in the tutorial, in curl and in Python."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.conftest import platform_with_chargers
from tests.docs.markdown import REPOSITORY, read_blocks
from tests.docs.pasting import Pasted, paste_into_python, paste_into_shell
from tests.server import RunningServer

README = REPOSITORY / "README.md"
TUTORIAL = REPOSITORY / "docs" / "tutorial" / "quickstart.md"

ENDED_WELL = re.compile(r"^cmd_\w+ (accepted|completed)$", re.MULTILINE)


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[RunningServer]:
    """A platform of each reader's own: all start a charge at the first charger of the list."""
    with platform_with_chargers(tmp_path / "data") as server:
        yield server


def printed(steps: list[Pasted], number: int) -> str:
    """What step ``number`` (from 1) printed."""
    return steps[number - 1].output


@pytest.mark.parametrize("path", [README, TUTORIAL], ids=lambda path: path.name)
def test_quickstart__in_curl__takes_all_five_steps(path: Path, reader_folder: Path) -> None:
    """The shell blocks run as printed and show a site, a charger, a frame and an accepted start."""
    steps = paste_into_shell(read_blocks(path, "sh"), reader_folder)
    assert len(steps) == 5
    assert '"name": "Demo site"' in printed(steps, 2)
    assert re.search(r'"device_id": "dvc_\w+"', printed(steps, 3))
    assert '"status": "online"' in printed(steps, 3)
    device_id = re.search(r"dvc_\w+", printed(steps, 3))[0]  # type: ignore[index]
    assert f'{{"device_id":"{device_id}","timestamp":' in printed(steps, 4)
    assert "Connection closed: 1000" in printed(steps, 4)
    assert ENDED_WELL.search(printed(steps, 5)), printed(steps, 5)


def test_quickstart__in_python__takes_all_five_steps(reader_folder: Path) -> None:
    """The Python blocks, typed into one prompt, do the same."""
    steps = paste_into_python(read_blocks(TUTORIAL, "python"), reader_folder)
    assert len(steps) == 5
    assert re.fullmatch(r"a token of \d{3} characters\n", printed(steps, 1))
    assert "Demo site" in printed(steps, 2)
    assert "online" in printed(steps, 3)
    assert re.match(r"dvc_\w+ 2\d{3}-.*Z\n1 (idle|unavailable)", printed(steps, 4))
    assert ENDED_WELL.search(printed(steps, 5)), printed(steps, 5)
    assert "Start accepted" in printed(steps, 5)


def test_quickstart__step_that_fails__is_caught(reader_folder: Path) -> None:
    """A block that does not work fails the run, so that a green run means something."""
    first = read_blocks(README, "sh")[0]
    broken = first._replace(text=first.text.replace("/oauth/token", "/oauth/tokens"))
    with pytest.raises(AssertionError, match=re.escape(first.place)):
        paste_into_shell([broken], reader_folder)
    typed = first._replace(text='raise LookupError("as it should")\n')
    with pytest.raises(AssertionError, match="as it should"):
        paste_into_python([typed], reader_folder)
