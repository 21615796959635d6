"""How several processes share the tests: what belongs together stays in one of them.

A file does, on each database, so that nothing is started twice for it. Whatever is timed makes one
group, which begins first: it is never beside itself. `tests/conftest.py` imports the hook.
"""

import re
from typing import Any

import pytest

TIMED = "tests/reliability/"
_KIND = re.compile(r"\[(?:.*-)?(sqlite|postgres)(?:-.*)?\]$")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hands out whole groups, in the order in which they were collected."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - only where there are several

    class Sharing(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return find_group(nodeid)

    config.option.loadscopereorder = False
    return Sharing(config, log)


def find_group(name: str) -> str:
    """The group of a test: all that is timed, or its file on one database."""
    if name.startswith(TIMED):
        return TIMED
    kind = _KIND.search(name)
    return f"{name.partition('::')[0]} {kind[1] if kind else ''}"
