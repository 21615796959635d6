"""Tests that belong together run in one process, whatever their number."""

import pytest

from tests.sharing import TIMED, find_group

FILE = "tests/api/operator/test_records.py"


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("tests/reliability/test_polls.py::test_a", TIMED),
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
