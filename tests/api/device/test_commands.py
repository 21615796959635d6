"""Commands on their way: issued, delivered once, reported, read; and polls that really wait."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.api.tenancy import Charger, Tenant, heartbeat, moment
from tests.contract.client import Reply


def issue(charger: Charger, name: str = "start", body: Any = None, connector: int = 1) -> str:
    """Issue a command as the operator; return its id."""
    path = f"/v1/operator/devices/{charger.device_id}/connectors/{connector}/{name}"
    command_id: str = charger.operator.post(path, body, expect=200).data["command_id"]
    return command_id


def fetched(charger: Charger) -> list[dict[str, Any]]:
    """What a heartbeat brings."""
    commands: list[dict[str, Any]] = charger.send("heartbeat", heartbeat()).data["commands"]
    return commands


def poll(charger: Charger, connector: int = 1, wait: int = 1) -> Reply:
    """A long-poll."""
    target = f"/v1/device/commands?connector_id={connector}&wait={wait}"
    return charger.api.get(target, expect=200)


def report(charger: Charger, command_id: str, status: str, **more: Any) -> Reply:
    """The charger's report."""
    body = {"command_id": command_id, "status": status, "timestamp": moment()} | more
    return charger.send("command-status", body)


def read(charger: Charger, command_id: str) -> dict[str, Any]:
    """The command as its operator reads it."""
    data: dict[str, Any] = charger.operator.get(
        f"/v1/operator/commands/{command_id}", expect=200
    ).data
    return data


def test_start__offline_charger__is_queued_all_the_same(charger: Charger) -> None:
    """A command waits for its charger, and says until when and whether it is there."""
    path = f"/v1/operator/devices/{charger.device_id}/connectors/1/start"
    body = {"charge_power": 50, "duration": 3600.0, "target_soc": 80, "transaction_id": "t-1"}
    answer = charger.operator.post(path, body, expect=200).data
    assert answer["command_id"].startswith("cmd_")
    assert (answer["status"], answer["device_online"]) == ("queued", False)
    command = read(charger, answer["command_id"])
    assert (command["status"], command["command"]) == ("queued", "start_charging")
    assert command["expires_at"] == answer["expires_at"]
    assert command["reports"] == []
    assert "result" not in command
    assert "delivered_at" not in command
    (sent,) = fetched(charger)
    assert sent == {
        "command_id": answer["command_id"],
        "command": "start_charging",
        "params": {
            "connector_id": 1,
            "charge_power": 50,
            "duration": 3600,
            "target_soc": 80,
            "transaction_id": "t-1",
        },
        "expiry": answer["expires_at"],
    }


@pytest.mark.parametrize("body", [None, {}])
@pytest.mark.parametrize(
    ("name", "command"), [("start", "start_charging"), ("stop", "stop_charging")]
)
def test_command__empty_body__still_names_its_connector(
    charger: Charger, name: str, command: str, body: dict[str, Any] | None
) -> None:
    """Start and stop need no body; the connector is always in what goes out."""
    issue(charger, name, body, connector=2)
    (sent,) = fetched(charger)
    assert (sent["command"], sent["params"]) == (command, {"connector_id": 2})


def test_stop__reason__goes_out(charger: Charger) -> None:
    """The reason of a stop reaches the charger."""
    issue(charger, "stop", {"reason": "fault"})
    assert fetched(charger)[0]["params"] == {"connector_id": 1, "reason": "fault"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"charge_power": -1}, "charge_power"), ({"duration": -1}, "duration"),
        ({"duration": 1.5}, "duration"), ({"target_soc": 101}, "target_soc"),
        ({"transaction_id": ""}, "transaction_id"), ({"charge_power": None}, "charge_power"),
    ],
)  # fmt: skip
def test_start__value_out_of_bounds__is_1001_and_queues_nothing(
    charger: Charger, body: dict[str, Any], field: str
) -> None:
    """What cannot be meant is refused before anything is queued."""
    path = f"/v1/operator/devices/{charger.device_id}/connectors/1/start"
    reply = charger.operator.post(path, body, expect=400, code=1001)
    assert reply.details["field"] == field
    assert fetched(charger) == []


