"""Runs of twins, taken apart into what the API would show."""

from __future__ import annotations

import json
from typing import Any

from tellus.simulator.device import ChargerSpec, ChargerTwin
from tellus.simulator.figures import default_figures
from tellus.simulator.messages import Kind, Message, PendingCommand
from tests.invariants import DeviceFacts

START_MS = 1_741_860_000_000  # 2025-03-13T10:00:00Z, a Thursday
HOUR_MS = 3_600_000


def build_twin(
    model: str = "TP-DC180", scenario: str = "busy", seed: int = 1, sn: str = "SN-1", **spec: Any
) -> ChargerTwin:
    """Return a fresh charger that lives from ``START_MS`` on."""
    built = ChargerSpec(sn=sn, model=model, **spec)
    return ChargerTwin(built, default_figures().scenario(scenario), seed, START_MS)


def bodies(messages: list[Message], kind: Kind, sn: str = "SN-1") -> list[dict[str, Any]]:
    """Return the decoded bodies of one kind, each with the device it came from."""
    chosen = [message for message in messages if message.kind is kind]
    return [{**json.loads(message.body), "device": sn} for message in chosen]


def facts_of(model: str, ambient_c: float = 18.0) -> DeviceFacts:
    """Return the type plate of a model, at a site with its mean temperature."""
    figures = default_figures().model(model)
    return DeviceFacts(figures.kind, figures.rated_kw, ambient_c - 4.0, ambient_c + 4.0)


def command(
    name: str, command_id: str = "cmd_1", expiry: str | None = None, **params: Any
) -> PendingCommand:
    """Return a command as the platform would hand it out."""
    return PendingCommand(command_id, name, params, expiry)
