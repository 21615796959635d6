"""A platform that is killed while it sends: what it had not heard taken goes again."""

import threading
from pathlib import Path

from tests.api.alerts.world import Receiver, wait_until
from tests.contract.client import ContractClient
from tests.contract.exchange_log import SESSION
from tests.databases import SQLITE, Choice
from tests.server import start_server

PATH = "/v1/operator/webhooks"
NEAR = {"TELLUS_ALERTS__ALLOW_PRIVATE_ADDRESSES": "true"}


def test_server__killed_while_it_sends__sends_it_again(tmp_path: Path, receiver: Receiver) -> None:
    """A delivery whose answer was not heard comes again after the restart, under the same id."""
    data_dir = tmp_path / "data"
    receiver.holding = threading.Event()
    first = start_server(data_dir, environment=NEAR)
    client = first.create_client()
    with ContractClient(first.base_url, log=SESSION) as contract:
        api = contract.operator(client.token)
        made = api.post(PATH, {"url": receiver.url}, expect=200).data
        api.post(f"{PATH}/{made['webhook_id']}/test", expect=200)
    receiver.wait_for(1)
    first.kill()
    receiver.holding.set()
    receiver.holding = None
    second = start_server(data_dir, environment=NEAR)
    try:
        # Where others may be at it the lease has to run out first.
        before, after = receiver.wait_for(2, 10.0 if Choice.kind == SQLITE else 30.0)[:2]
        assert before.raw == after.raw
        assert after.is_signed_with(made["secret"])
        with ContractClient(second.base_url, log=SESSION) as contract:
            api = contract.operator(client.token)
            path = f"{PATH}/{made['webhook_id']}/deliveries"
            wait_until(lambda: api.get(path, expect=200).data["items"][0]["state"] == "accepted")
    finally:
        assert second.stop() == 0
