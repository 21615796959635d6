"""The catalogue: no version of a model twice, ordered, withdrawn for good reason."""

from collections.abc import Awaitable, Callable

import pytest

from tellus.firmware import rules
from tellus.firmware.model import Channel, ReleaseFilter
from tellus.firmware.releases import ReleaseExists
from tellus.kernel.errors import InvalidParameter, NotFound
from tests.unit.firmware.conftest import BY, OPERATOR, FirmwareBench

Run = Callable[[Callable[[FirmwareBench], Awaitable[None]]], None]


def test_add_release__version_that_one_of_its_models_has__is_refused(run_bench: Run) -> None:
    """A model has a version once; another model may have the same, and the release is not split."""

    async def check(bench: FirmwareBench) -> None:
        first = await bench.release("3.2.0", models=("TP-DC180", "TP-DC60"))
        with pytest.raises(ReleaseExists) as refused:
            await bench.release("3.2.0", models=("TP-AC22", "TP-DC60"))
        assert refused.value.details["release_id"] == first.release_id
        await bench.release("3.2.0", models=("TP-AC22",))
        total, found = await bench.releases.list_releases(ReleaseFilter(model="TP-AC22"), 0, 20)
        assert (total, found[0].models) == (1, ("TP-AC22",))

    run_bench(check)


def test_list_releases__of_both_schemes__are_newest_first_within_each(run_bench: Run) -> None:
    """The order is that of versions, not of texts or of entry; filters admit what fits."""

    async def check(bench: FirmwareBench) -> None:
        for version in ("3.10.0", "260420.0107", "3.9.0", "3.10.0-rc.1", "260101.0200"):
            await bench.release(version)
        await bench.release("4.0.0", channel=Channel.BETA)
        _, found = await bench.releases.list_releases(ReleaseFilter(), 0, 20)
        assert [release.firmware_version for release in found] == [
            "4.0.0", "3.10.0", "3.10.0-rc.1", "3.9.0", "260420.0107", "260101.0200",
        ]  # fmt: skip
        stable = ReleaseFilter(channel=Channel.STABLE)
        total, page = await bench.releases.list_releases(stable, 1, 2)
        assert (total, [one.firmware_version for one in page]) == (5, ["3.10.0-rc.1", "3.9.0"])

    run_bench(check)


@pytest.mark.parametrize(
    "changes",
    [
        {"firmware_version": "latest"},
        {"platform_build": "3.2.0"},
        {"url": "http://firmware.example/x.bin"},
        {"url": "ftp://firmware.example/x.bin"},
        {"url": "https://user:word@firmware.example/x.bin"},
        {"url": "https:///x.bin"},
        {"url": "http://[::1"},
    ],
)
def test_add_release__unreadable_version_or_unsafe_address__is_refused(
    run_bench: Run, changes: dict[str, str]
) -> None:
    """Chargers are sent to HTTPS, and versions can be ordered."""

    async def check(bench: FirmwareBench) -> None:
        with pytest.raises(InvalidParameter) as refused:
            await bench.release(**changes)
        assert refused.value.details["field"] in changes

    run_bench(check)


@pytest.mark.parametrize("host", ["127.0.0.1:8700", "localhost", "[::1]:8700"])
def test_is_safe_url__plain_http_on_this_machine__is_for_sandboxes(host: str) -> None:
    """Loopback may be plain."""
    assert rules.is_safe_url(f"http://{host}/x.bin")


def test_change_release__withdrawn_and_restored__keeps_when_and_tells(run_bench: Run) -> None:
    """Withdrawing again keeps the first moment; each step is in the audit log."""

    async def check(bench: FirmwareBench) -> None:
        release = await bench.release()
        first_ms = bench.clock.now_ms()
        await bench.withdraw(release)
        bench.clock.advance(60)
        await bench.withdraw(release)
        held = await bench.releases.get_release(release.release_id)
        assert (held.withdrawn_ms, held.withdrawn_reason) == (first_ms, "bad")
        restored = await bench.releases.change_release(
            release.release_id, BY, bench.clock.now_ms(), withdrawn=False, channel=Channel.BETA
        )
        assert not restored.is_withdrawn
        assert restored.withdrawn_reason is None
        actions = [row[0] for row in await bench.rows("SELECT action FROM audit_log")]
        assert actions == [
            "firmware_release.created",
            "firmware_release.withdrawn",
            "firmware_release.changed",
            "firmware_release.restored",
        ]
        with pytest.raises(NotFound):
            await bench.releases.change_release("rel_none", BY, 0)

    run_bench(check)


def test_list_standings__devices_of_a_model__are_counted_against_the_latest(
    run_bench: Run,
) -> None:
    """Behind, far behind and unknown are told apart; builds count as the version they are of."""

    async def check(bench: FirmwareBench) -> None:
        bench.directory.remove(bench.device(1))
        await bench.release("3.4.0", platform_build="260420.0107")
        await bench.release("3.1.0", platform_build="251001.0100")
        await bench.release("4.0.0", channel=Channel.BETA)
        versions = ["3.4.0", "260420.0107", "3.3.0", "3.1.0", "251001.0100", "imported", "3.5.0"]
        for number, version in enumerate(versions, 1):
            bench.add_device(number, version=version)
        bench.add_device(20, model="TP-AC22")
        bench.add_device(30, operator_id="op_2")
        alone, held = await bench.releases.list_standings(OPERATOR, bench.clock.now_ms())
        assert (alone.model, alone.latest, alone.devices) == ("TP-AC22", None, 1)
        assert held.latest is not None
        assert held.latest.firmware_version == "3.4.0"
        assert (held.devices, held.current, held.behind, held.far_behind, held.unknown) == (
            7, 3, 3, 2, 1,
        )  # fmt: skip

    run_bench(check)


def test_latest_stable__withdrawn__is_the_one_before(run_bench: Run) -> None:
    """What was withdrawn is nobody's latest."""

    async def check(bench: FirmwareBench) -> None:
        await bench.release("3.2.0")
        await bench.withdraw(await bench.release("3.3.0"))
        [standing] = await bench.releases.list_standings(OPERATOR, bench.clock.now_ms())
        assert standing.latest is not None
        assert standing.latest.firmware_version == "3.2.0"

    run_bench(check)
