"""Every shell and Python block in the documents is run by a test, or listed here with a reason."""

from tests.docs.markdown import REPOSITORY, Block, list_documents, read_blocks

_RUN_HERE = {"sh", "python"}

RUN = {
    "README.md": "docs/test_quickstart.py",
    "docs/tutorial/quickstart.md": "docs/test_quickstart.py",
    "docs/how-to/answer-a-data-subject.md": "docs/test_how_to.py",
    "docs/how-to/be-told-of-alerts.md": "docs/test_alerts.py",
    "docs/how-to/connect-a-charger.md": "docs/test_how_to.py",
    "docs/how-to/connect-a-partner-platform.md": "docs/test_how_to.py",
    "docs/how-to/sign-requests.md": "docs/test_sign_requests.py",
    "docs/how-to/tls-and-proxies.md": "docs/test_how_to.py",
    "docs/how-to/back-up-and-restore.md": "reliability/test_backup_drill.py",
    "docs/how-to/erase.md": "docs/test_how_to.py",
    "docs/how-to/export-data.md": "docs/test_how_to.py",
    "docs/how-to/fetch-logs.md": "docs/test_how_to.py",
    "docs/how-to/give-customers-their-portal.md": "docs/test_how_to.py",
    "docs/how-to/import-and-replay.md": "docs/test_how_to.py",
    "docs/how-to/keep-configurations-in-step.md": "docs/test_how_to.py",
    "docs/how-to/move-to-postgresql.md": "docs/test_move_to_postgresql.py",
    "docs/how-to/operate.md": "docs/test_how_to.py",
    "docs/how-to/read-energy.md": "docs/test_how_to.py",
    "docs/how-to/record-consent.md": "docs/test_how_to.py",
    "docs/how-to/rehearse-failures.md": "docs/test_how_to.py",
    "docs/how-to/roll-out-firmware.md": "docs/test_how_to.py",
    "docs/how-to/work-through-a-runbook.md": "docs/test_how_to.py",
}
"""Documents whose blocks are run, and by which file below tests."""

EXCEPTIONS = {
    ("CONTRIBUTING.md", "make setup"): "prepares the environment that the tests run in",
}
"""Blocks that are not run, by document and beginning, and why."""

SHOWN_ONLY = {"text", "toml", "ini"}
"""Languages of blocks that are not for a shell or a prompt; samples have tests of their own."""


def _document(block: Block) -> str:
    return str(block.path.relative_to(REPOSITORY))


def _all_blocks() -> list[Block]:
    """The blocks of all pages that people write; the reference is generated."""
    generated = REPOSITORY / "docs" / "reference"
    pages = [page for page in list_documents() if page.parent != generated]
    return [block for page in pages for block in read_blocks(page)]


def _exception_of(block: Block) -> tuple[str, str] | None:
    return next(
        (key for key in EXCEPTIONS if key[0] == _document(block) and block.text.startswith(key[1])),
        None,
    )


def test_blocks__for_shell_or_python__are_run_or_excepted() -> None:
    """No block to copy goes untested without a reason."""
    untested = [
        block.place
        for block in _all_blocks()
        if block.language in _RUN_HERE
        and _document(block) not in RUN
        and _exception_of(block) is None
    ]
    assert untested == []


def test_blocks__exceptions__are_still_needed() -> None:
    """An exception whose block is gone is taken off the list."""
    used = {_exception_of(block) for block in _all_blocks()}
    assert set(EXCEPTIONS) - used == set()


def test_blocks__languages__are_known() -> None:
    """Every block says what it is, so that none escapes by having no language."""
    unknown = [
        block.place for block in _all_blocks() if block.language not in _RUN_HERE | SHOWN_ONLY
    ]
    assert unknown == []


def test_blocks__documents_that_are_run__are_named_by_their_test() -> None:
    """The list above tells the truth: the test file names the document, which has such blocks."""
    for document, name in RUN.items():
        source = (REPOSITORY / "tests" / name).read_text()
        path = REPOSITORY / document
        assert path.name in source
        assert read_blocks(path, *_RUN_HERE)
