"""What chargers say they run: kept where it changes, whichever node hears it."""

from collections.abc import Callable
from typing import Any

from tellus.commands.model import HeartbeatMore, Running
from tests.unit.configuration.conftest import ConfigBench

Run = Callable[[Callable[[ConfigBench], Any]], Any]
_REPORTS = "SELECT device_no, profile_id, hash, since_ms FROM config_reports ORDER BY device_no"


def says(profile_id: str, config_hash: str) -> dict[str, str]:
    """What a heartbeat says of the configuration."""
    return {"config_profile_id": profile_id, "running_config_hash": config_hash}


def test_heartbeat__says_the_same_again__writes_nothing(run_bench: Run) -> None:
    """Of many heartbeats with one word the first is stored, and whoever follows is told once."""

    async def check(bench: ConfigBench) -> None:
        began_ms = bench.clock.now_ms()
        for _ in range(5):
            await bench.node.heartbeat(**says("cfg_a", "aa"))
            bench.clock.advance(30)
        assert await bench.rows(_REPORTS) == [(1, "cfg_a", "aa", began_ms)]
        assert bench.node.told == [1]

    run_bench(check)


def test_heartbeat__after_a_restart__writes_nothing_that_is_known(run_bench: Run) -> None:
    """A node that has read back what was said compares with it, and is told of nothing."""

    async def check(bench: ConfigBench) -> None:
        await bench.node.heartbeat(**says("cfg_a", "aa"))
        again = bench.add_node()
        await again.configuration.start()
        running = Running("cfg_a", "aa")
        now_ms = bench.clock.now_ms()
        assert again.configuration.hear(1, HeartbeatMore(running), now_ms) is None
        waiting = again.configuration.hear(1, HeartbeatMore(Running("", "aa")), now_ms)
        assert waiting is not None
        await waiting
        assert again.told == [1]

    run_bench(check)


def test_heartbeat__says_nothing_of_it__leaves_the_last_word(run_bench: Run) -> None:
    """A heartbeat without the fields is no word; one with a single field is a new one."""

    async def check(bench: ConfigBench) -> None:
        await bench.node.heartbeat(**says("cfg_a", "aa"))
        await bench.node.heartbeat()
        assert [row[1:3] for row in await bench.rows(_REPORTS)] == [("cfg_a", "aa")]
        bench.clock.advance(30)
        await bench.node.heartbeat(running_config_hash="bb")
        assert [row[1:3] for row in await bench.rows(_REPORTS)] == [("", "bb")]
        assert bench.node.told == [1, 1]

    run_bench(check)


def test_heartbeats__at_two_nodes__store_each_change_once(run_bench: Run) -> None:
    """A charger that roams between nodes is told of by the one that first heard the new word."""

    async def check(bench: ConfigBench) -> None:
        other = bench.add_node()
        for node in (bench.node, other, bench.node, other):
            await node.heartbeat(**says("cfg_a", "aa"))
            bench.clock.advance(30)
        assert (bench.node.told, other.told) == ([1], [])
        changed_ms = bench.clock.now_ms()
        await other.heartbeat(**says("cfg_a", "bb"))
        assert await bench.rows(_REPORTS) == [(1, "cfg_a", "bb", changed_ms)]
        assert (bench.node.told, other.told) == ([1], [1])

    run_bench(check)


def test_heartbeat__node_remembers_an_older_word__compares_once_it_is_told(
    run_bench: Run,
) -> None:
    """A word that comes back to a node after another one elsewhere is stored again."""

    async def check(bench: ConfigBench) -> None:
        other = bench.add_node()
        await bench.node.heartbeat(**says("cfg_a", "aa"))
        bench.clock.advance(30)
        await other.heartbeat(**says("cfg_a", "bb"))
        bench.clock.advance(30)
        await bench.node.configuration.forget_heard([1])
        await bench.node.heartbeat(**says("cfg_a", "aa"))
        assert [row[2] for row in await bench.rows(_REPORTS)] == ["aa"]
        bench.clock.advance(30)
        await other.configuration.forget_all_heard()
        await other.heartbeat(**says("cfg_a", "bb"))
        assert [row[2] for row in await bench.rows(_REPORTS)] == ["bb"]

    run_bench(check)


def test_heartbeat__older_than_what_is_stored__changes_nothing(run_bench: Run) -> None:
    """Of two nodes the one that is late does not undo what the other has written since."""

    async def check(bench: ConfigBench) -> None:
        other = bench.add_node()
        bench.clock.advance(60)
        await bench.node.heartbeat(**says("cfg_a", "new"))
        bench.clock.jump_wall(-30)
        await other.heartbeat(**says("cfg_a", "old"))
        assert [row[2] for row in await bench.rows(_REPORTS)] == ["new"]
        assert other.told == []
        bench.clock.advance(60)
        await other.heartbeat(**says("cfg_a", "old"))
        assert [row[2] for row in await bench.rows(_REPORTS)] == ["old"]

    run_bench(check)


def test_heartbeat__names_a_vehicle__keeps_it_masked(run_bench: Run) -> None:
    """Free text of a charger that looks like a VIN is kept with stars, and written once."""

    async def check(bench: ConfigBench) -> None:
        for _ in range(2):
            await bench.node.heartbeat(**says("WVWZZZ1JZXW000001", "aa"))
            bench.clock.advance(30)
        assert [row[1] for row in await bench.rows(_REPORTS)] == ["WVW**********0001"]
        assert bench.node.told == [1]

    run_bench(check)
