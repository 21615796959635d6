"""What the checks of a connector that is stuck in Preparing make of what was read: pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tellus.kernel.units import DAY_MS, SECOND_MS, to_text
from tellus.runbooks.model import CheckResult
from tellus.runbooks.model_catalogue import Verdict

Thresholds = Mapping[str, float]


class Moment(NamedTuple):
    """An event of a connector: what it was and when (ms)."""

    event_type: str
    time_ms: int


class ConnectorSeen(NamedTuple):
    """A connector's newest sample: its state, the charger's own word for it, and when (ms)."""

    state: str
    detail_state: str | None
    time_ms: int

    def told(self) -> dict[str, Any]:
        """Return it as evidence."""
        word = self.detail_state or self.state
        return {"state": word, "timestamp": to_text(self.time_ms) if self.time_ms else None}


def judge_authentication(
    events: Sequence[Moment], now_ms: int, thresholds: Thresholds
) -> CheckResult:
    """Judge whether an authentication reached the charger before the connector got stuck.

    The stuck state begins with the newest plug-in; a driver may authenticate a while before it.
    Nothing follows where this charger has reported no authentication for days: there may be none.
    """
    plugged = [event.time_ms for event in events if event.event_type == "plug_in"]
    stuck_ms = max(plugged, default=now_ms)
    since_ms = stuck_ms - int(thresholds["before_s"] * SECOND_MS)
    words = [event for event in events if event.event_type in {"auth_ok", "auth_failed"}]
    recent = [event for event in words if event.time_ms >= since_ms]
    evidence = {
        "plugged_in_at": to_text(stuck_ms) if plugged else None,
        "looked_from": to_text(since_ms),
        "authentications": [
            {"event_type": event.event_type, "timestamp": to_text(event.time_ms)}
            for event in recent
        ],
        "authentications_lately": len(words),
    }
    if any(event.event_type == "auth_ok" for event in recent):
        return CheckResult(Verdict.PASSED, None, evidence)
    if recent:
        return CheckResult(Verdict.FAILED, "auth_failed", evidence)
    if words:
        return CheckResult(Verdict.FAILED, "auth_absent", evidence)
    return CheckResult(Verdict.INCONCLUSIVE, "never_authenticates", evidence)


def judge_second_attempt(
    seen: ConnectorSeen | None,
    since_ms: int,
    past: tuple[Sequence[int], int, int],
    thresholds: Thresholds,
) -> CheckResult:
    """Judge whether the connector charges at the second attempt, and how often it came to that.

    ``past`` are the times of F-0421 at the connector, how many earlier runs ended with an
    intermittent fault in the same days, and now. It recurs by whichever is more.
    """
    fault_times, earlier_runs, now_ms = past
    from_ms = now_ms - int(thresholds["days"] * DAY_MS)
    recurrences = max(sum(time_ms >= from_ms for time_ms in fault_times), earlier_runs + 1)
    evidence = {
        "connector": None if seen is None else seen.told(),
        "faults": [to_text(time_ms) for time_ms in fault_times],
        "earlier_runs": earlier_runs,
        "recurrences": recurrences,
        "days": thresholds["days"],
    }
    if seen is None or seen.time_ms < since_ms or seen.state not in {"charging", "discharging"}:
        return CheckResult(Verdict.FAILED, "not_charging", evidence)
    finding = "recurring" if recurrences >= thresholds["recurrences"] else "intermittent"
    return CheckResult(Verdict.PASSED, finding, evidence)


def judge_reset(seen: ConnectorSeen | None, since_ms: int) -> CheckResult:
    """Judge whether a connector is free after its reset: a later sample that is not stuck."""
    evidence = {"connector": None if seen is None else seen.told(), "reset_at": to_text(since_ms)}
    if seen is None or seen.time_ms < since_ms:
        return CheckResult(Verdict.INCONCLUSIVE, "no_sample_since", evidence)
    if seen.detail_state == "preparing" or seen.state == "fault":
        return CheckResult(Verdict.FAILED, "still_stuck", evidence)
    return CheckResult(Verdict.PASSED, None, evidence)
