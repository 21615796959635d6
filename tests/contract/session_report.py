"""A table at the end of a verbose test run: which answers of the contract were ever seen.

`tests/conftest.py` imports the hooks from here. Where several processes share the work, each sends
what it has seen to the one that reports.
"""

from typing import Any

import pytest

from tests.contract.exchange_log import SESSION

_KEY = "answers_seen"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hands over what this process has seen, if another one reports."""
    handed: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if handed is not None:
        handed[_KEY] = [[*key, count] for key, count in SESSION.seen.items()]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Adds what a process that has ended had seen."""
    for operation, status, count in getattr(node, "workeroutput", {}).get(_KEY, ()):
        SESSION.seen[operation, status] += count


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the table when there were exchanges and pytest is asked to say much."""
    if SESSION.seen and terminalreporter.verbosity > 0:
        terminalreporter.section("answers seen, by operation of the contract")
        terminalreporter.write_line(SESSION.report())
