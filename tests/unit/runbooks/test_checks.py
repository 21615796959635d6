"""What checks make of what was read: table in, verdict and finding out."""

from typing import Any

import pytest

from tellus.runbooks import rules_power, rules_preparing, rules_v2g
from tellus.runbooks.model import CheckResult, Vehicle
from tellus.runbooks.rules_power import FaultSeen, Fellow
from tellus.runbooks.rules_preparing import ConnectorSeen, Moment
from tellus.runbooks.rules_v2g import DischargeSeen, Listed

NOW_MS = 1_700_000_000_000
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
SUPPLY = {
    "nominal_v": 230.0, "tolerance_pct": 10.0, "balance_pct": 5.0, "phases_least": 3.0,
    "fresh_s": 600.0,
}  # fmt: skip
AC_SUPPLY = SUPPLY | {"phases_least": 1.0}
LOG = {"events": 10.0, "cluster": 3.0, "power_up_h": 24.0}
MINORS = {"minors_behind": 3.0}
CLUSTER = {"days": 7.0, "devices": 3.0, "sites": 2.0}
AUTH = {"before_s": 900.0, "history_days": 7.0}
CYCLES = {"recurrences": 3.0, "days": 7.0}
FLOOR = {"soc_floor_pct": 20.0}
GATES = {"iso15118_20": "260420.0107", "picky_vehicles": "4.1.0"}


def gist(result: CheckResult) -> tuple[str, str | None]:
    """A verdict and its finding."""
    return result.verdict.value, result.finding


def phases(*volts: float | None) -> list[tuple[float, float] | None]:
    """Phases of a supply."""
    return [None if volt is None else (volt, 1.0) for volt in volts]


def faults(*codes: str, ago_ms: int = MINUTE_MS) -> list[FaultSeen]:
    """Fault events, newest first."""
    return [FaultSeen(NOW_MS - ago_ms - k, 1, code, "device") for k, code in enumerate(codes)]


@pytest.mark.parametrize(
    ("volts", "age_s", "thresholds", "wanted"),
    [
        ((230, 230, 230), 5, SUPPLY, ("passed", None)),
        ((207, 207, 207), 5, SUPPLY, ("passed", None)),
        ((253, 253, 253), 5, SUPPLY, ("passed", None)),
        ((206, 230, 230), 5, SUPPLY, ("failed", "voltage_out_of_range")),
        ((230, 254, 230), 5, SUPPLY, ("failed", "voltage_out_of_range")),
        ((0, 230, 230), 5, SUPPLY, ("failed", "voltage_out_of_range")),
        ((0, 0, 0), 5, SUPPLY, ("failed", "voltage_out_of_range")),
        ((241.4, 230, 218.6), 5, SUPPLY, ("passed", None)),
        ((241.6, 230, 218.4), 5, SUPPLY, ("failed", "unbalanced")),
        ((230, 230, None), 5, SUPPLY, ("failed", "phase_missing")),
        ((230, None, None), 5, SUPPLY, ("failed", "phase_missing")),
        ((230, None, None), 5, AC_SUPPLY, ("passed", None)),
        ((230, 230, None), 5, AC_SUPPLY, ("failed", "phase_missing")),
        ((200, None, None), 5, AC_SUPPLY, ("failed", "voltage_out_of_range")),
        ((230, 230, 230), 601, SUPPLY, ("inconclusive", "no_recent_phases")),
        ((None, None, None), 5, SUPPLY, ("inconclusive", "no_recent_phases")),
        ((), None, SUPPLY, ("inconclusive", "no_recent_phases")),
    ],
)
def test_judge_supply__voltages_of_the_newest_frame__decide(
    volts: tuple[float | None, ...],
    age_s: float | None,
    thresholds: dict[str, float],
    wanted: tuple[str, str | None],
) -> None:
    """All three there, within 10% of 230 V, balanced to 5%; an old frame says nothing."""
    assert gist(rules_power.judge_supply(phases(*volts), age_s, thresholds)) == wanted


