"""Fixtures that many tests share: one server per session, and clients that check every answer."""

from collections.abc import Iterator

import hypothesis
import pytest

from tests.contract.client import ContractClient
from tests.contract.exchange_log import SESSION
from tests.contract.session_report import (
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_testnodedown,
)
from tests.databases import BOTH, POSTGRES, SQLITE, Choice, postgres_server
from tests.server import RunningServer, running_server
from tests.sharing import find_turn, pytest_xdist_make_scheduler

__all__ = [
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "pytest_testnodedown",
    "pytest_xdist_make_scheduler",
]

_ON_BOTH = (
    "/tests/api/",
    "/tests/property/",
    "/tests/unit/audit/",
    "/tests/unit/diagnostics/",
    "/tests/unit/configuration/",
    "/tests/unit/energy/",
    "/tests/unit/fleet/test_metadata",
    "/tests/unit/reports/",
    "/tests/unit/telemetry/",
)
# Frames, connections and bytes, of whatever the shared server has stored: no SQL of their own.
_ON_ONE = ("/tests/api/stream/", "/tests/api/server/")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say on which databases tests run."""
    parser.addoption(
        "--database",
        choices=(SQLITE, POSTGRES, BOTH),
        default=BOTH,
        help="database of the tests; both: the API's and the storage's on both, others on SQLite",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let tests that start servers of their own use the chosen database; time no examples."""
    hypothesis.settings.register_profile("tellus", deadline=None)
    hypothesis.settings.load_profile("tellus")
    if config.getoption("--database") == POSTGRES:
        Choice.kind = POSTGRES


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what talks to the shared server, and what says it can, on each chosen database."""
    if "database_kind" not in metafunc.fixturenames:
        return
    chosen = metafunc.config.getoption("--database")
    place = metafunc.definition.path.as_posix()
    has_sql = any(part in place for part in _ON_BOTH) and not any(part in place for part in _ON_ONE)
    on_both = chosen == BOTH and has_sql
    kinds = (SQLITE, POSTGRES) if on_both else (Choice.kind,)
    metafunc.parametrize("database_kind", kinds, indirect=True, scope="session")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what is timed."""
    items.sort(key=lambda item: find_turn(item.nodeid))


def _find_kind(item: pytest.Item) -> str:
    """Return the database that a test asks for by its parameter, empty where it does not."""
    call = getattr(item, "callspec", None)
    return "" if call is None else str(call.params.get("database_kind", ""))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Choose the test's database, whichever test ran before."""
    chosen = item.config.getoption("--database")
    Choice.kind = _find_kind(item) or (POSTGRES if chosen == POSTGRES else SQLITE)


@pytest.fixture(scope="session")
def database_kind(request: pytest.FixtureRequest) -> str:
    """The database that servers use which are started meanwhile."""
    kind: str = request.param
    if kind == POSTGRES:
        postgres_server()
    return kind


@pytest.fixture(scope="session")
def server(database_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A platform with open registration and generous limits, shared by the whole session."""
    with running_server(tmp_path_factory.mktemp("platform") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def contract(server: RunningServer) -> Iterator[ContractClient]:
    """A client without a token that checks every answer against the contract."""
    with ContractClient(server.base_url, log=SESSION) as client:
        yield client
