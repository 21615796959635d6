"""The running server's limits, class by class: exact, as far as can be told from outside."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.contract.client import ContractClient, Reply
from tests.reliability.arrivals import (
    arrival_of,
    burst,
    contradictions,
    count_allowed,
    paced,
)
from tests.reliability.tenant_records import record_body
from tests.reliability.tenants import now_text
from tests.server import Client, Device, RunningServer, start_server

MINUTE_S = 60.0
HOUR_S = 3600.0


@dataclass
class Door:
    """A server with the published limits that believes what proxies say of addresses."""

    server: RunningServer
    contract: ContractClient

    def operator(self, **settings: Any) -> tuple[Client, ContractClient]:
        client = self.server.create_client(**settings)
        return client, self.contract.operator(client.token)

    def charger(self) -> tuple[Device, ContractClient]:
        device = self.server.register()
        return device, self.contract.device(device.token)

    def token(self, client: Client, secret: str = "", address: str = "") -> Reply:
        """Ask for a token with a client's secret, or a wrong one, perhaps from elsewhere."""
        return self.ask_token(client.client_id, secret or client.client_secret, address)

    def ask_token(self, client_id: str, secret: str, address: str) -> Reply:
        body = {
            "client_id": client_id,
            "client_secret": secret,
            "grant_type": "client_credentials",
        }
        headers = {"x-forwarded-for": address} if address else {}
        return self.contract.post("/v1/operator/oauth/token", body, headers=headers)


def open_door(data_dir: Path, scale: str) -> RunningServer:
    """Start a server that believes a proxy on this machine."""
    environment = {"TELLUS_SERVER__TRUSTED_PROXIES": "127.0.0.1"}
    return start_server(data_dir, "--limit-scale", scale, environment=environment)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One server for this file; every test brings principals and addresses of its own."""
    server = open_door(tmp_path_factory.mktemp("limits") / "data", "1")
    with ContractClient(server.base_url) as contract:
        yield Door(server, contract)
    assert server.stop() == 0


# --------------------------------------------------------------------------- classes

OPERATOR_CALLS: dict[str, Callable[[ContractClient], Reply]] = {
    "queries": lambda client: client.get("/v1/operator/sites"),
    "control": lambda client: client.post("/v1/operator/devices/dvc_1/connectors/1/start"),
}


@pytest.mark.parametrize("limit_class", OPERATOR_CALLS)
def test_operator_class__sixty_a_minute__exactly_and_for_this_client_alone(
    door: Door, limit_class: str
) -> None:
    """A client gets sixty calls a minute of each class, whatever becomes of them."""
    ask = OPERATOR_CALLS[limit_class]
    operator_id = door.server.create_operator()
    _, first = door.operator(operator_id=operator_id)
    _, second = door.operator(operator_id=operator_id)
    arrivals = burst(lambda: ask(first), 70)
    assert contradictions(arrivals, 60, MINUTE_S) == []
    assert count_allowed(arrivals) == 60
    assert ask(second).status != 429
    other = next(call for name, call in OPERATOR_CALLS.items() if name != limit_class)
    assert other(first).status != 429


def test_queries__every_get_of_a_client__share_one_window(door: Door) -> None:
    """All queries of a client count together, those that fail by shape or absence too."""
    _, operator = door.operator(limits={"queries": 6})
    targets = (
        "sites",
        "devices",
        "charging-records",
        "devices/dvc_0",
        "sites?size=0",
        "commands/x",
    )
    statuses = [operator.get(f"/v1/operator/{target}").status for target in targets]
    assert statuses == [200, 200, 200, 404, 400, 404]
    operator.get("/v1/operator/sites", expect=429, code=5001)


def test_order__limit_stands_between_scope_and_shape(door: Door) -> None:
    """A full class is told before a bad shape or an absent device, and after a missing scope."""
    _, operator = door.operator(limits={"control": 1})
    path = "/v1/operator/devices/dvc_1/connectors/{}/start"
    operator.post(path.format(1), expect=404)
    operator.post(path.format(1), expect=429, code=5001)
    operator.post(path.format(0), {"duration": -1}, expect=429, code=5001)
    _, reader = door.operator(scopes=["read"], limits={"control": 1})
    for _ in range(3):
        reader.post(path.format(1), expect=403, code=2003)
    door.contract.post(path.format(1), expect=401, code=2001)


def test_token__ten_a_minute__exactly_and_for_this_client_alone(door: Door) -> None:
    """A client gets ten tokens a minute; refused ones cost nothing and others still get theirs."""
    first, _ = door.operator()
    second, _ = door.operator()
    arrivals = burst(lambda: door.token(first), 14)
    assert count_allowed(arrivals) == 9  # one was asked for when the client was made
    assert {arrival.retry_after_s for arrival in arrivals[9:]} <= set(range(30, 61))
    assert door.token(second).status == 200


DEVICE_CALLS: dict[str, Callable[[ContractClient], Reply]] = {
    "device_hot": lambda charger: charger.post(
        "/v1/device/heartbeat", {"timestamp": now_text(), "status": "online", "fault_code": 0}
    ),
    "device_other": lambda charger: charger.post(
        "/v1/device/charging-records", record_body("rec-1")
    ),
    "device_batch": lambda charger: charger.post(
        "/v1/device/charging-records/batch", {"items": [record_body("rec-1")]}
    ),
}
DEVICE_FIGURES = {"device_hot": (10, 1.0), "device_other": (60, MINUTE_S), "device_batch": (2, 1.0)}


@pytest.mark.parametrize("limit_class", DEVICE_CALLS)
def test_device_class__in_a_burst__is_exact_and_for_this_device_alone(
    door: Door, limit_class: str
) -> None:
    """A charger gets what its class allows and not one more; its neighbour is not touched."""
    ask = DEVICE_CALLS[limit_class]
    limit, window_s = DEVICE_FIGURES[limit_class]
    _, first = door.charger()
    _, second = door.charger()
    spent = 1 if limit_class == "device_other" else 0  # its token counts among the others
    arrivals = burst(lambda: ask(first), limit + 5)
    if spent:
        assert count_allowed(arrivals) == limit - spent
    else:
        assert contradictions(arrivals, limit, window_s) == []
        assert count_allowed(arrivals) >= limit
    for other, call in DEVICE_CALLS.items():
        assert call(first).status == 200 or other == limit_class
        assert call(second).status == 200


@pytest.mark.parametrize(("limit_class", "every_s"), [("device_hot", 0.03), ("device_batch", 0.1)])
def test_device_class__at_a_steady_pace__lets_through_what_a_rolling_window_does(
    door: Door, limit_class: str, every_s: float
) -> None:
    """Over seconds of too many calls, each decision is the oracle's: refusals consume nothing."""
    limit, window_s = DEVICE_FIGURES[limit_class]
    _, charger = door.charger()
    arrivals = paced(lambda: DEVICE_CALLS[limit_class](charger), 3.2, every_s)
    assert contradictions(arrivals, limit, window_s) == []
    allowed = count_allowed(arrivals)
    print(f"{limit_class}: {allowed} of {len(arrivals)} let through")
    assert 2 * limit < allowed < len(arrivals)


