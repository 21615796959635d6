"""The page on alerts works as printed."""

from pathlib import Path

from tests.docs.markdown import REPOSITORY, read_blocks
from tests.docs.pasting import paste_into_shell

PAGE = REPOSITORY / "docs" / "how-to" / "be-told-of-alerts.md"


def test_be_told_of_alerts__as_printed__verifies_what_it_receives(reader_folder: Path) -> None:
    """The receiver of the page gets a ping and its replay, and finds both genuine."""
    steps = paste_into_shell(read_blocks(PAGE, "sh"), reader_folder)
    assert '"items"' in next(step.output for step in steps if "status=open" in step.block.text)
    received = next(step.output for step in steps if "cat received.txt" in step.block.text)
    assert received.splitlines()[-2:] == ["genuine ping", "genuine ping"]
