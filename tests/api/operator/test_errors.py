"""Failures of every kind: one envelope, one table, and checks in one order."""

import json
from email.utils import parsedate_to_datetime

import pytest

from tellus.kernel.call import Audience
from tellus.surfaces.tables import ROUTES
from tests.api.tenancy import Charger, Tenant, event, record, sample
from tests.contract.client import ContractClient
from tests.contract.surface_limits import body_limit_bytes
from tests.reliability.tenant_matrix import identity_of

UNKNOWN = [
    "/v1",
    "/v1/",
    "/v1/operator",
    "/v1/operator/sites/",
    "/v1/operator//sites",
    "/v1/operator/SITES",
    "/v1/operator/sites/x/y",
    "/v2/operator/sites",
    "/v1/../v1/operator/sites",
    "/v1/operator/%73ites/x/y",
    "/v1/operator/sites/a%2Fb",
]


@pytest.mark.parametrize("path", UNKNOWN)
def test_unknown_route__with_or_without_token__is_3001(tenant: Tenant, path: str) -> None:
    """A path that nothing serves is 404 in the envelope, whoever asks."""
    for client in (tenant.contract, tenant.api):
        reply = client.get(path, expect=404, code=3001)
        assert reply.json.keys() <= {"code", "message", "data", "details"}


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if "{" not in route.path], ids=lambda r: r.operation_id
)
def test_wrong_method__on_any_route__is_405_before_authentication(
    contract: ContractClient, route: object
) -> None:
    """A path that serves other methods says which, and asks for no token first."""
    path = route.path  # type: ignore[attr-defined]
    served = {one.method for one in ROUTES if one.path == path}
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        if method not in served:
            reply = contract.request(method, path, expect=405, code=1001)
            assert set(reply.headers["allow"].split(", ")) == served
            assert reply.details["field"] == "method"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/operator/oauth/token",
        "/v1/device/register",
        "/v1/device/token",
        "/v1/device/heartbeat",
        "/v1/device/telemetry/batch",
        "/v1/operator/devices/dvc_x/connectors/1/start",
    ],
)
def test_body__one_byte_over_its_bound__is_413(tenant: Tenant, charger: Charger, path: str) -> None:
    """Token and register take 4 KiB, batches 1 MiB, everything else 64 KiB, and no byte more."""
    limit_bytes = body_limit_bytes(path)
    client = charger.api if path.startswith("/v1/device") else tenant.api
    for size, large in ((limit_bytes, False), (limit_bytes + 1, True)):
        body = b'{"x":"' + b"a" * (size - 8) + b'"}'
        assert len(body) == size
        reply = client.raw("POST", path, body)
        assert (reply.status == 413) is large
        if large:
            assert reply.code == 1001
            assert reply.details["field"] == "body"


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/xml", "multipart/form-data; boundary=x", "application/jsonx", "x"],
)
def test_content_type__not_json__is_415(charger: Charger, content_type: str) -> None:
    """A body that says it is something else is refused as such."""
    body = json.dumps(event()).encode()
    headers = {"content-type": content_type}
    reply = charger.api.raw("POST", "/v1/device/events", body, headers, expect=415, code=1001)
    assert reply.details["field"] == "content-type"
    form = {"content-type": "application/x-www-form-urlencoded"}
    charger.api.raw("POST", "/v1/device/events", b"a=b", form, expect=415, code=1001)


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/json",
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/vnd.charger+json",
    ],
)
def test_content_type__json_in_any_dress__is_taken(
    charger: Charger, content_type: str | None
) -> None:
    """JSON with a charset, in capitals, as a dialect or undeclared is JSON."""
    headers = {} if content_type is None else {"content-type": content_type}
    body = json.dumps(event()).encode()
    charger.api.raw("POST", "/v1/device/events", body, headers, expect=200)


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "gzip, identity"])
def test_content_encoding__other_than_identity__is_415(charger: Charger, encoding: str) -> None:
    """Compressed bodies are refused: a small one can hold a very large one."""
    headers = {"content-type": "application/json", "content-encoding": encoding}
    body = json.dumps(event()).encode()
    reply = charger.api.raw("POST", "/v1/device/events", body, headers, expect=415, code=1001)
    assert reply.details["field"] == "content-encoding"
    plain = headers | {"content-encoding": "identity"}
    charger.api.raw("POST", "/v1/device/events", body, plain, expect=200)


def test_every_answer__of_any_status__has_date_and_its_own_request_id(tenant: Tenant) -> None:
    """Date and X-Request-Id stand on successes and failures alike, and no id comes twice."""
    replies = [
        tenant.api.get("/v1/operator/sites", expect=200),
        tenant.api.get("/v1/operator/sites?page=0", expect=400),
        tenant.contract.get("/v1/operator/sites", expect=401),
        tenant.api.get("/v1/operator/sites/site_x", expect=404),
        tenant.contract.request("PUT", "/v1/operator/sites", expect=405),
        tenant.api.get("/v1/operator/stream?devices=dvc_x", expect=426, code=1001),
        tenant.contract.raw("GET", "/v1/operator/sites", headers={"x": "a" * 20_000}, expect=431),
    ]
    assert all(parsedate_to_datetime(reply.headers["date"]) for reply in replies)
    assert len({reply.request_id for reply in replies}) == len(replies)