@pytest.mark.parametrize(
    ("log", "wanted"),
    [
        ([], ("passed", None)),
        (faults("F-0411"), ("failed", "F-0411")),
        (faults("F-0421", "F-0421"), ("failed", "other_faults")),
        (faults("F-0421", "F-0421", "F-0421"), ("failed", "F-0421")),
        (faults("F-0421", "F-0411", "F-0421", "F-0421"), ("failed", "F-0421")),
        (faults("F-0204"), ("failed", "F-0204")),
        (faults("F-0421", "F-0421", "F-0421", "F-0204"), ("failed", "F-0204")),
        (faults("F-0204", ago_ms=25 * HOUR_MS), ("failed", "other_faults")),
        (faults("F-0701"), ("failed", "v2g")),
        (faults("F-0411", "F-0702"), ("failed", "v2g")),
        (faults(*["1001"] * 10, "F-0411"), ("failed", "other_faults")),
        (faults(*["1001"] * 9, "F-0411"), ("failed", "F-0411")),
    ],
)
def test_judge_faults__newest_ten__say_where_to_look(
    log: list[FaultSeen], wanted: tuple[str, str | None]
) -> None:
    """Heat first, then V2G, then three F-0421 of the ten, then a silent module."""
    result = rules_power.judge_faults(log, NOW_MS, LOG)
    assert gist(result) == wanted
    assert len(result.evidence["faults"]) == min(10, len(log))


@pytest.mark.parametrize(
    ("running", "latest", "wanted"),
    [
        ({"3.1.0"}, {"3.1.0"}, ("passed", None)),
        ({"3.2.0"}, {"3.1.0"}, ("passed", None)),
        ({"3.0.9"}, {"3.1.0"}, ("passed", "behind")),
        ({"3.1.0"}, {"3.3.0"}, ("passed", "behind")),
        ({"3.1.0"}, {"3.4.0"}, ("failed", "far_behind")),
        ({"2.9.0"}, {"3.0.0"}, ("failed", "far_behind")),
        ({"260101.0001"}, {"3.1.0"}, ("inconclusive", "not_comparable")),
        ({"260101.0001"}, {"3.1.0", "260420.0107"}, ("passed", "behind")),
        ({"260420.0107", "3.0.0"}, {"3.4.0"}, ("failed", "far_behind")),
        ({"custom"}, {"3.1.0"}, ("inconclusive", "not_comparable")),
        ({"3.1.0"}, set(), ("inconclusive", "not_comparable")),
    ],
)
def test_judge_firmware__names_in_both_schemes__are_compared_within_one(
    running: set[str], latest: set[str], wanted: tuple[str, str | None]
) -> None:
    """Three minors behind, or a lower major, is far; what cannot be compared says nothing."""
    assert gist(rules_power.judge_firmware(running, latest, MINORS)) == wanted


@pytest.mark.parametrize(
    ("age_ms", "online", "log", "wanted"),
    [
        (59_999, True, [], ("passed", None)),
        (60_000, True, [], ("failed", "not_back")),
        (1_000, False, [], ("failed", "not_back")),
        (None, True, [], ("failed", "not_back")),
        (1_000, True, faults("F-0411"), ("failed", "faulted_again")),
    ],
)
def test_judge_return__heartbeat_status_and_faults__decide(
    age_ms: int | None, log: list[FaultSeen], wanted: tuple[str, str | None], *, online: bool
) -> None:
    """A heartbeat under 60 s old, online, and no new fault."""
    heartbeat_ms = None if age_ms is None else NOW_MS - age_ms
    thresholds = {"heartbeat_s": 60.0}
    result = rules_power.judge_return(heartbeat_ms, log, (NOW_MS, online), thresholds)
    assert gist(result) == wanted


def fellow(number: int, site: str, firmware: str = "3.0.1") -> Fellow:
    """A device that had the fault."""
    return Fellow(f"dvc_{number}", site, firmware, 3)


@pytest.mark.parametrize(
    ("fellows", "wanted"),
    [
        ([fellow(1, "a"), fellow(2, "a"), fellow(3, "b")], ("failed", "firmware")),
        ([fellow(1, "a"), fellow(2, "b")], ("passed", None)),
        ([fellow(1, "a"), fellow(2, "a"), fellow(3, "a")], ("passed", None)),
        ([fellow(1, "a"), fellow(2, "b", "3.1.0"), fellow(3, "c", "2.0.0")], ("passed", None)),
        ([fellow(2, "a"), fellow(3, "b"), fellow(4, "c")], ("passed", "not_seen_here")),
        ([], ("passed", "not_seen_here")),
    ],
)
def test_judge_cluster__devices_and_sites_of_one_version__decide(
    fellows: list[Fellow], wanted: tuple[str, str | None]
) -> None:
    """At least three devices on at least two sites with the firmware of this one."""
    assert gist(rules_power.judge_cluster(fellows, "dvc_1", "3.0.1", CLUSTER)) == wanted


