"""Who takes part in a rollout, in which order, in which wave."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tellus.firmware.model import Channel, Release
from tellus.firmware.model_rollouts import Member, Wave
from tellus.firmware.rules_cohort import Candidate, check_waves, choose_members, wave_ends
from tellus.kernel.errors import InvalidParameter

NOW_MS = 1_742_031_000_000


def wave(**size: Any) -> Wave:
    """A wave of that size."""
    return Wave(success_percent=90, max_failure_percent=10, **size)


def release(version: str = "3.2.0", model: str = "A", **changes: Any) -> Release:
    """A release for one model."""
    values: dict[str, Any] = {
        "release_id": f"rel_{version}_{model}",
        "models": (model,),
        "firmware_version": version,
        "platform_build": None,
        "url": "https://firmware.example/x",
        "sha256": "0" * 64,
        "size_bytes": 1,
        "channel": Channel.STABLE,
        "notes": None,
        "created_ms": NOW_MS,
        "updated_ms": NOW_MS,
    }
    return Release(**(values | changes))


def choose(
    candidates: list[Candidate], *waves: Wave, rollout_id: str = "rol_1", **options: Any
) -> list[Member]:
    """The members of a rollout to 3.2.0 over these devices."""
    given: dict[str, Any] = {
        "firmware_version": "3.2.0",
        "taken": (),
        "allow_downgrade": False,
        "now_ms": NOW_MS,
    }
    releases = [release(), release("3.1.0"), release("3.3.0")]
    return choose_members(rollout_id, candidates, releases, waves or (wave(),), **(given | options))


def fleet(count: int, version: str = "3.1.0", model: str = "A") -> list[Candidate]:
    """So many devices of a model with one version."""
    return [Candidate(no, f"dvc_{no}", model, version) for no in range(count)]


def test_choose_members__same_rollout__has_the_same_order_every_time() -> None:
    """The rollout's id makes the order, not the devices' numbers or that of the question."""
    devices = fleet(40)
    one = [member.device_id for member in choose(devices)]
    assert [member.device_id for member in choose(devices[::-1])] == one
    assert one != [device.device_id for device in devices]
    other = [member.device_id for member in choose(devices, rollout_id="rol_2")]
    assert other != one
    assert sorted(other) == sorted(one)


@given(
    shares=st.lists(st.integers(1, 25), min_size=1, max_size=4),
    devices=st.integers(0, 300),
)
def test_wave_ends__shares_of_a_cohort__are_rounded_up_and_never_too_much(
    shares: list[int], devices: int
) -> None:
    """Waves follow each other without a gap, within the cohort, none short of its share."""
    ends = wave_ends([wave(percent=float(share)) for share in shares], devices)
    assert ends == sorted(ends)
    assert not ends or ends[-1] <= devices
    total = 0
    for share, end in zip(shares, ends, strict=True):
        total += share
        assert end * 100 >= total * devices
        assert (end - 1) * 100 < total * devices or end == 0


@pytest.mark.parametrize(
    ("waves", "devices", "ends"),
    [
        ([wave(count=5), wave(percent=20), wave()], 100, [5, 25, 100]),
        ([wave(count=5), wave()], 3, [3, 3]),
        ([wave(percent=1), wave(percent=99)], 10, [1, 10]),
        ([wave()], 0, [0]),
        ([wave(count=2)], 10, [2]),
    ],
)
def test_wave_ends__numbers_shares_and_the_rest__add_up(
    waves: list[Wave], devices: int, ends: list[int]
) -> None:
    """A wave has a number, a share of the whole cohort, or all that is left."""
    assert wave_ends(waves, devices) == ends


def test_choose_members__waves_that_do_not_cover_all__leave_the_others_out() -> None:
    """A pilot of two is a rollout; who takes no part is listed with why."""
    members = choose(fleet(5), wave(count=2))
    assert [member.wave for member in members] == [0, 0, None, None, None]
    assert {member.reason for member in members[2:]} == {"beyond_waves"}


@pytest.mark.parametrize(
    ("candidate", "options", "reason"),
    [
        (Candidate(1, "dvc_1", "A", "3.2.0"), {}, "already_current"),
        (Candidate(1, "dvc_1", "A", "3.3.0"), {}, "newer"),
        (Candidate(1, "dvc_1", "A", "260420.0107"), {}, "not_comparable"),
        (Candidate(1, "dvc_1", "B", "3.1.0"), {}, "no_release"),
        (Candidate(1, "dvc_1", "A", "3.1.0"), {"taken": {1}}, "in_another_rollout"),
        (Candidate(1, "dvc_1", "A", "3.3.0"), {"allow_downgrade": True}, None),
        (Candidate(1, "dvc_1", "A", "imported"), {"allow_downgrade": True}, None),
        (Candidate(1, "dvc_1", "A", "3.2.0"), {"allow_downgrade": True}, "already_current"),
        (Candidate(1, "dvc_1", "A", "3.1.0"), {}, None),
    ],
)
def test_choose_members__device_that_does_not_fit__is_skipped_with_the_reason(
    candidate: Candidate, options: dict[str, Any], reason: str | None
) -> None:
    """Skipped devices are part of the account, and count in no wave."""
    [member] = choose([candidate], **options)
    assert member.reason == reason
    assert (member.wave is None) is (reason is not None)


@pytest.mark.parametrize(
    ("waves", "field"),
    [
        ([wave(percent=10, count=1)], "waves.0.count"),
        ([wave(), wave(percent=10)], "waves.1"),
        ([wave(percent=60), wave(percent=41)], "waves"),
    ],
)
def test_check_waves__that_contradict_themselves__are_refused(
    waves: list[Wave], field: str
) -> None:
    """Both share and number, something after the rest, or more than all."""
    with pytest.raises(InvalidParameter) as refused:
        check_waves(waves)
    assert refused.value.details["field"] == field
