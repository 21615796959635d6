"""The watch over charge points: each change is told once, whatever happens in between."""

from pathlib import Path

from tests.unit.legacy.bench import PEER, LegacyBench, run_bench


async def told(bench: LegacyBench) -> list[str]:
    """The statuses of connector 1 that were owed, oldest first."""
    pushes = await bench.owed("notification_stationStatus")
    return [push["Connectors"][0]["Status"] for push in pushes]


def test_watch__change__is_told_once_and_then_no_more(tmp_path: Path) -> None:
    """The first look tells how things are, later ones what has changed, and nothing otherwise."""

    async def scene(bench: LegacyBench) -> None:
        for state, expected in (
            ("idle", ["Available"]),
            ("charging", ["Available", "Working"]),
            ("charging", ["Available", "Working"]),
            ("fault", ["Available", "Working", "Fault"]),
        ):
            bench.show(state)
            await bench.stations.watch()
            bench.clock.advance(1)
            assert await told(bench) == expected

    run_bench(tmp_path, scene)


def test_watch__started_anew__repeats_nothing_and_misses_nothing(tmp_path: Path) -> None:
    """What was told is in the store: a start tells what changed meanwhile, and only that."""

    async def scene(bench: LegacyBench) -> None:
        bench.show("charging")
        await bench.stations.watch()
        bench.begin_anew()
        await bench.stations.watch()
        assert await told(bench) == ["Working"]
        bench.show("fault")
        bench.begin_anew()
        await bench.stations.watch()
        assert await told(bench) == ["Working", "Fault"]

    run_bench(tmp_path, scene)


def test_watch__after_another_node_had_the_duty__goes_on_from_what_was_told(
    tmp_path: Path,
) -> None:
    """A node that had the duty before does not trust its memory after a pause."""

    async def scene(bench: LegacyBench) -> None:
        bench.show("charging")
        await bench.stations.watch()
        mine = bench.stations
        bench.begin_anew()
        bench.show("fault")
        await bench.stations.watch()
        # The other node ends before it can tell what comes now.
        bench.show("charging")
        bench.clock.advance(6)
        bench.hear()
        await mine.watch()
        assert await told(bench) == ["Working", "Fault", "Working"]

    run_bench(tmp_path, scene)


def test_watch__silence__is_told_as_a_fault(tmp_path: Path) -> None:
    """Nobody says that a charger is gone: the looks at all find out, within ten seconds."""

    async def scene(bench: LegacyBench) -> None:
        await bench.stations.watch()
        for _ in range(100):
            bench.clock.advance(1)
            await bench.stations.watch()
        assert await told(bench) == ["Available", "Fault"]
        bench.hear()
        await bench.stations.watch()
        assert await told(bench) == ["Available", "Fault", "Available"]

    run_bench(tmp_path, scene)


def test_watch__unshared_and_shared_again__begins_anew(tmp_path: Path) -> None:
    """What a peer does not see is forgotten, so that it is told when it comes back."""

    async def scene(bench: LegacyBench) -> None:
        await bench.stations.watch()
        await bench.database.write(lambda tx: tx.execute("DELETE FROM legacy_shares"))
        bench.clock.advance(10)
        bench.hear()
        await bench.stations.watch()
        assert await bench.rows("SELECT * FROM legacy_points") == []
        await bench.database.write(
            lambda tx: tx.execute(
                "INSERT INTO legacy_shares (peer_id, kind, resource_id, created_ms)"
                " VALUES ($1, 'device', 'dvc_1', 0)",
                PEER,
            )
        )
        bench.clock.advance(10)
        bench.hear()
        await bench.stations.watch()
        assert await told(bench) == ["Available", "Available"]

    run_bench(tmp_path, scene)


def test_watch__peer_without_an_address__is_owed_nothing(tmp_path: Path) -> None:
    """A peer that only asks is never pushed to."""

    async def scene(bench: LegacyBench) -> None:
        await bench.stations.watch()
        page = await bench.stations.list_changed(PEER, "", 1, 10, bench.clock.now_ms())
        assert page.total == 1
        assert await bench.rows("SELECT * FROM legacy_outbox") == []

    run_bench(tmp_path, scene, push_url=None)


def test_watch__asked_before_the_first_look__still_tells(tmp_path: Path) -> None:
    """That a peer has seen a charge point in a list does not count as being told."""

    async def scene(bench: LegacyBench) -> None:
        await bench.stations.list_changed(PEER, "", 1, 10, bench.clock.now_ms())
        await bench.stations.watch()
        assert await told(bench) == ["Available"]

    run_bench(tmp_path, scene)