def test_1001__long_values__are_cut_to_64_characters(tenant: Tenant, charger: Charger) -> None:
    """What was wrong is shown, but no more of it than a line."""
    value = "no such type " * 20
    reply = charger.send("events", event(event_type=value), expect=400, code=1001)
    assert reply.details == {"field": "event_type", "value": value[:64]}
    target = "/v1/operator/sites?status=" + "no+such+status+" * 9
    reply = tenant.api.get(target, expect=400, code=1001)
    assert reply.details["value"] == ("no such status " * 9)[:64]


def test_1001__field__names_the_place(charger: Charger) -> None:
    """A nested field is named by its path."""
    phases = {"phase_b": {"voltage": "high", "current": 1}}
    reply = charger.send("telemetry", sample(phase_details=phases), expect=400, code=1001)
    assert reply.details == {"field": "phase_details.phase_b.voltage", "value": "high"}
    reply = charger.send("events/batch", {"items": 5}, expect=400, code=1001)
    assert reply.details == {"field": "items", "value": 5}
    reply = charger.send("events", [], expect=400, code=1001)
    assert reply.details["field"] == "body"


def test_1001__vehicle_identification__is_never_repeated(charger: Charger) -> None:
    """A VIN in a field that is refused stays out of the answer; the checker looks for it too."""
    vin = "WTLZ5AB19RC700421"
    for wrong in (
        record(vehicle_info={"vin": vin * 5}),
        record(vehicle_info={"vin": vin, "soc_start": vin}),
        record(energy=vin),
        record(start_time=vin),
    ):
        reply = charger.send("charging-records", wrong, expect=400, code=1001)
        assert vin.encode() not in reply.body
        assert "value" not in reply.details


# ----------------------------------------------------------------------------- order of checks

BAD = b'{"'


def test_order__401_goes_before_everything(tenant: Tenant) -> None:
    """Without a good token, neither scope nor shape nor absence is looked at."""
    for path in ("/v1/operator/devices/dvc_x/connectors/0/start", "/v1/device/events"):
        tenant.contract.raw("POST", path, BAD, {"content-type": "x"}, expect=401, code=2001)
        tenant.contract.raw("POST", path, b" " * 2_000_000, expect=401, code=2001)


def test_order__403_goes_before_shape_and_ownership(tenant: Tenant) -> None:
    """A missing scope is told before anything in the request is judged."""
    api = tenant.api_with(scopes=["read"])
    for number in (1, 0):
        path = f"/v1/operator/devices/dvc_x/connectors/{number}/start"
        api.raw("POST", path, BAD, expect=403, code=2003)


def test_order__400_goes_before_404(tenant: Tenant) -> None:
    """A bad shape is told alike for own, foreign and absent devices: it tells of no existence."""
    own = tenant.charger()
    foreign = tenant.server.register()
    answers = set()
    for device_id in (own.device_id, foreign.device_id, "dvc_absent"):
        path = f"/v1/operator/devices/{device_id}/connectors/1/start"
        reply = tenant.api.post(path, {"charge_power": -1}, expect=400, code=1001)
        answers.add(str(identity_of(reply)))
    assert len(answers) == 1


def test_order__404_goes_before_values(tenant: Tenant) -> None:
    """An absent device is told before an absent connector; both look the same."""
    own = tenant.charger()
    answers = {
        str(identity_of(tenant.api.post(f"/v1/operator/devices/{path}/start")))
        for path in (f"{own.device_id}/connectors/77", "dvc_absent/connectors/1")
    }
    assert len(answers) == 1


@pytest.mark.parametrize("number", ["0", "256", "-1", "1.0", "x", "%31x", "99999999999999999999"])
def test_connector_number__out_of_shape__is_1001(tenant: Tenant, number: str) -> None:
    """A connector in a path is a whole number from 1 to 255."""
    path = f"/v1/operator/devices/dvc_x/connectors/{number}/start"
    reply = tenant.api.post(path, expect=400, code=1001)
    assert reply.details["field"] == "connector_id"


@pytest.mark.parametrize(
    "name", ["x" * 65, "%00", "a%20b", "-x", "%C3%A9", "%252e", "%FF", "'or'1'='1"]
)
def test_id__of_a_shape_that_none_has__is_3001(tenant: Tenant, name: str) -> None:
    """What cannot be an id is simply not found, in the same bytes as what is not there."""
    absent = identity_of(tenant.api.get("/v1/operator/sites/site_absent", expect=404))
    for path in (f"/v1/operator/sites/{name}", f"/v1/operator/devices/{name}"):
        assert identity_of(tenant.api.get(path, expect=404, code=3001)) == absent


def test_audiences__of_all_routes__are_those_that_are_tested() -> None:
    """No surface is outside the tests of this folder and of the tenant matrix."""
    assert {route.audience for route in ROUTES} == set(Audience)