def test_device_hot__heartbeat_and_telemetry__share_one_window(door: Door) -> None:
    """Heartbeats and samples of a charger count together."""
    _, charger = door.charger()
    sample = {
        "timestamp": now_text(),
        "connector_id": 1,
        "state": "idle",
        "voltage": 230,
        "current": 0,
        "power": 0,
        "energy_delivered": 0,
    }
    calls = (
        lambda: charger.post("/v1/device/telemetry", sample),
        lambda: DEVICE_CALLS["device_hot"](charger),
    )
    arrivals = [arrival_of(calls[number % 2]) for number in range(14)]
    assert contradictions(arrivals, 10, 1.0) == []


def test_register__five_an_hour_per_serial_number__and_others_go_on(door: Door) -> None:
    """The sixth call for a serial number is told to wait the hour out; another one is served."""

    def register(sn: str) -> Reply:
        body = {"sn": sn, "model": "M", "manufacturer": "Maker", "firmware_version": "1.0.0"}
        return door.contract.post("/v1/device/register", body)

    sn = f"SN-{secrets.token_hex(6)}"
    arrivals = burst(lambda: register(sn), 8)
    assert contradictions(arrivals, 5, HOUR_S) == []
    assert count_allowed(arrivals) == 5
    assert register(f"SN-{secrets.token_hex(6)}").status == 200


def test_administration_and_polls__many_calls__are_not_limited_by_rate(door: Door) -> None:
    """Administrators and long-polls are outside the classes."""
    door.server.admin("GET", "/v1/admin/operators")
    admin = door.contract.bearer(door.server._admin_token)
    for _ in range(70):
        admin.get("/v1/admin/operators", expect=200)
    _, charger = door.charger()
    answers = [charger.get("/v1/device/commands?connector_id=0&wait=1").status for _ in range(70)]
    assert set(answers) == {400}


# --------------------------------------------------------------------------- overrides, scale


def test_override__per_client__bites_at_the_next_call_and_forgives_nothing(door: Door) -> None:
    """A client's own limit goes before the published one, and a change of it at once."""
    client, operator = door.operator(limits={"queries": 3, "control": 2})
    assert count_allowed(burst(lambda: OPERATOR_CALLS["control"](operator), 4)) == 2
    queries = OPERATOR_CALLS["queries"]
    arrivals = burst(lambda: queries(operator), 5)
    assert contradictions(arrivals, 3, MINUTE_S) == []
    door.server.admin("PATCH", f"/v1/admin/clients/{client.client_id}", {"limits": {"queries": 8}})
    assert count_allowed(burst(lambda: queries(operator), 9)) == 5
    door.server.admin("PATCH", f"/v1/admin/clients/{client.client_id}", {"limits": {"queries": 2}})
    assert count_allowed(burst(lambda: queries(operator), 3)) == 0