def test_command__delivered_by_one_path__does_not_come_by_another(charger: Charger) -> None:
    """Heartbeat and long-poll share one lease; delivery alone leaves the command queued."""
    command_id = issue(charger)
    assert poll(charger).data["command_id"] == command_id
    assert fetched(charger) == []
    command = read(charger, command_id)
    assert (command["status"], command["deliveries"]) == ("queued", 1)
    assert "delivered_at" in command


def test_poll__of_a_connector__gets_its_own_commands_in_order(charger: Charger) -> None:
    """First in, first out, and never another connector's."""
    first = issue(charger, "start")
    second = issue(charger, "start", {"charge_power": 5})
    other = issue(charger, "start", connector=2)
    assert [poll(charger).data["command_id"] for _ in range(2)] == [first, second]
    assert [one["command_id"] for one in fetched(charger)] == [other]


def test_stop__before_the_start_was_delivered__supersedes_it(charger: Charger) -> None:
    """A start that nobody saw yet has no meaning after a stop."""
    start, elsewhere = issue(charger), issue(charger, connector=2)
    stop = issue(charger, "stop")
    assert {one["command_id"] for one in fetched(charger)} == {stop, elsewhere}
    command = read(charger, start)
    assert command["status"] == "failed"
    assert command["result"]["reason"] == "superseded"


@pytest.mark.parametrize(
    ("reports", "status", "reason"),
    [
        (["accepted"], "accepted", None),
        (["accepted", "completed"], "completed", None),
        (["completed"], "completed", None),
        (["rejected"], "failed", "rejected"),
        (["accepted", "failed"], "failed", None),
        (["completed", "accepted"], "completed", None),
        (["accepted", "accepted", "completed", "completed"], "completed", None),
    ],
)
def test_report__each_way__leads_to_its_status(
    charger: Charger, reports: list[str], status: str, reason: str | None
) -> None:
    """Operators see queued, accepted, completed, failed, and why."""
    command_id = issue(charger)
    fetched(charger)
    for one in reports:
        assert report(charger, command_id, one).data is None
    command = read(charger, command_id)
    assert command["status"] == status
    assert command.get("result", {}).get("reason") == reason
    assert "contradicted" not in command
    assert fetched(charger) == []


def test_report__what_the_charger_says__is_the_result(charger: Charger) -> None:
    """Message and details of the final report are returned."""
    command_id = issue(charger)
    report(charger, command_id, "failed", message="Cable not locked", details={"code": 7})
    command = read(charger, command_id)
    assert command["result"] == {"code": 7, "message": "Cable not locked"}
    (said,) = command["reports"]
    assert (said["status"], said["effect"]) == ("failed", "applied")


def test_report__contradiction__is_200_flagged_and_the_first_stands(charger: Charger) -> None:
    """The first final report stands; another one is recorded and flagged."""
    command_id = issue(charger)
    report(charger, command_id, "completed")
    report(charger, command_id, "failed")
    command = read(charger, command_id)
    assert (command["status"], command["contradicted"]) == ("completed", True)
    assert [one["effect"] for one in command["reports"]] == ["applied", "contradiction"]


def test_report__of_a_superseded_start__corrects_it_once(charger: Charger) -> None:
    """The charger knows better than the platform, and is told late."""
    command_id = issue(charger)
    issue(charger, "stop")
    report(charger, command_id, "completed")
    command = read(charger, command_id)
    assert command["status"] == "completed"
    assert command["result"]["late"] is True


def test_transaction_id__used_again__answers_with_the_first_command(charger: Charger) -> None:
    """A repeated start with one transaction starts nothing twice; another body is 4001."""
    body = {"transaction_id": "order-1", "charge_power": 11}
    first = issue(charger, "start", body)
    assert issue(charger, "start", body) == first
    assert len(fetched(charger)) == 1
    path = f"/v1/operator/devices/{charger.device_id}/connectors/1/start"
    other = body | {"charge_power": 22}
    reply = charger.operator.post(path, other, expect=409, code=4001)
    assert reply.details == {"field": "transaction_id"}


