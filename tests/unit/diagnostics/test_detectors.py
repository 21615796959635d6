"""Each detector at its boundaries: just on this side, and just on the other."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellus.configuration.model import RunningConfig
from tellus.diagnostics.catalogue.faults import FaultDictionary
from tellus.diagnostics.findings import Findings
from tellus.diagnostics.model import Condition, RecordTold
from tellus.diagnostics.rules_clearing import ConnectorNow, Now, is_over
from tellus.diagnostics.rules_f_0101 import AfterStop, Frame, f_0101
from tellus.diagnostics.rules_f_0203 import Heat, f_0203
from tellus.diagnostics.rules_f_0301 import f_0301, f_0302
from tellus.diagnostics.rules_f_0512 import f_0512
from tellus.diagnostics.rules_f_0601 import FanMinute, f_0601, merge_minutes
from tellus.diagnostics.rules_f_0805 import CLEAN, f_0805, is_clean
from tellus.diagnostics.thresholds import Thresholds
from tellus.fleet.catalogue import Catalogue
from tellus.fleet.directory import Device
from tellus.health.model import Extremes
from tellus.runbooks.library import RunbookCatalogue

NOW_MS = 1_790_000_000_000
MINUTE_MS = 60_000
THRESHOLDS = Thresholds(FaultDictionary.load(), Catalogue.load())
DC, AC = THRESHOLDS.of_model("TP-DC180"), THRESHOLDS.of_model("TP-AC22")


def frames(*shown: tuple[str, float, float]) -> list[Frame]:
    """Frames five seconds apart after a stop: state, voltage, current."""
    return [
        Frame(NOW_MS + 5_000 * k, state, None, voltage, current)
        for k, (state, voltage, current) in enumerate(shown, start=1)
    ]


LIVE, IDLE, CHARGING = ("fault", 390.0, 0.2), ("idle", 0.5, 0.0), ("charging", 390.0, 90.0)


@pytest.mark.parametrize(
    ("shown", "present"),
    [
        ([LIVE] * 3, True),
        ([LIVE] * 2, None),
        ([("fault", 60.0, 0.0)] * 3, False),
        ([("fault", 60.1, 0.0)] * 3, True),
        ([("idle", 390.0, 0.0)] * 3, True),
        ([LIVE, LIVE, IDLE], False),
        ([LIVE, LIVE, LIVE, IDLE], False),
        ([CHARGING, LIVE, LIVE, LIVE], True),
        ([LIVE, LIVE, CHARGING, LIVE, LIVE], None),
        ([("charging", 390.0, 0.0)] * 5, None),
        ([("idle", 390.0, 1.0)] * 3, None),
        ([("idle", 390.0, 0.99)] * 3, True),
        ([IDLE], False),
        ([], None),
    ],
)
def test_f_0101__frames_after_a_stop__tell(
    shown: list[tuple[str, float, float]], *, present: bool | None
) -> None:
    """Three frames over 60 V without current and without idle are a weld, two are not."""
    assert f_0101(AfterStop(NOW_MS, frames(*shown)), DC).present is present


def test_f_0101__paused_or_repeated_frames__do_not_count() -> None:
    """A pause keeps its contactor closed, and frames of one instant are one look at it."""
    live = frames(*[LIVE] * 3)
    paused = [frame._replace(state="idle", detail_state="paused") for frame in live]
    assert f_0101(AfterStop(NOW_MS, paused), DC).present is None
    again = [live[0], live[0]._replace(current_a=0.1), live[1]]
    assert f_0101(AfterStop(NOW_MS, again), DC).present is None


@pytest.mark.parametrize(
    ("limits", "temperature_c", "present"),
    [
        (AC, 65.0, None), (AC, 65.1, True), (AC, 60.1, None), (AC, 60.0, False),
        (DC, 75.0, None), (DC, 75.1, True), (DC, 70.1, None), (DC, 70.0, False), (DC, 66.0, False),
    ],
)  # fmt: skip
def test_f_0203__temperature__tells_by_the_model(
    limits: Any, temperature_c: float, *, present: bool | None
) -> None:
    """Over 65 °C on AC and 75 °C on DC is hot, 5 K below is not, between them nothing changes."""
    assert f_0203(Heat(1, temperature_c, NOW_MS, {}), limits).present is present


@pytest.mark.parametrize(("others_c", "alone"), [({2: 40.0}, True), ({2: 70.0}, False), ({}, None)])
def test_f_0203__other_connectors__are_told(others_c: dict[int, float], *, alone: bool) -> None:
    """It says whether only one connector is hot, and not where there is no other."""
    verdict = f_0203(Heat(1, 80.0, NOW_MS, others_c), DC)
    assert verdict.evidence["only_this_connector"] is alone


@pytest.mark.parametrize(
    ("ages_s", "raised_s", "present"),
    [
        ([10, 20], 700, True),
        ([10, 601], 700, False),
        ([599, 598], 700, True),
        ([], 599, None),
        ([], 600, False),
    ],
)
def test_f_0302__reconnects__end_a_storm(
    ages_s: list[int], raised_s: int, *, present: bool | None
) -> None:
    """A storm is over with fewer than two reconnects in ten minutes, and not before ten."""
    times_ms = [NOW_MS - 1_000 * age_s for age_s in ages_s]
    assert f_0302(times_ms, NOW_MS - 1_000 * raised_s, NOW_MS).present is present


def test_f_0301__online__is_over() -> None:
    """A device that is heard of has not lost its heartbeat."""
    assert f_0301(online=True, now_ms=NOW_MS).present is False
    assert f_0301(online=False, now_ms=NOW_MS).present is True


@pytest.mark.parametrize(
    ("changes", "present"),
    [
        ({}, False),
        ({"reported_profile_id": "other"}, True),
        ({"reported_hash": "cd"}, True),
        ({"reported_hash": "AB"}, False),
        ({"reported_hash": None}, False),
        ({"reported_profile_id": None}, False),
        ({"reported_profile_id": None, "reported_hash": None}, None),
        ({"reported_hash": "cd", "settled_ms": NOW_MS + 1}, None),
        ({"reported_hash": "cd", "settled_ms": NOW_MS}, True),
        ({"settled_ms": NOW_MS + 1}, False),
    ],
)
def test_f_0512__report__is_compared(changes: dict[str, Any], *, present: bool | None) -> None:
    """What is reported is compared with what was assigned, once that has had time to arrive."""
    running = RunningConfig(1, "cfg", "ab", NOW_MS - 1, "cfg", "ab", NOW_MS)
    assert f_0512(running._replace(**changes), NOW_MS).present is present


def minutes(*rpms: float | None) -> list[FanMinute]:
    """Minutes of a steady fan, None where there was no report."""
    return [
        FanMinute(NOW_MS + k * MINUTE_MS, rpm, rpm) for k, rpm in enumerate(rpms) if rpm is not None
    ]


@pytest.mark.parametrize(
    ("rpms", "present"),
    [
        ([1529.0] * 10, True),
        ([1529.0] * 9, None),
        ([1530.0] * 20, None),
        ([1000.0] * 9 + [1700.0], None),
        ([1000.0] * 5 + [1700.0] + [1000.0] * 9, None),
        ([1000.0] * 5 + [None] + [1000.0] * 4, None),
        ([1000.0] * 5 + [None] + [1000.0] * 5, True),
        ([1000.0] * 5 + [None] * 2 + [1000.0] * 5, True),
        ([1000.0] * 5 + [None] * 3 + [1000.0] * 5, None),
        ([1700.0] * 9 + [600.0] + [1700.0] * 2, False),
        ([1000.0] * 10 + [1620.0] * 2, False),
        ([1000.0] * 10 + [1619.0] * 2, None),
        ([1700.0], None),
        ([], None),
    ],
)
def test_f_0601__minutes__tell(rpms: Sequence[float | None], *, present: bool | None) -> None:
    """Ten slow minutes are a slow fan; gaps add nothing, and a single dip is none."""
    assert f_0601(minutes(*rpms), DC).present is present


def test_f_0601__minute_with_one_good_reading__is_not_slow() -> None:
    """All of a minute has to be slow; a wallbox without a cabinet fan is not judged."""
    mixed = [FanMinute(NOW_MS + k * MINUTE_MS, 900.0, 1_600.0) for k in range(15)]
    assert f_0601(mixed, DC).present is None
    assert f_0601(minutes(*[900.0] * 15), AC).present is None


@given(st.lists(st.one_of(st.none(), st.floats(0, 1_500)), min_size=1, max_size=40))
def test_f_0601__gaps__never_count_as_slow(rpms: list[float | None]) -> None:
    """However reports are missing, fewer than ten slow minutes are no slow fan."""
    found = minutes(*rpms)
    verdict = f_0601(found, DC)
    if verdict.present:
        assert len(found) >= 10
        assert verdict.evidence["slow_minutes"] <= len(found)


def test_merge_minutes__two_connectors__are_one_fan() -> None:
    """Both connectors of a unit tell of the same fan."""
    merged = merge_minutes(
        [(60, Extremes(5, 9, 7)), (0, Extremes(1, 2, 1)), (60, Extremes(4, 8, 8))]
    )
    assert merged == [FanMinute(0, 1, 2), FanMinute(60, 4, 9)]


@pytest.mark.parametrize("reason", [*sorted(CLEAN), None, "", "User-Request", " remote "])
def test_is_clean__meant_ends__are_clean(reason: str | None) -> None:
    """Ends that somebody meant are clean, however they are spelled, and so is no word at all."""
    assert is_clean(reason)


@pytest.mark.parametrize("reason", ["ev_disconnected", "power_loss", "x", 7, ["user"], {}])
def test_is_clean__other_ends__are_not(reason: Any) -> None:
    """Whatever else a charger gives as its reason is not."""
    assert not is_clean(reason)


@pytest.mark.parametrize(
    ("told_ms", "present"),
    [(None, True), (NOW_MS + 300_000, None), (NOW_MS - 300_001, True)],
)
def test_f_0805__charger_told_too__is_left_to_it(told_ms: int | None, *, present: bool) -> None:
    """What the charger told itself within five minutes of the end is not told again."""
    record = RecordTold("r", "ev_disconnected", NOW_MS - 600_000, NOW_MS, NOW_MS)
    assert f_0805(record, told_ms).present is present


@pytest.mark.parametrize(
    ("after_ms", "present"), [(0, None), (-60_000, None), (60_000, None), (60_001, True)]
)
def test_f_0805__another_fault_at_the_end__explains_it(
    after_ms: int, *, present: bool | None
) -> None:
    """A session that another fault stopped is that fault's matter."""
    record = RecordTold("r", "fault", NOW_MS - 600_000, NOW_MS, NOW_MS)
    assert f_0805(record, None, [NOW_MS + after_ms]).present is present