@pytest.mark.parametrize(("scale", "limit"), [("0.1", 6), ("2", 120)])
def test_limit_scale__any__multiplies_the_published_figures(
    tmp_path_factory: pytest.TempPathFactory, scale: str, limit: int
) -> None:
    """`--limit-scale` multiplies every limit, a client's own included."""
    server = open_door(tmp_path_factory.mktemp("scaled") / "data", scale)
    try:
        with ContractClient(server.base_url) as contract:
            scaled = Door(server, contract)
            _, operator = scaled.operator()
            arrivals = burst(lambda: OPERATOR_CALLS["queries"](operator), limit + 3)
            assert contradictions(arrivals, limit, MINUTE_S) == []
            assert count_allowed(arrivals) == limit
            _, operator = scaled.operator(limits={"queries": 10})
            arrivals = burst(lambda: OPERATOR_CALLS["queries"](operator), limit + 3)
            assert count_allowed(arrivals) == limit // 6
    finally:
        server.stop()


# --------------------------------------------------------------------------- before authentication


def test_failures__ten_a_minute_for_an_id__shut_out_the_guesser_and_nobody_else(
    door: Door,
) -> None:
    """Guesses at one id end after ten, good secret included; its owner elsewhere gets in."""
    victim, _ = door.operator()
    arrivals = burst(lambda: door.token(victim, "guess", "203.0.113.1"), 13)
    assert contradictions(arrivals, 10, MINUTE_S) == []
    assert count_allowed(arrivals) == 10
    assert door.token(victim, address="203.0.113.1").status == 429
    assert door.token(victim, address="203.0.113.2").status == 200
    neighbour, operator = door.operator()
    assert door.token(neighbour, address="203.0.113.1").status == 200
    headers = {"x-forwarded-for": "203.0.113.1"}
    operator.get("/v1/operator/sites", headers=headers, expect=200)


def test_failures__sixty_a_minute_from_an_address__end_all_guessing_from_there(door: Door) -> None:
    """Guesses across ids end after sixty; another address is not touched, tokens stay good."""
    client, operator = door.operator()

    def guess(address: str) -> Reply:
        return door.ask_token(f"cli_{secrets.token_hex(8)}", "guess", address)

    arrivals = burst(lambda: guess("203.0.113.11"), 64)
    assert contradictions(arrivals, 60, MINUTE_S) == []
    assert count_allowed(arrivals) == 60
    assert door.token(client, address="203.0.113.11").status == 429
    assert guess("203.0.113.12").status == 401
    assert door.token(client, address="203.0.113.12").status == 200
    operator.get("/v1/operator/sites", headers={"x-forwarded-for": "203.0.113.11"}, expect=200)


def test_failures__of_chargers_and_administrators__count_like_those_of_clients(door: Door) -> None:
    """All three token endpoints slow down guessing."""
    device, _ = door.charger()
    account_id = door.server.admin_file["service_account_id"]
    for path, body in (
        ("/v1/device/token", {"device_id": device.device_id, "device_secret": "guess"}),
        (
            "/v1/admin/oauth/token",
            {"service_account_id": account_id, "service_account_secret": "guess"},
        ),
    ):
        asked = body | {"grant_type": "client_credentials"}
        headers = {"x-forwarded-for": "203.0.113.21"}
        arrivals = burst(lambda: door.contract.post(path, asked, headers=headers), 12)  # noqa: B023
        assert contradictions(arrivals, 10, MINUTE_S) == []
        assert count_allowed(arrivals) == 10


def test_failures__successes_in_between__are_not_counted(door: Door) -> None:
    """Tokens that were issued use up none of the ten failures."""
    client, _ = door.operator(limits={"token": 100})
    for _ in range(9):
        assert door.token(client, "guess", "203.0.113.31").status == 401
        assert door.token(client, address="203.0.113.31").status == 200
    assert door.token(client, "guess", "203.0.113.31").status == 401
    assert door.token(client, "guess", "203.0.113.31").status == 429


def test_no_token__from_one_address__has_a_burst_and_a_rate(tmp_path: Path) -> None:
    """At a tenth of its limits, an address sends fifty calls without a token, then five a second.

    Who has a token is not touched by it, nor is anybody elsewhere.
    """
    server = open_door(tmp_path / "data", "0.1")
    headers = {"x-forwarded-for": "203.0.113.41"}
    elsewhere = {"x-forwarded-for": "203.0.113.42"}
    try:
        with ContractClient(server.base_url) as contract:
            _, operator = Door(server, contract).operator()
            arrivals = burst(lambda: contract.get("/v1/operator/sites", headers=headers), 80)
            span_s = arrivals[-1].got_s - arrivals[0].sent_s
            assert all(arrival.allowed for arrival in arrivals[:50])
            assert count_allowed(arrivals) <= 50 + 5 * span_s + 1
            assert {arrival.retry_after_s for arrival in arrivals} == {0, 1}
            operator.get("/v1/operator/sites", headers=headers, expect=200)
            contract.get("/v1/operator/sites", headers=elsewhere, expect=401)
    finally:
        server.stop()
