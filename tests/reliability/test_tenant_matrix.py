"""Nobody gets at another tenant's resources, nor learns that they exist."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tellus.kernel.call import Audience
from tellus.surfaces.routes import Route
from tellus.surfaces.tables import ROUTES
from tests.reliability import tenant_matrix
from tests.reliability.broken_server import start_broken
from tests.reliability.charger_links import new_serial, registration
from tests.reliability.tenant_matrix import Report, run_matrix, what_is_missing
from tests.reliability.tenant_reports import fetch_address
from tests.reliability.tenants import World, build_world
from tests.server import RunningServer

PROTECTED = tuple(route for route in ROUTES if route.audience is not Audience.PUBLIC)


@contextmanager
def platform(data_dir: Path, broken: str = "") -> Iterator[World]:
    """A world on a server of its own, into which ``broken`` is planted when it starts."""
    server = start_broken(data_dir, broken)
    try:
        world = build_world(server, admins=not broken)
        with world.contract:
            yield world
    finally:
        server.stop()


def foreign_commands(server: RunningServer) -> list[tuple[str, str]]:
    """Commands in the store whose device is not one of the operator that issued them."""
    database = f"file:{server.data_dir / 'tellus.db'}?mode=ro"
    with closing(sqlite3.connect(database, uri=True)) as connection:
        return connection.execute(
            "SELECT c.command_id, c.operator_id FROM commands c"
            " JOIN devices d ON d.device_no = c.device_no WHERE d.operator_id <> c.operator_id"
        ).fetchall()


@pytest.mark.slow
def test_matrix__every_operation_and_caller__is_as_the_rows_say(tmp_path: Path) -> None:
    """Each caller gets from each operation what row and ownership say, foreign like absent."""
    missing = what_is_missing(PROTECTED)
    assert not missing, "the matrix does not know how to ask:\n" + "\n".join(missing)
    with platform(tmp_path / "data") as world:
        report = run_matrix(world, PROTECTED, world.callers)
        assert foreign_commands(world.server) == []
    print(f"{report.cells} cells, {len(report.problems)} problems: {dict(report.outcomes)}")
    assert not report.problems, "\n".join(report.problems)
    assert report.cells > 50 * len(PROTECTED)
    for outcome in ("SUCCESS", "UNAUTHENTICATED", "EXPIRED", "FORBIDDEN", "NOT_FOUND", "BAD_SHAPE"):
        assert report.outcomes[getattr(tenant_matrix, outcome)] > 10, outcome


def public_bodies(world: World) -> dict[str, dict[str, str]]:
    """A valid body for each operation that asks for no token."""
    grant = {"grant_type": "client_credentials"}
    client = world.clients["a read write"]
    device = world.places["a1"].device
    held = world.server.admin_file
    return {
        "issueOperatorToken": grant
        | {"client_id": client.client_id, "client_secret": client.client_secret},
        "issueDeviceToken": grant
        | {"device_id": device.device_id, "device_secret": device.device_secret},
        "issueAdminToken": grant | {name: held[name] for name in held if name != "base_url"},
        "registerDevice": registration(new_serial()),
    }


def test_public_operations__whatever_the_caller_holds__serve_the_body_alone(
    tmp_path: Path,
) -> None:
    """Where the body proves who calls, no token helps, hinders or is looked at."""
    public = {route.operation_id: route for route in ROUTES if route not in PROTECTED}
    files = {name: public.pop(name) for name, route in [*public.items()] if route.upload}
    with platform(tmp_path / "data") as world:
        assert public.keys() == public_bodies(world).keys(), "add a body to public_bodies"
        assert files.keys() == {"uploadDiagnostics"}, "upload it below"
        place = world.places["a1"]
        path = f"/v1/operator/devices/{place.device.device_id}/diagnostics"
        world.operator_of(place).post(path, expect=200)
        upload = fetch_address(world.contract.device(place.device.token))
        for caller in world.callers:
            for name, body in public_bodies(world).items():
                path = public[name].path
                world.contract.post(path, body, headers=caller.headers, expect=200)
            world.contract.raw("PUT", upload, b"logs", headers=caller.headers, expect=200)


BROKEN = {
    "a directory without its tenant filter": """
