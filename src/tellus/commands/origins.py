"""Which command a session began by: the last one that its charger took up shortly before."""

from collections.abc import Mapping, Sequence
from typing import Final

from tellus.commands.store_origins import Beginning, list_beginnings
from tellus.energy.model_sessions import Origin, SessionView
from tellus.kernel.units import SECOND_MS
from tellus.storage.database import Tx

# A start lives two minutes unless it is configured otherwise; then the vehicle takes its time.
_EARLIEST_MS: Final = 5 * 60 * SECOND_MS
# The charger's clock may be behind the platform's, by which the command is dated.
_LATEST_MS: Final = 15 * SECOND_MS


def find_origins(tx: Tx, sessions: Sequence[SessionView]) -> Mapping[str, Origin]:
    """Return by session identifier the command that started it, where there was one."""
    by_device: dict[int, list[SessionView]] = {}
    for session in sessions:
        by_device.setdefault(session.device_no, []).append(session)
    origins: dict[str, Origin] = {}
    for device_no, begun in by_device.items():
        starts_ms = [session.start_ms for session in begun]
        span_ms = (min(starts_ms) - _EARLIEST_MS, max(starts_ms) + _LATEST_MS)
        beginnings = list_beginnings(tx, device_no, *span_ms)
        origins |= _match(begun, beginnings) if beginnings else {}
    return origins


def _match(sessions: Sequence[SessionView], beginnings: Sequence[Beginning]) -> dict[str, Origin]:
    """Give each command to the first session after it, and each session its last command."""
    origins: dict[str, Origin] = {}
    taken: set[str] = set()
    for session in sorted(sessions, key=lambda one: one.start_ms):
        fitting = [
            one
            for one in beginnings
            if one.connector_id == session.connector_id
            and one.command_id not in taken
            and session.start_ms - _EARLIEST_MS <= one.created_ms <= session.start_ms + _LATEST_MS
        ]
        if fitting:
            taken.update(one.command_id for one in fitting)
            origins[session.session_id] = Origin(fitting[-1].command_id, fitting[-1].transaction_id)
    return origins
