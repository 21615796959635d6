"""What the stream is told: each change once, whoever made it, and however late it was committed."""

from pathlib import Path

from tellus.alerts.feed import AlertFeed
from tellus.alerts.model import AlertSeverity, ChangeKind
from tests.unit.alerts.alert_bench import BEGAN_MS, AlertBench, finding, run_alerts


def test_feed__changes_between_two_looks__come_once_each_as_they_are_then(tmp_path: Path) -> None:
    """Opened and changed within a moment is opened, as it is now; told once."""

    async def scenario(bench: AlertBench) -> None:
        feed = AlertFeed(bench.database, bench.clock)
        await bench.service.report([finding(key="old")])
        bench.clock.advance(1)
        await feed.begin(bench.clock.now_ms())
        assert await feed.look() == []
        await bench.service.report([finding(key="new")])
        await bench.service.report([finding(key="new", severity=AlertSeverity.CRITICAL)])
        [news] = await feed.look()
        assert (news.kind, news.alert.severity) == (ChangeKind.OPENED, AlertSeverity.CRITICAL)
        assert await feed.look() == []
        await bench.change(news.alert, "acknowledged")
        bench.clock.advance(0.001)
        await bench.change((await bench.find_all())[1], "resolved")
        assert [(one.kind, one.alert.key) for one in await feed.look()] == [
            (ChangeKind.CHANGED, "new"), (ChangeKind.CLOSED, "old"),
        ]  # fmt: skip

    run_alerts(tmp_path / "a.db", scenario)


def test_feed__committed_late__is_still_found(tmp_path: Path) -> None:
    """What was decided before a look and committed after it is news of the next."""

    async def scenario(bench: AlertBench) -> None:
        feed = AlertFeed(bench.database, bench.clock)
        await feed.begin(bench.clock.now_ms())
        bench.clock.advance(60)
        assert await feed.look() == []
        decided_ms = bench.clock.now_ms() - 5_000
        await bench.database.write(
            bench.service.take_in, [finding(at_ms=decided_ms)], (), decided_ms
        )
        assert [one.kind for one in await feed.look()] == [ChangeKind.OPENED]
        bench.clock.advance(60)
        assert await feed.look() == []

    run_alerts(tmp_path / "a.db", scenario)


def test_feed__decided_by_a_round_that_took_long__is_still_found(tmp_path: Path) -> None:
    """However long before its commit somebody looked at the clock, a change is news after it."""

    async def scenario(bench: AlertBench) -> None:
        feed = AlertFeed(bench.database, bench.clock)
        await feed.begin(bench.clock.now_ms())
        began_ms = bench.clock.now_ms()
        bench.clock.advance(60)
        assert await feed.look() == []
        await bench.database.write(bench.service.take_in, [finding(at_ms=began_ms)], (), began_ms)
        [news] = await feed.look()
        assert (news.kind, news.alert.opened_ms) == (ChangeKind.OPENED, bench.clock.now_ms())

    run_alerts(tmp_path / "a.db", scenario)


def test_feed__more_than_one_page__misses_none(tmp_path: Path) -> None:
    """A burst of changes is told whole, also of those of one instant."""

    async def scenario(bench: AlertBench) -> None:
        feed = AlertFeed(bench.database, bench.clock)
        await feed.begin(bench.clock.now_ms())
        for part in range(6):
            keys = [f"k:{part}:{number}" for number in range(200)]
            await bench.service.report([finding(key=key, at_ms=BEGAN_MS) for key in keys])
        assert len(await feed.look()) == 1_200

    run_alerts(tmp_path / "a.db", scenario)
