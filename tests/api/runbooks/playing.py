"""Runs of runbooks as an operator sees them, and the chargers and people who play along."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.api.tenancy import Charger, Tenant, event, heartbeat, moment, sample

POWER_UP = "charger-faulting-on-power-up"
AC_POWER_UP = "ac-charger-faulting-on-power-up"
PREPARING = "connector-stuck-in-preparing"
NO_FLOW = "v2g-discharge-no-flow"
WITHIN_S = 15.0


def phases(a: float = 230.0, b: float = 231.0, c: float = 229.0) -> dict[str, Any]:
    """The AC supply of a three-phase unit."""
    return {
        f"phase_{name}": {"voltage": voltage, "current": 0.5}
        for name, voltage in (("a", a), ("b", b), ("c", c))
    }


def idle(**changes: Any) -> dict[str, Any]:
    """A sample of an idle connector with a healthy supply."""
    quiet = {"state": "idle", "voltage": 0.0, "current": 0.0, "power": 0.0}
    return sample(**(quiet | {"energy_delivered": 0.0, "phase_details": phases()} | changes))


def fault(code: str, ago_s: float = 1.0, **data: Any) -> dict[str, Any]:
    """A fault event."""
    return event(timestamp=moment(ago_s), event_type="fault", data={"fault_code": code, **data})


@dataclass
class Run:
    """A run, and who plays along in it."""

    stage: "Stage"
    charger: Charger
    slug: str
    run_id: str

    @property
    def path(self) -> str:
        """Where it is."""
        return f"/v1/operator/runbooks/{self.slug}/runs/{self.run_id}"

    def seen(self) -> dict[str, Any]:
        """The run as its operator sees it."""
        data: dict[str, Any] = self.stage.api.get(self.path, expect=200).data
        return data

    def step(self, name: str) -> dict[str, Any]:
        """A step that it came to."""
        return next(step for step in self.seen()["steps"] if step["id"] == name)

    def steps(self) -> list[str]:
        """The steps that it came to, in their order."""
        return [step["id"] for step in self.seen()["steps"]]

    def asks(self, name: str) -> dict[str, Any]:
        """What it asks; it asks it of this step."""
        seen = self.seen()
        action: dict[str, Any] = seen["next_action"]
        assert action["kind"] in {"answer", "confirm"}, seen
        assert seen["steps"][-1]["id"] == name, seen
        return action

    def answer(self, name: str, outcome: str, **more: Any) -> dict[str, Any]:
        """Answer what it asks of a step."""
        number = self.asks(name)["n"]
        said = {"outcome": outcome, "answered_by": "A. Engineer"} | more
        data: dict[str, Any] = self.stage.api.post(
            f"{self.path}/steps/{number}", said, expect=200
        ).data
        return data

    def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until something holds of it."""
        until_s = time.monotonic() + WITHIN_S
        while True:
            seen = self.seen()
            if holds(seen):
                return seen
            assert time.monotonic() < until_s, seen
            time.sleep(0.05)

    def ends(self, status: str) -> dict[str, Any]:
        """Wait for its end."""
        seen = self.until(lambda run: "ended_at" in run)
        assert seen["status"] == status, seen
        assert "next_action" not in seen
        return seen

    def comes_to(self, name: str) -> dict[str, Any]:
        """Wait until it asks something of a step."""
        return self.until(
            lambda run: run["status"] in {"asking", "paused"} and run["steps"][-1]["id"] == name
        )

    # ------------------------------------------------------------------ the charger

    def obey(self, name: str, *statuses: str, **more: Any) -> dict[str, Any]:
        """Let the charger fetch a command and report on it."""
        until_s = time.monotonic() + WITHIN_S
        while True:
            given = self.charger.send("heartbeat", heartbeat()).data["commands"]
            if given:
                break
            assert time.monotonic() < until_s, f"no {name}"
            time.sleep(0.05)
        command: dict[str, Any] = given[0]
        assert command["command"] == name
        for status in statuses:
            said = {"command_id": command["command_id"], "status": status, "timestamp": moment()}
            self.charger.send("command-status", said | more)
        return command


@dataclass
class Stage:
    """An operator's side of the play."""

    tenant: Tenant

    @property
    def api(self) -> Any:
        """The operator's client."""
        return self.tenant.api

    def charger(self, model: str = "TP-DC180", **more: Any) -> Charger:
        """A charger that is online and idle, with a healthy supply."""
        charger = self.tenant.charger(model, **more)
        charger.send("heartbeat", heartbeat())
        charger.send("telemetry", idle())
        return charger

    def begin(self, charger: Charger, slug: str, **more: Any) -> Run:
        """Begin a run."""
        body = {"device_id": charger.device_id} | more
        made = self.api.post(f"/v1/operator/runbooks/{slug}/runs", body, expect=200)
        return Run(self, charger, slug, made.data["run_id"])
