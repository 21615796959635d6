"""How several processes share the tests: what belongs together stays in one of them.

A file does, on each database, so that nothing is started twice for it. Whatever is timed makes one
group, which begins first: it is never beside itself. What is beside it meanwhile mostly waits.
`tests/conftest.py` imports the hook.
"""

import re
from typing import Any

import pytest

TIMED = "tests/reliability/"
BESIDE = frozenset(
    f"{TIMED}test_{name}.py"
    for name in (
        "backup_drill",
        "bus_silence",
        "disk_full",
        "flexibility",
        "fuzz",
        "node_duty",
        "node_limits",
        "node_promises",
        "power_cut",
        "rate_oracle",
        "readiness",
        "registration_races",
        "rollout",
        "secret_scan",
        "tenant_matrix",
    )
)
"""Harnesses that time nothing, or only whether something comes within seconds."""
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


def find_turn(name: str) -> int:
    """When a test begins: what is timed first, then what runs beside it, then all others."""
    if not name.startswith(TIMED):
        return 2
    return int(find_group(name) != TIMED)


def find_group(name: str) -> str:
    """The group of a test: all that is timed, or its file on one database."""
    file = name.partition("::")[0]
    if file.startswith(TIMED) and file not in BESIDE:
        return TIMED
    kind = _KIND.search(name)
    return f"{file} {kind[1] if kind else ''}"