# ------------------------------------------------------------------ when it is over

IDLE_NOW = ConnectorNow(NOW_MS + 60_000, "idle", 0.0, 0.0, 30.0)


def condition(code: str, **changes: Any) -> Condition:
    """A fault of connector 1 that a charger told of."""
    fields: dict[str, Any] = dict.fromkeys(Condition._fields)
    fields |= {"code": code, "connector_id": 1, "found_by": "charger", "last_ms": NOW_MS}
    return Condition(**(fields | changes))


def now(**changes: Any) -> Now:
    """A device a minute later, well again."""
    fields: dict[str, Any] = {
        "now_ms": NOW_MS + 60_000,
        "online": True,
        "heartbeat_code": "",
        "connectors": {1: IDLE_NOW},
    }
    return Now(**(fields | changes))


def shows(**changes: Any) -> dict[int, ConnectorNow]:
    """Connector 1 as it shows itself."""
    return {1: IDLE_NOW._replace(**changes)}


SHUT_DOWN: dict[str, Any] = {"connectors": shows(state="fault")}
CASES: list[tuple[str, dict[str, Any], bool]] = [
    ("F-0421", {}, True),
    ("F-0421", {"connectors": shows(time_ms=NOW_MS + 59_999)}, False),
    ("F-0421", {"connectors": shows(state="fault")}, False),
    ("F-0421", {"heartbeat_code": "F-0421"}, False),
    ("F-0421", {"heartbeat_code": "F-0411"}, True),
    ("F-0421", {"connectors": {}}, False),
    ("X-17", {}, True),
    ("F-0101", {}, True),
    ("F-0101", {"connectors": shows(voltage_v=61.0)}, False),
    ("F-0101", {"connectors": shows(state="fault")}, False),
    ("F-0203", {"connectors": shows(temperature_c=70.0)}, True),
    ("F-0203", {"connectors": shows(temperature_c=70.1)}, False),
    ("F-0203", {"connectors": shows(temperature_c=None)}, True),
    ("F-0204", {"cabinet_c": 65.0, "cabinet_ms": NOW_MS}, True),
    ("F-0204", {"cabinet_c": 65.1, "cabinet_ms": NOW_MS}, False),
    ("F-0204", {"cabinet_c": 40.0, "cabinet_ms": NOW_MS - 1}, False),
    ("F-0204", SHUT_DOWN | {"cabinet_c": 40.0, "cabinet_ms": NOW_MS}, False),
    ("F-0204", {}, False),
    ("F-0204", {"connectors": shows(time_ms=NOW_MS + 600_000)}, True),
    ("F-0301", {}, True),
    ("F-0301", {"online": False}, False),
    ("F-0302", {"now_ms": NOW_MS + 599_999}, False),
    ("F-0302", {"now_ms": NOW_MS + 600_000}, True),
    ("F-0302", {"now_ms": NOW_MS + 600_000, "reconnects_ms": (NOW_MS + 1, NOW_MS + 2)}, False),
    ("F-0512", {}, False),
    ("F-0601", {}, False),
    ("F-0601", {"fan_good": True}, True),
    ("F-0702", {}, False),
    ("F-0702", {"connectors": shows(state="discharging")}, True),
]


