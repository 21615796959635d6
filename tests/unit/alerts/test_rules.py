"""What findings, clearings and people make of an alert, against a plain reading of the words."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tellus.alerts import rules
from tellus.alerts.model import (
    Alert,
    AlertChange,
    AlertSeverity,
    AlertStatus,
    Condition,
    NoteField,
)
from tests.unit.alerts.alert_bench import BEGAN_MS, clearing, finding

ORDER = ["low", "medium", "high", "critical"]
MAY = {
    ("open", "acknowledged"), ("open", "resolved"), ("open", "dismissed"),
    ("acknowledged", "resolved"), ("acknowledged", "dismissed"),
}  # fmt: skip

found = st.tuples(st.just("found"), st.integers(0, 50), st.sampled_from(ORDER))
cleared = st.tuples(st.just("cleared"), st.integers(0, 50), st.none())
said = st.tuples(st.just("said"), st.none(), st.sampled_from(list(AlertStatus)))
steps = st.lists(found | cleared | said, max_size=25)


class Oracle:
    """An alert as the documentation tells of it, kept by lists instead of by rules."""

    def __init__(self, severity: str) -> None:
        self.found = [0]
        self.severities = [severity]
        self.condition = ["present"]
        self.since = 0
        self.status = "open"
        self.turns = 1

    def find(self, at: int, severity: str) -> None:
        back = self.condition[-1] == "cleared" and at >= self.since
        worse = ORDER.index(severity) > max(map(ORDER.index, self.severities))
        self.found.append(at)
        self.severities.append(severity)
        if back:
            self.condition.append("present")
            self.since = at
        self.turns += back or worse

    def clear(self, at: int) -> None:
        if self.condition[-1] == "present" and at >= max(self.found):
            self.condition.append("cleared")
            self.since = at
            self.turns += 1

    def say(self, status: str) -> bool:
        if (self.status, status) not in MAY:
            return False
        self.status = status
        self.turns += 1
        return True


@given(st.sampled_from(ORDER), steps)
def test_alert__any_story__is_as_the_oracle_tells_it(
    first: str, story: list[tuple[str, Any, Any]]
) -> None:
    """Whatever happens in whichever order, the alert is what its documentation says."""
    now_ms = BEGAN_MS + 1_000
    opening = finding(at_ms=BEGAN_MS, severity=AlertSeverity(first))
    alert, oracle = rules.opened(opening, "alr_1", now_ms), Oracle(first)
    for kind, at, what in story:
        if not alert.is_live:
            break
        if kind == "found":
            late = finding(at_ms=BEGAN_MS + at, severity=AlertSeverity(what))
            alert = rules.found_again(alert, late, now_ms)
            oracle.find(at, what)
        elif kind == "cleared":
            alert = rules.cleared(alert, clearing(BEGAN_MS + at), now_ms)
            oracle.clear(at)
        elif rules.may_become(alert, what):
            alert = rules.with_status(alert, what, now_ms)
            assert oracle.say(what)
        else:
            assert not oracle.say(what)
    assert alert.status == oracle.status
    assert alert.condition == oracle.condition[-1]
    assert alert.condition_ms == BEGAN_MS + oracle.since
    assert alert.severity == max(oracle.severities, key=ORDER.index)
    assert (alert.found, alert.version) == (len(oracle.found), oracle.turns)
    assert alert.first_ms == BEGAN_MS + min(oracle.found)
    assert alert.last_ms == BEGAN_MS + max(oracle.found)
    assert alert.is_live == (oracle.status in ("open", "acknowledged"))


@given(st.integers(0, 10**12))
def test_finding__from_a_clock_that_is_ahead__counts_as_now(ahead_ms: int) -> None:
    """A time to come cannot keep an alert from being cleared."""
    alert = rules.opened(finding(at_ms=BEGAN_MS + ahead_ms), "alr_1", BEGAN_MS)
    alert = rules.found_again(alert, finding(at_ms=BEGAN_MS + ahead_ms), BEGAN_MS)
    assert (alert.first_ms, alert.last_ms) == (BEGAN_MS, BEGAN_MS)
    now_so = rules.cleared(alert, clearing(BEGAN_MS), BEGAN_MS)
    assert now_so.condition is Condition.CLEARED


words = st.text(max_size=12)
long = st.builds(str.__mul__, st.sampled_from(["x", "é", "\n"]), st.integers(1, 30_000))
leaves = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | long
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=8) | st.dictionaries(words, inner, max_size=5)
)


@settings(max_examples=40)
@given(st.dictionaries(words, values, max_size=6))
def test_evidence__however_large__fits_and_says_what_was_cut(evidence: dict[str, Any]) -> None:
    """What fits is kept as it is; what does not is shortened, and named."""
    kept = rules.fit_evidence(evidence)
    size = len(msgspec.json.encode(evidence))
    assert len(msgspec.json.encode(kept)) <= rules.EVIDENCE_BYTES
    if size <= rules.EVIDENCE_BYTES:
        assert kept == evidence
    else:
        cut = kept[rules.LEFT_OUT]
        assert cut
        for name, value in evidence.items():
            if kept.get(name) != value and name != rules.LEFT_OUT:
                assert name in cut


def test_evidence__a_long_list__keeps_its_beginning() -> None:
    """Of a long list the beginning stays, and the small parts beside it stay whole."""
    kept = rules.fit_evidence({"frames": list(range(20_000)), "fault_code": "F-0421"})
    assert kept["fault_code"] == "F-0421"
    assert kept["frames"] == list(range(len(kept["frames"])))
    assert len(kept["frames"]) > 500
    assert kept[rules.LEFT_OUT] == ["frames"]


def _turned(alert: Alert, **changes: Any) -> AlertChange:
    return AlertChange(alert, msgspec.structs.replace(alert, **changes), "cl_1", "Said")


def test_notes__several_things_at_once__a_line_each_and_the_note_once() -> None:
    """A change of condition and severity at once is two lines; what was said stands with one."""
    alert = rules.opened(finding(), "alr_1", BEGAN_MS)
    change = _turned(alert, condition=Condition.CLEARED, severity=AlertSeverity.CRITICAL)
    assert [(one.field, one.after, one.note) for one in rules.notes_of(change, BEGAN_MS)] == [
        (NoteField.CONDITION, "cleared", "Said"),
        (NoteField.SEVERITY, "critical", None),
    ]
    assert [(one.field, one.note) for one in rules.notes_of(_turned(alert), BEGAN_MS)] == [
        (NoteField.NOTE, "Said")
    ]