def moment(event_type: str, ago_ms: int) -> Moment:
    """An event of a connector."""
    return Moment(event_type, NOW_MS - ago_ms)


@pytest.mark.parametrize(
    ("events", "wanted"),
    [
        ([moment("plug_in", MINUTE_MS), moment("auth_ok", 2 * MINUTE_MS)], ("passed", None)),
        ([moment("plug_in", 2 * MINUTE_MS), moment("auth_ok", MINUTE_MS)], ("passed", None)),
        (
            [moment("plug_in", MINUTE_MS), moment("auth_ok", 17 * MINUTE_MS)],
            ("failed", "auth_absent"),
        ),
        (
            [moment("plug_in", MINUTE_MS), moment("auth_failed", MINUTE_MS)],
            ("failed", "auth_failed"),
        ),
        ([moment("plug_in", MINUTE_MS)], ("inconclusive", "never_authenticates")),
        ([], ("inconclusive", "never_authenticates")),
    ],
)  # fmt: skip
def test_judge_authentication__events_around_the_plug_in__decide(
    events: list[Moment], wanted: tuple[str, str | None]
) -> None:
    """`auth_ok` near the plug-in passes; without any for days there may be none to expect."""
    assert gist(rules_preparing.judge_authentication(events, NOW_MS, AUTH)) == wanted


@pytest.mark.parametrize(
    ("state", "ago_ms", "fault_days", "earlier", "wanted"),
    [
        ("charging", 0, [], 0, ("passed", "intermittent")),
        ("charging", 0, [1, 2], 0, ("passed", "intermittent")),
        ("charging", 0, [1, 2, 6], 0, ("passed", "recurring")),
        ("charging", 0, [1, 2, 8], 0, ("passed", "intermittent")),
        ("charging", 0, [], 2, ("passed", "recurring")),
        ("charging", MINUTE_MS, [], 0, ("failed", "not_charging")),
        ("idle", 0, [], 0, ("failed", "not_charging")),
        (None, 0, [], 0, ("failed", "not_charging")),
    ],
)
def test_judge_second_attempt__state_and_past__decide(
    state: str | None,
    ago_ms: int,
    fault_days: list[int],
    earlier: int,
    wanted: tuple[str, str | None],
) -> None:
    """It charges after the second start; three times within seven days is recurring."""
    seen = None if state is None else ConnectorSeen(state, None, NOW_MS - ago_ms)
    times = [NOW_MS - days * DAY_MS + 1 for days in fault_days]
    result = rules_preparing.judge_second_attempt(seen, NOW_MS, (times, earlier, NOW_MS), CYCLES)
    assert gist(result) == wanted


@pytest.mark.parametrize(
    ("seen", "wanted"),
    [
        (ConnectorSeen("idle", None, NOW_MS), ("passed", None)),
        (ConnectorSeen("charging", None, NOW_MS), ("passed", None)),
        (ConnectorSeen("idle", "preparing", NOW_MS), ("failed", "still_stuck")),
        (ConnectorSeen("fault", None, NOW_MS), ("failed", "still_stuck")),
        (ConnectorSeen("idle", None, NOW_MS - 1), ("inconclusive", "no_sample_since")),
        (None, ("inconclusive", "no_sample_since")),
    ],
)
def test_judge_reset__sample_after_it__decides(
    seen: ConnectorSeen | None, wanted: tuple[str, str | None]
) -> None:
    """Neither preparing nor fault in a sample that is newer than the reset."""
    assert gist(rules_preparing.judge_reset(seen, NOW_MS)) == wanted


def discharge(status: str, **result: Any) -> DischargeSeen:
    """A discharge command."""
    return DischargeSeen("cmd_1", status, NOW_MS, None, result, None)


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        (discharge("queued"), ("failed", "not_delivered")),
        (discharge("failed", reason="expired"), ("failed", "not_delivered")),
        (discharge("failed", reason="no_response"), ("failed", "not_delivered")),
        (discharge("failed", reason="rejected"), ("failed", "rejected")),
        (discharge("failed", message="BMS"), ("failed", "rejected")),
        (discharge("accepted"), ("passed", None)),
        (discharge("completed"), ("passed", None)),
        (discharge("failed", reason="cancelled"), ("inconclusive", "no_command")),
        (None, ("inconclusive", "no_command")),
    ],
)
def test_judge_delivery__status_of_the_command__decides(
    command: DischargeSeen | None, wanted: tuple[str, str | None]
) -> None:
    """Queued or lapsed was not delivered; failed was rejected; accepted was delivered."""
    assert gist(rules_v2g.judge_delivery(command, [], online=True)) == wanted


