"""A table at the end of a verbose test run: which answers of the contract were ever seen.

`tests/conftest.py` imports `pytest_terminal_summary` from here.
"""

import pytest

from tests.contract.exchange_log import SESSION


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the table when there were exchanges and pytest is asked to say much."""
    if SESSION.seen and terminalreporter.verbosity > 0:
        terminalreporter.section("answers seen, by operation of the contract")
        terminalreporter.write_line(SESSION.report())
