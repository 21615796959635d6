"""Serve the test application in a process of its own, until a signal comes."""

from typing import Any

from tellus.surfaces.guard.server import build_server
from tests.api.server.rig import DoorApp


class SpeakingApp(DoorApp):
    """Says when a request waits."""

    @property
    def parked(self) -> int:  # type: ignore[override]
        return 0

    @parked.setter
    def parked(self, value: int) -> None:
        if value:
            print("parked", flush=True)


def log(event: str, _facts: Any) -> None:
    """Print the port first, later the stages."""
    if event == "server_started":
        print(server.bound_port, flush=True)
    elif event == "server_draining":
        print(event, flush=True)


if __name__ == "__main__":
    app = SpeakingApp()
    server = build_server(app, drain=app.drain, log=log)
    server.run()
    assert server.stopped_by is not None
    print("stopped by", server.stopped_by.name, flush=True)