def test_pending__fifty_of_a_device__are_the_most(charger: Charger) -> None:
    """The fifty-first pending command is refused, and another device's is not."""
    for number in range(50):
        issue(charger, "start", {"duration": number})
    path = f"/v1/operator/devices/{charger.device_id}/connectors/1/start"
    charger.operator.post(path, expect=429, code=5001)
    assert len(fetched(charger)) == 50


def test_offline_heartbeat__brings_nothing(charger: Charger) -> None:
    """A charger that says it goes is given nothing to do; it is there when it comes back."""
    command_id = issue(charger)
    assert charger.send("heartbeat", heartbeat(status="offline")).data == {"commands": []}
    assert [one["command_id"] for one in fetched(charger)] == [command_id]


# ------------------------------------------------------------------------------- long-poll


@pytest.mark.parametrize("query", ["connector_id=1&wait=0", "connector_id=1&wait=61",
    "connector_id=1&wait=x", "connector_id=0&wait=1", "connector_id=256&wait=1",
    "connector_id=1&wait=1&wait=2", "connector_id=1&wait=1.5"])  # fmt: skip
def test_poll__out_of_bounds__is_1001(charger: Charger, query: str) -> None:
    """A poll waits 1 to 60 seconds for a connector from 1 to 255."""
    charger.api.get(f"/v1/device/commands?{query}", expect=400, code=1001)


def test_poll__without_connector__is_1002(charger: Charger) -> None:
    """A poll says for which connector."""
    reply = charger.api.get("/v1/device/commands", expect=400, code=1002)
    assert reply.details == {"field": "connector_id"}


def test_poll__nothing_comes__answers_null_when_its_time_is_over(charger: Charger) -> None:
    """A poll that waited in vain is a success whose data is null."""
    reply = poll(charger, wait=1)
    assert reply.body == b'{"code":0,"message":"success","data":null}'
    assert reply.elapsed_s >= 0.9  # it did wait


def parked(
    pool: ThreadPoolExecutor, charger: Charger, connector: int, is_parked: Callable[[], bool]
) -> Future[Reply]:
    """A poll that is known to wait."""
    future = pool.submit(poll, charger, connector, 60)
    deadline_s = time.monotonic() + 20
    while not is_parked():
        assert time.monotonic() < deadline_s
        threading.Event().wait(0.01)
    return future


def count_parked(tenant: Tenant) -> int:
    """How many polls wait on the server."""
    page = tenant.contract.get("/metrics", expect=200).body.decode()
    line = next(one for one in page.splitlines() if one.startswith("tellus_polls_parked"))
    return int(float(line.split()[-1]))


def test_poll__command_issued_meanwhile__ends_it_at_once(tenant: Tenant, charger: Charger) -> None:
    """A parked poll brings the command when it is issued, and only that connector's."""
    before = count_parked(tenant)
    with ThreadPoolExecutor(2) as pool:
        first = parked(pool, charger, 1, lambda: count_parked(tenant) == before + 1)
        second = parked(pool, charger, 2, lambda: count_parked(tenant) == before + 2)
        command_id = issue(charger, connector=2)
        assert second.result(20).data["command_id"] == command_id
        assert not first.done()
        assert issue(charger) == first.result(20).data["command_id"]
    assert count_parked(tenant) == before


def test_poll__newer_one_of_the_same_place__releases_the_older(
    tenant: Tenant, charger: Charger
) -> None:
    """One request is parked per connector: the older one is answered null, the newer waits on."""
    before = count_parked(tenant)
    with ThreadPoolExecutor(2) as pool:
        older = parked(pool, charger, 1, lambda: count_parked(tenant) == before + 1)
        newer = pool.submit(poll, charger, 1, 60)
        assert older.result(20).data is None
        command_id = issue(charger)
        assert newer.result(20).data["command_id"] == command_id
