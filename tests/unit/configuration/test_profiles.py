"""Profiles: kept, changed into new versions, refused, deleted."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from tellus.configuration.model import ProfileChange
from tellus.configuration.profiles import CONTENT_LARGEST, NameTaken, ProfileAssigned
from tellus.configuration.rules import canonical_json, hash_of
from tellus.kernel.errors import InvalidParameter, NotFound
from tests.unit.configuration.conftest import BY, OPERATOR, ConfigBench

Run = Callable[[Callable[[ConfigBench], Any]], Any]


def test_hash__of_values__is_that_of_their_canonical_json() -> None:
    """Keys in order, no blanks, whole numbers without a fraction, text as it is; then SHA-256."""
    text = '{"a":{"x":[1,2.5,true,null],"é":"ü"},"b":10}'
    values = {"b": 10.0, "a": {"é": "ü", "x": [1.0, 2.5, True, None]}}
    assert canonical_json(values) == text
    assert hash_of(text) == hashlib.sha256(text.encode()).hexdigest()


def test_profile__other_values__are_a_new_version_and_the_old_one_is_kept(run_bench: Run) -> None:
    """The hash follows the values alone; what a profile said before can be read back."""

    async def check(bench: ConfigBench) -> None:
        made = (await bench.profile()).profile
        whose = (made.profile_id, OPERATOR)
        change = ProfileChange(name="Renamed", note="why")
        same = await bench.profiles.change_profile(*whose, change, BY, 1)
        assert (same.profile.version, same.profile.hash) == (1, made.hash)
        assert (same.profile.name, same.profile.note) == ("Renamed", "why")
        change = ProfileChange(values={"heartbeat_s": 60})
        other = await bench.profiles.change_profile(*whose, change, BY, 2)
        assert (other.profile.version, other.content) == (2, '{"heartbeat_s":60}')
        assert other.profile.hash != made.hash
        total, versions = await bench.profiles.list_versions(*whose, 0, 10)
        assert (total, [one.version for one in versions]) == (2, [2, 1])
        assert versions[1].hash == made.hash
        again = await bench.profiles.change_profile(*whose, change, BY, 3)
        assert again.profile.version == 2
        cleared = await bench.profiles.change_profile(*whose, ProfileChange(note=""), BY, 4)
        assert cleared.profile.note is None

    run_bench(check)


def test_profile__name_of_another__is_refused(run_bench: Run) -> None:
    """Two profiles of an operator never share a name; that of a deleted one is free."""

    async def check(bench: ConfigBench) -> None:
        first = (await bench.profile("One")).profile
        second = (await bench.profile("Two")).profile
        with pytest.raises(NameTaken):
            await bench.profile("One")
        change = ProfileChange(name="One")
        with pytest.raises(NameTaken):
            await bench.profiles.change_profile(second.profile_id, OPERATOR, change, BY, 1)
        await bench.profiles.delete_profile(first.profile_id, OPERATOR, BY, 2)
        await bench.profiles.change_profile(second.profile_id, OPERATOR, change, BY, 3)

    run_bench(check)


def test_profile__values_too_large__are_refused(run_bench: Run) -> None:
    """Values have a bound in bytes, in names, and in the length of a name."""

    async def check(bench: ConfigBench) -> None:
        for values in (
            {"text": "x" * CONTENT_LARGEST},
            {f"key{number}": 0 for number in range(501)},
            {"k" * 129: 1},
            {"": 1},
        ):
            with pytest.raises(InvalidParameter) as refused:
                await bench.profile(values=values)
            assert refused.value.details["field"] == "values"

    run_bench(check)


def test_profile__values_name_a_vehicle__are_kept_masked(run_bench: Run) -> None:
    """A VIN in values, name or note is stars in store, hash and answers."""

    async def check(bench: ConfigBench) -> None:
        vin = "WVWZZZ1JZXW000001"
        view = await bench.profile(f"For {vin}", values={"allow": [vin]}, note=vin)
        assert (view.profile.name, view.profile.note) == (
            "For WVW**********0001",
            "WVW**********0001",
        )
        assert view.content == '{"allow":["WVW**********0001"]}'
        assert view.profile.hash == hash_of(view.content)
        (row,) = await bench.rows("SELECT content FROM config_profile_versions")
        assert row == (view.content,)

    run_bench(check)


def test_profile__assigned__cannot_be_deleted(run_bench: Run) -> None:
    """Only what no device is assigned can go; then it exists for nobody."""

    async def check(bench: ConfigBench) -> None:
        profile_id = (await bench.profile()).profile.profile_id
        await bench.assign(profile_id)
        with pytest.raises(ProfileAssigned):
            await bench.profiles.delete_profile(profile_id, OPERATOR, BY, 1)
        view = await bench.profiles.get_profile(profile_id, OPERATOR)
        assert view.devices == 1
        now_ms = bench.clock.now_ms()
        await bench.node.configuration.unassign("dvc_1", OPERATOR, now_ms, BY)
        await bench.profiles.delete_profile(profile_id, OPERATOR, BY, 2)
        with pytest.raises(NotFound):
            await bench.profiles.get_profile(profile_id, OPERATOR)
        with pytest.raises(NotFound):
            await bench.assign(profile_id)

    run_bench(check)


def test_profile__of_another_operator__does_not_exist(run_bench: Run) -> None:
    """Reading, changing and deleting what is another operator's finds nothing."""

    async def check(bench: ConfigBench) -> None:
        profile_id = (await bench.profile()).profile.profile_id
        with pytest.raises(NotFound):
            await bench.profiles.get_profile(profile_id, "op_2")
        with pytest.raises(NotFound):
            await bench.profiles.change_profile(profile_id, "op_2", ProfileChange(), BY, 1)
        with pytest.raises(NotFound):
            await bench.profiles.delete_profile(profile_id, "op_2", BY, 1)
        assert await bench.profiles.list_profiles("op_2", None, 0, 10) == (0, [])

    run_bench(check)