@pytest.mark.parametrize(("code", "changes", "over"), CASES)
def test_is_over__each_code__by_its_own_rule(
    code: str, changes: dict[str, Any], *, over: bool
) -> None:
    """A condition ends by the rule of its code, with room between beginning and end."""
    assert is_over(condition(code), now(**changes), DC) is over


def test_is_over__only_a_heartbeat_told__ends_with_its_word() -> None:
    """What only heartbeats named is over when they name it no more, whatever frames show."""
    held = condition("F-0421", found_by="heartbeat", connector_id=0)
    assert not is_over(held, now(heartbeat_code="F-0421"), DC)
    assert is_over(held, now(connectors={}), DC)


# ------------------------------------------------------------------ what an alert says


FINDINGS = Findings(
    FaultDictionary.load(),
    Catalogue.load(),
    RunbookCatalogue.load(FaultDictionary.load()).covers,
)
POWER_UP, AC_POWER_UP = "charger-faulting-on-power-up", "ac-charger-faulting-on-power-up"
PREPARING, NO_FLOW = "connector-stuck-in-preparing", "v2g-discharge-no-flow"


@pytest.mark.parametrize(
    ("code", "model", "slug"),
    [
        *((code, "TP-DC180", POWER_UP) for code in ("F-0204", "F-0301", "F-0411")),
        *((code, "TP-DC360-V2G", POWER_UP) for code in ("F-0204", "F-0301", "F-0411")),
        *((code, "TP-AC22", AC_POWER_UP) for code in ("F-0204", "F-0301", "F-0411")),
        *((code, "TP-DC60", None) for code in ("F-0204", "F-0301", "F-0411")),
        *(("F-0421", model, PREPARING) for model in ("TP-AC22", "TP-DC60", "TP-DC180")),
        *((code, "TP-DC180-V2G", NO_FLOW) for code in ("F-0701", "F-0702")),
        *((code, "TP-DC180", None) for code in ("F-0701", "F-0702")),
        *((code, "TP-DC180", None) for code in ("F-0101", "F-0203", "F-0302", "F-0512", "F-0601")),
        ("F-0805", "TP-AC22", None),
        ("stuck_preparing", "TP-AC22", PREPARING),
        ("contactor_wear", "TP-AC22", None),
        ("X-17", "TP-DC180", None),
    ],
)
def test_runbook_for__code_and_model__is_the_first_that_covers_it(
    code: str, model: str, slug: str | None
) -> None:
    """The runbook is the dictionary's first that covers the model; the AC variant for AC units."""
    assert FINDINGS.runbook_for(code, device_of(model)) == slug


@pytest.mark.parametrize(
    ("model", "slug"),
    [("TP-DC180", POWER_UP), ("TP-AC22", AC_POWER_UP), ("TP-DC60", PREPARING)],
)
def test_runbook_for__contactor_at_power_up__is_that_of_power_up(model: str, slug: str) -> None:
    """F-0421 as a charger comes up is a matter of that, where the runbook covers the model."""
    assert FINDINGS.runbook_for("F-0421", device_of(model), at_power_up=True) == slug


def device_of(model: str) -> Device:
    """A device of a model."""
    device = Device(1, "dvc_1", "SN-1", "op", "site")
    device.model = model
    return device


@pytest.mark.parametrize(
    ("code", "severity"),
    [("F-0101", "critical"), ("F-0204", "critical"), ("F-0421", "high"), ("F-0203", "medium"),
     ("X-17", "medium")],
)  # fmt: skip
def test_severity_of__code__by_the_dictionary(code: str, severity: str) -> None:
    """Errors are high, warnings medium, weld and cabinet critical, the unknown medium."""
    assert FINDINGS.severity_of(code).value == severity