from tellus.fleet.directory import Directory
Directory.owned = lambda self, device_id, operator_id: self.by_id(device_id)
""",
    "a list of devices without its tenant filter": """
from tellus.fleet.directory import Directory
Directory.of_operator = lambda self, operator_id: list(self)
""",
    "a store of records without its tenant filter": """
from tellus.sessions import store
kept = store._where
store._where = lambda wanted: tuple((kept(wanted)[0].replace("operator_id = $1",
    "$1 IS NOT NULL"), kept(wanted)[1]))
""",
    "commands read without their tenant filter": """
from tellus.commands.service import CommandService
kept = CommandService.read_command
async def read(self, command_id, operator_id, now_ms):
    from tellus.commands import store
    command = await self._database.read(store.find_command, command_id)
    return await kept(self, command_id, command.operator_id if command else "", now_ms)
CommandService.read_command = read
""",
    "reports taken from any charger": """
from tellus.commands import desk
kept = desk._report
def report(device_no, said, services, tx):
    command = desk.store.find_command(tx, said.command_id)
    return kept(command.device_no if command else device_no, said, services, tx)
desk._report = report
""",
    "a site found whoever asks": """
from tellus.fleet.queries import FleetQueries
kept = FleetQueries._find_site
FleetQueries._find_site = lambda self, site_id, operator_id: kept(self, site_id, None)
""",
    "other words for what is foreign": """
from tellus.fleet.directory import Directory
from tellus.kernel.errors import NotFound
def owned(self, device_id, operator_id):
    device = self.by_id(device_id)
    if device is not None and device.operator_id != operator_id:
        raise NotFound("Not yours")
    return device
Directory.owned = owned
""",
    "scopes that nobody checks": """
from tellus.surfaces.endpoint import Endpoint
kept = Endpoint.__init__
def init(self, route, services):
    kept(self, route, services)
    self.scope = None
Endpoint.__init__ = init
""",
    "ownership judged before shape": """
from tellus.surfaces.http import Pipeline
from tellus.kernel.errors import NotFound
kept = Pipeline._shape
async def shape(self, endpoint, scope, receive, principal, parameters):
    from tellus.kernel.call import Audience
    asked = parameters.get("device_id")
    if endpoint.audience is Audience.OPERATOR and asked is not None:
        service = next((s for s in endpoint._service.__dict__.values()
                        if type(s).__name__ == "Directory"), None)
        if service is not None and service.owned(asked, principal.operator_id) is None:
            raise NotFound
    return await kept(self, endpoint, scope, receive, principal, parameters)
Pipeline._shape = shape
""",
}


def run_in_short(world: World) -> Report:
    """The matrix of the operators' and chargers' rows for those of either who have good tokens.

    Rows that wait are left out, for they name no resource.
    """
    report = Report()
    for audience in (Audience.OPERATOR, Audience.DEVICE):
        routes = [route for route in PROTECTED if route.audience is audience and not route.waits]
        callers = [one for one in world.callers if one.audience is audience and not one.problem]
        part = run_matrix(world, routes, callers)
        report.cells += part.cells
        report.problems += part.problems
    return report


@pytest.mark.slow
@pytest.mark.parametrize("what", BROKEN)
def test_matrix__a_server_that_is_broken__is_found_out(tmp_path: Path, what: str) -> None:
    """A platform into which one leak is planted fails the same matrix."""
    with platform(tmp_path / "data", BROKEN[what]) as world:
        report = run_in_short(world)
    print(f"{what}: {len(report.problems)} of {report.cells} cells, such as {report.problems[:1]}")
    assert report.problems


def test_what_is_missing__a_row_that_nobody_described__is_named() -> None:
    """A new row with a body, or with a new kind of resource, says what the matrix needs."""
    row = next(route for route in PROTECTED if route.operation_id == "updateSite")
    path = "/v1/operator/tariffs/{tariff_id}"
    fresh: list[Route] = [replace(row, operation_id="changeTariff", path=path)]
    first, second = what_is_missing(fresh)
    assert first.startswith("changeTariff: add a valid body to BODIES")
    assert "{tariff_id}" in second
