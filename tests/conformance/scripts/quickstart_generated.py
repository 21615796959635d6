"""The quickstart's five steps with a client that was generated, and nothing written by hand.

Runs in an environment of its own. Takes the address, client and device from the environment; prints
what it found as JSON.
"""

import importlib
import json
import os
import sys
import time
from typing import Any

import websocket

_CONTROL = "post_operator_devices_device_id_connectors_connector_id"


class Generated:
    """The generated package, its modules found by name."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.models = importlib.import_module(f"{package}.models")
        self.client_module = importlib.import_module(f"{package}.client")
        self.client: Any = None

    def call(self, place: str, client: Any, *arguments: Any, **more: Any) -> Any:
        """Run a generated operation; return what it made of the answer."""
        operation = importlib.import_module(f"{self.package}.api.{place}")
        answer = operation.sync_detailed(*arguments, client=client, **more)
        assert answer.status_code == 200, answer
        return answer.parsed

    def ask(self, place: str, model: Any, *arguments: Any, **more: Any) -> Any:
        """Run an operation with the token; return its data as a generated model.

        The published answers and pages stand beside a lone reference, which this generator takes
        for the whole: data and items arrive plain, and users put them into generated models.
        """
        return model.from_dict(self.call(place, self.client, *arguments, **more).data)

    def get_token(self, base_url: str) -> Any:
        """Take step 1."""
        models = self.models
        token = self.call(
            "operator_authentication.post_operator_oauth_token",
            self.client_module.Client(base_url=f"{base_url}/v1"),
            body=models.OperatorTokenRequest(
                client_id=os.environ["CLIENT_ID"],
                client_secret=os.environ["CLIENT_SECRET"],
                grant_type=models.OperatorTokenRequestGrantType.CLIENT_CREDENTIALS,
            ),
        )
        self.client = self.client_module.AuthenticatedClient(
            base_url=f"{base_url}/v1", token=token.access_token, raise_on_unexpected_status=True
        )
        return token

    def follow(self, command_id: str) -> str:
        """Return the final status of a command."""
        place = "operator_commands.get_operator_commands_command_id"
        for _ in range(100):
            command = self.ask(place, self.models.CommandStatusResponse, command_id)
            if command.status.value in {"completed", "failed"}:
                return str(command.status.value)
            time.sleep(0.1)
        raise TimeoutError(command_id)


def main() -> None:
    """Take the five steps."""
    base_url, device_id = os.environ["BASE_URL"], os.environ["DEVICE_ID"]
    generated = Generated(sys.argv[1])
    models, ask = generated.models, generated.ask
    token = generated.get_token(base_url)
    fleet = "operator_sites_devices"
    page = ask(f"{fleet}.get_operator_sites", models.PageMeta)
    sites = [models.Site.from_dict(item) for item in page["items"]]
    device = ask(f"{fleet}.get_operator_devices_device_id", models.Device, device_id)
    frame = models.TelemetryFrame.from_dict(read_frame(base_url, token.access_token, device_id))
    queued = ask(
        f"operator_remote_control.{_CONTROL}_start",
        models.CommandQueuedResponse,
        device_id,
        1,
        body=models.RemoteStartRequest(charge_power=22.0, duration=600, target_soc=80),
    )
    status = generated.follow(queued.command_id)
    records = ask("operator_charging_records.get_operator_charging_records", models.PageMeta)
    found = {
        "token_type": token.token_type.value,
        "expires_in": token.expires_in,
        "sites": [site.name for site in sites],
        "total": page.total,
        "device": device.device_id,
        "connectors": [connector.status.value for connector in device.connectors],
        "soc": device.connectors[0].soc,
        "frame": frame.device_id,
        "frame_state": frame.connectors[0].state.value,
        "queued": queued.status.value,
        "status": status,
        "records": records.total,
    }
    print(json.dumps(found))


def read_frame(base_url: str, token: str, device_id: str) -> Any:
    """Return the first frame of the stream: the token goes into the header."""
    address = base_url.replace("http", "ws", 1) + f"/v1/operator/stream?devices={device_id}"
    header = [f"Authorization: Bearer {token}"]
    stream = websocket.create_connection(address, header=header, timeout=10)
    try:
        return json.loads(stream.recv())
    finally:
        stream.close()


if __name__ == "__main__":
    main()
