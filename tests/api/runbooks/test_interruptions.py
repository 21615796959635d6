"""Runs through kills of the server, and people who answer at the same time."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.api.runbooks.conftest import BOOT
from tests.api.runbooks.playing import POWER_UP, Run, Stage
from tests.api.tenancy import Charger, heartbeat, moment, new_tenant
from tests.contract.client import ContractClient
from tests.server import RunningServer, start_server

MOMENTS = ["confirmed", "delivered", "accepted"]
SLOWER = BOOT | {"TELLUS_RUNBOOKS__BOOT_S": "4"}


def meet_again(run: Run, server: RunningServer, contract: ContractClient) -> Run:
    """The same run, tenant and charger at a server that came back at another address."""
    tenant = replace(run.stage.tenant, server=server, contract=contract)
    stage, old = Stage(tenant), run.charger
    charger = Charger(
        old.device_id, old.device_secret, old.sn, old.token,
        contract.device(old.token), tenant.api,
    )  # fmt: skip
    return Run(stage, charger, run.slug, run.run_id)


def finish(run: Run, moment_of_death: str) -> None:
    """Let the charger of a run go on where the kill found it."""
    if moment_of_death == "confirmed":
        run.obey("reboot", "accepted")
    elif moment_of_death == "delivered":
        [command_id] = run.step("controlled-reboot")["command_ids"]
        said = {"command_id": command_id, "status": "accepted", "timestamp": moment()}
        run.charger.send("command-status", said)
    run.charger.send("heartbeat", heartbeat())


def test_run__server_killed_while_it_awaits_a_command__goes_on_after_the_restart(
    database_kind: str, tmp_path: Path
) -> None:
    """A kill before, while and after a charger has its command: one command each, and one end."""
    del database_kind
    first = start_server(tmp_path / "data", environment=SLOWER)
    runs = {}
    with ContractClient(first.base_url) as contract:
        stage = Stage(new_tenant(first, contract))
        for moment_of_death in MOMENTS:
            run = runs[moment_of_death] = stage.begin(stage.charger(), POWER_UP)
            run.answer("controlled-reboot", "passed")
            if moment_of_death == "delivered":
                run.obey("reboot")
            elif moment_of_death == "accepted":
                run.obey("reboot", "accepted")
        first.kill()
    second = start_server(tmp_path / "data", environment=SLOWER)
    with ContractClient(second.base_url) as contract:
        met = {name: meet_again(run, second, contract) for name, run in runs.items()}
        for moment_of_death, again in met.items():
            finish(again, moment_of_death)
        for name, run in runs.items():
            again = met[name]
            again.ends("resolved")
            query = {"device_id": run.charger.device_id, "command": "reboot"}
            found = again.stage.api.get("/v1/operator/commands", params=query, expect=200).data
            sent = [item["command_id"] for item in found["items"]]
            assert sent == again.step("controlled-reboot")["command_ids"]
            assert len(sent) == 1
    assert second.stop() == 0


def test_answer__two_at_once__only_one_counts(stage: Stage) -> None:
    """Of answers that come together one is taken; the other is told that the run moved on."""
    charger = stage.charger(firmware_version="custom")
    run = stage.begin(charger, POWER_UP)
    replies: list[Any] = []
    start = threading.Barrier(4)

    def say(outcome: str) -> None:
        with ContractClient(stage.api.base_url) as contract:
            api = contract.operator(stage.tenant.client.token)
            start.wait()
            said = {"outcome": outcome, "answered_by": outcome}
            replies.append(api.post(f"{run.path}/steps/3", said))

    threads = [
        threading.Thread(target=say, args=(outcome,)) for outcome in ("passed", "not_possible") * 2
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reply.status for reply in replies) == [200, 409, 409, 409]
    step = run.step("firmware-version")
    assert step["verdict"] == step["answered_by"]


def test_start_run__many_at_once__begin_one(stage: Stage) -> None:
    """There is one live run per place, however many ask for it together."""
    charger = stage.charger()
    replies: list[Any] = []
    start = threading.Barrier(4)

    def begin() -> None:
        with ContractClient(stage.api.base_url) as contract:
            api = contract.operator(stage.tenant.client.token)
            start.wait()
            body = {"device_id": charger.device_id}
            replies.append(api.post(f"/v1/operator/runbooks/{POWER_UP}/runs", body))

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reply.status for reply in replies) == [200, 409, 409, 409]
