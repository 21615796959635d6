"""What a device may be used for: which consents count, when, and on what firmware."""

import math
from typing import Any

import msgspec
import pytest

from tellus.consent.index import ConsentIndex
from tellus.consent.model import BIT, Consent, Place, Scope, Service, State, bits_of, services_in
from tellus.consent.model_withheld import without
from tellus.consent.rules import can_have_second_platform, effective, state_of
from tellus.kernel.permits import OPEN, Judged, Permit

GATE = "260420.0107"
PLACE = Place("dvc_1", "site_1", "op_1", "TP-DC180", GATE)
DIAGNOSTICS, FIRMWARE = BIT[Service.DIAGNOSTICS], BIT[Service.FIRMWARE]
EVERYTHING = bits_of(Service)


def consent(**changes: Any) -> Consent:
    """A consent for the device, for everything, from 100 on."""
    values: dict[str, Any] = {
        "consent_id": "cns_1",
        "scope": Scope.DEVICE,
        "scope_id": "dvc_1",
        "operator_id": "op_1",
        "customer": None,
        "granted_by": "Owner",
        "services": EVERYTHING,
        "evidence": None,
        "from_ms": 100,
        "to_ms": None,
        "created_ms": 50,
        "created_by": "sa_1",
    }
    return Consent(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "now_ms", "state"),
    [
        ({}, 99, State.NOT_YET),
        ({}, 100, State.ACTIVE),
        ({"to_ms": 200}, 199, State.ACTIVE),
        ({"to_ms": 200}, 200, State.EXPIRED),
        ({"revoked_ms": 150}, 120, State.REVOKED),
        ({"revoked_ms": 60, "to_ms": 200}, 300, State.REVOKED),
    ],
)
def test_state__of_a_consent__follows_from_its_times(
    changes: dict[str, Any], now_ms: int, state: State
) -> None:
    """It begins at from, is over at to, and what was revoked stays so."""
    assert state_of(consent(**changes), now_ms) is state


def test_effective__several_consents__are_taken_together_until_the_next_change() -> None:
    """Services add up; the next moment that counts is the nearest beginning or end."""
    held = [
        consent(services=DIAGNOSTICS, to_ms=500),
        consent(services=FIRMWARE, from_ms=300),
        consent(services=EVERYTHING, operator_id="op_2"),
        consent(services=EVERYTHING, revoked_ms=90),
    ]
    assert effective(held, "op_1", 50) == (0, 100)
    assert effective(held, "op_1", 100) == (DIAGNOSTICS, 300)
    assert effective(held, "op_1", 300) == (DIAGNOSTICS | FIRMWARE, 500)
    assert effective(held, "op_1", 500) == (FIRMWARE, math.inf)


@pytest.mark.parametrize(
    ("version", "can"),
    [
        ("260420.0107", True),
        ("260420.0108", True),
        ("270101.0001", True),
        ("260420.0106", False),
        ("251231.9999", False),
        ("3.2.0", False),
        ("99.0.0", False),
        ("", False),
        ("imported", False),
    ],
)
def test_gate__versions_of_both_schemes__are_told_apart(version: str, *, can: bool) -> None:
    """Only a dated build from the gate on is past it; nothing orders other texts against it."""
    assert can_have_second_platform(version) is can


def test_index__device_site_and_operator__are_covered_by_what_names_them() -> None:
    """What names another device, site or operator does not count; what is over is forgotten."""
    index = ConsentIndex()
    index.put(consent(consent_id="a", scope=Scope.SITE, scope_id="site_1", services=DIAGNOSTICS))
    index.put(consent(consent_id="b", scope=Scope.OPERATOR, scope_id="op_1", services=FIRMWARE))
    index.put(consent(consent_id="c", scope_id="dvc_2"))
    assert index.judge(PLACE, 100)[0] == DIAGNOSTICS | FIRMWARE
    assert index.judge(PLACE._replace(site_id="site_2"), 100)[0] == FIRMWARE
    assert index.covers_operator("op_1", Service.FIRMWARE, 100)
    assert not index.covers_operator("op_1", Service.DIAGNOSTICS, 100)
    index.put(consent(consent_id="b", scope=Scope.OPERATOR, scope_id="op_1", ended_ms=120))
    assert index.judge(PLACE, 120)[0] == DIAGNOSTICS
    index.keep_only(["c"])
    assert index.judge(PLACE, 120)[0] == 0
    assert len(index) == 1


def test_index__old_firmware__is_left_its_upgrade_unless_its_build_is_known() -> None:
    """A version that the release catalogue knows as a build from the gate on is past it."""
    index = ConsentIndex()
    index.put(consent())
    old = PLACE._replace(firmware_version="3.7.0")
    assert index.judge(old, 100)[0] == FIRMWARE
    index.builds = {("TP-DC180", "3.7.0"): GATE}
    assert index.judge(old, 100)[0] == EVERYTHING
    assert index.judge(old._replace(model="TP-AC22"), 100)[0] == FIRMWARE


class CountingJudge:
    """A judge that says the same until 200 and then nothing, and counts how often it is asked."""

    def __init__(self) -> None:
        self.changes = 0
        self.asked = 0

    def judge(self, holder: str, now_ms: int) -> Judged:
        assert holder == "device"
        self.asked += 1
        return (DIAGNOSTICS, 200) if now_ms < 200 else (0, math.inf)


def test_index__consent_read_before_it_ended__does_not_come_back() -> None:
    """What another read saw of a consent counts no more once its end was followed."""
    index = ConsentIndex()
    held = consent()
    index.put(held)
    index.put(msgspec.structs.replace(held, revoked_ms=150, ended_ms=150))
    index.put(held)
    assert len(index) == 0


def test_permit__between_changes__is_judged_once() -> None:
    """It is judged at its first use, at the moment it holds no longer, and when it was voided."""
    judge = CountingJudge()
    permit = Permit(0, judge, "device")
    assert [permit.allows(DIAGNOSTICS, now_ms) for now_ms in (100, 150, 199)] == [True] * 3
    assert judge.asked == 1
    assert not permit.allows(DIAGNOSTICS, 200)
    permit.void()
    assert permit.at(100) == DIAGNOSTICS
    assert (judge.asked, judge.changes) == (3, 1)


def test_open_permit__of_an_own_fleet__allows_everything_for_ever() -> None:
    """Nothing voids it."""
    OPEN.void()
    assert all(OPEN.allows(BIT[service], 10**15) for service in Service)


def test_services__as_bits__come_back_in_their_order() -> None:
    """Bits are stored, so each service keeps its own."""
    assert [BIT[service] for service in Service] == [1, 2, 4, 8, 16]
    assert services_in(bits_of([Service.FIRMWARE, Service.DIAGNOSTICS])) == [
        Service.DIAGNOSTICS,
        Service.FIRMWARE,
    ]


@pytest.mark.parametrize(
    ("numbers", "condition"),
    [
        ([], ""),
        ([7], "n <> 7"),
        ([3, 1, 2, 9], "NOT (n BETWEEN 1 AND 3) AND n <> 9"),
    ],
)
def test_without__device_numbers__become_few_conditions(numbers: list[int], condition: str) -> None:
    """Numbers in a row are named by their ends."""
    assert without("n", numbers) == condition
