"""Tests that belong together run in one process, whatever their number."""

import pytest

from tests.docs.markdown import REPOSITORY
from tests.sharing import BESIDE, TIMED, find_group, find_turn

FILE = "tests/api/operator/test_records.py"


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("tests/reliability/test_polls.py::test_a", TIMED),
        ("tests/reliability/test_rollout.py::test_a", "tests/reliability/test_rollout.py "),
        ("tests/reliability/test_kill.py::test_b[postgres]", TIMED),
        (f"{FILE}::test_c", f"{FILE} "),
        (f"{FILE}::test_c[sqlite]", f"{FILE} sqlite"),
        (f"{FILE}::test_d[7-sqlite-True]", f"{FILE} sqlite"),
        (f"{FILE}::test_d[postgres-7]", f"{FILE} postgres"),
        (f"{FILE}::test_e[what::of-it]", f"{FILE} "),
    ],
)
def test_group__of_a_test__is_its_file_on_a_database_or_all_that_is_timed(
    name: str, group: str
) -> None:
    """What shares a server or a clock has one group."""
    assert find_group(name) == group


def test_turn__of_a_test__is_the_timed_ones_first() -> None:
    """What is timed begins before what may run beside it, and that before all others."""
    names = (f"{TIMED}test_kill.py::a", f"{TIMED}test_rollout.py::a", f"{FILE}::a")
    assert [find_turn(name) for name in names] == [0, 1, 2]


def test_beside__every_file__is_there() -> None:
    """No file that is gone, or was misspelt, is let run beside what is timed."""
    assert [name for name in BESIDE if not (REPOSITORY / name).exists()] == []