CAR = Vehicle("Acme", "Roadster", "2.0.0")
OLD_CAR = Vehicle("Acme", "Roadster", "1.9.9")
YES = Listed(has_entries=True, is_listed=True, min_firmware="2.0.0")
NO = Listed(has_entries=True, is_listed=False)
EMPTY = Listed(has_entries=False, is_listed=False)


@pytest.mark.parametrize(
    ("vehicle", "listed", "soc", "refused", "wanted"),
    [
        (CAR, YES, (60, None), False, ("passed", None)),
        (CAR, YES, (21, None), False, ("passed", None)),
        (CAR, YES, (20, None), False, ("failed", "soc_below_floor")),
        (CAR, YES, (40, 40.0), False, ("failed", "soc_below_floor")),
        (CAR, YES, (15, 10.0), False, ("failed", "soc_below_floor")),
        (CAR, YES, (None, None), False, ("inconclusive", "not_known")),
        (CAR, NO, (60, None), False, ("failed", "not_listed")),
        (CAR, EMPTY, (60, None), False, ("inconclusive", "not_known")),
        (OLD_CAR, YES, (60, None), False, ("failed", "vehicle_firmware")),
        (Vehicle("Acme", "Roadster"), YES, (60, None), False, ("inconclusive", "not_known")),
        (Vehicle(), NO, (60, None), False, ("inconclusive", "not_known")),
        (CAR, YES, (60, None), True, ("failed", "F-0702")),
        (Vehicle(), EMPTY, (None, None), True, ("failed", "F-0702")),
        (CAR, YES, (10, None), True, ("failed", "soc_below_floor")),
    ],
)  # fmt: skip
def test_judge_vehicle__list_charge_and_refusal__decide(
    vehicle: Vehicle,
    listed: Listed,
    soc: tuple[int | None, float | None],
    wanted: tuple[str, str | None],
    *,
    refused: bool,
) -> None:
    """Listed with its firmware and above the floor; a refusal is the answer, its cause first."""
    log = faults("F-0702") if refused else []
    assert gist(rules_v2g.judge_vehicle(vehicle, listed, soc, log, FLOOR)) == wanted


@pytest.mark.parametrize(
    ("word", "log", "wanted"),
    [
        ("synced", [], ("passed", None)),
        ("syncing", [], ("failed", "not_synced")),
        ("lost", [], ("failed", "not_synced")),
        (None, [], ("inconclusive", "no_component_health")),
        ("synced", faults("F-0701"), ("failed", "F-0701")),
    ],
)
def test_judge_sync__log_and_last_word__decide(
    word: str | None, log: list[FaultSeen], wanted: tuple[str, str | None]
) -> None:
    """F-0701 in the log counts; else the inverter has to say `synced`."""
    assert gist(rules_v2g.judge_sync(word, log)) == wanted


DROSS = Vehicle("Free2move", "Dross One")


@pytest.mark.parametrize(
    ("running", "vehicle", "wanted"),
    [
        ({"260420.0107"}, CAR, ("passed", None)),
        ({"260420.0106"}, CAR, ("failed", "firmware_too_old")),
        ({"4.1.0"}, CAR, ("inconclusive", "not_comparable")),
        ({"4.1.0", "260501.0001"}, DROSS, ("passed", None)),
        ({"4.0.0", "260501.0001"}, DROSS, ("failed", "picky_vehicle")),
        ({"4.0.0", "260501.0001"}, CAR, ("passed", None)),
        ({"260501.0001"}, DROSS, ("inconclusive", "not_comparable")),
        ({"4.0.0"}, DROSS, ("failed", "picky_vehicle")),
        ({"4.0.0", "260101.0001"}, DROSS, ("failed", "firmware_too_old")),
    ],
)
def test_judge_protocol__build_and_vehicle__decide(
    running: set[str], vehicle: Vehicle, wanted: tuple[str, str | None]
) -> None:
    """15118-20 from its build on; a DrossOne needs 4.1.0 besides."""
    assert gist(rules_v2g.judge_protocol(running, vehicle, GATES, ["DrossOne"])) == wanted
