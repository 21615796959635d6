"""A connector's parts as they are seen: since when a status holds, extremes of a day, wear."""

from tellus.fleet.catalogue import Catalogue
from tellus.health.model_view import ConnectorHealth, RatedBy
from tellus.health.queries import HealthQueries
from tellus.health.rules_view import find_run, view_connector
from tellus.kernel.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from tests.unit.health.builders import row
from tests.unit.health.conftest import HealthBench, RunHealth

NOW_MS = 20_000 * DAY_MS


def test_find_run__word_came_back__is_since_it_came_back() -> None:
    """The run is that of the newest word; rows that say nothing of it do not end it."""
    words = ["open", "closed", "open", None, "open"]
    rows = [
        row(k * HOUR_MS, **({"relay_state": one} if one else {})) for k, one in enumerate(words)
    ]
    assert find_run("relay_state", rows) == rows[2]
    assert find_run("relay_state", rows[:1]) == rows[0]
    assert find_run("cooling_fan_status", rows) is None


def test_view__extremes__are_those_of_a_day() -> None:
    """What is older than a day is no extreme; a model's rated life is for contactors alone."""
    hours = [
        row(NOW_MS - k * HOUR_MS, temp_ac_inlet_c=20.0 + k, contactor_cycles=k, inverter_cycles=k)
        for k in (30, 20, 10, 1)
    ]
    seen = view_connector(hours[-1], hours, {}, 60_000, NOW_MS)
    assert seen.metrics["temp_ac_inlet_c"].day == (21.0, 40.0)
    assert seen.wear["contactor"].rated == (60_000, RatedBy.MODEL)
    assert seen.wear["inverter"].rated is None
    assert "discharge_contactor" not in seen.wear


def test_since__change_within_two_days__is_known_to_the_minute(run_health: RunHealth) -> None:
    """A status holds since the minute of its change, or since the hour once minutes are gone."""

    async def test(bench: HealthBench) -> None:
        device = bench.add_device()
        device.model = "TP-AC22"
        hour_ms = bench.clock.now_ms() // HOUR_MS * HOUR_MS + HOUR_MS
        bench.move_to(hour_ms + 20 * MINUTE_MS)
        for ago_m, word in ((70, "open"), (15, "open"), (9, "fault"), (0, "fault")):
            await bench.send(bench.told_at(ago_m * 60, relay_state=word, contactor_cycles=5))
        await bench.health.turn()
        queries = HealthQueries(bench.database, bench.directory, Catalogue.load())
        now_ms = bench.clock.now_ms()
        (seen,) = await queries.read_device("dvc_1", "op_1", now_ms)
        assert seen.words["relay_state"].newest == ("fault", now_ms)
        assert seen.words["relay_state"].since_ms == now_ms - 9 * MINUTE_MS
        assert seen.wear["contactor"].rated == (60_000, RatedBy.MODEL)
        bench.clock.advance(2 * HOUR_MS / SECOND_MS)
        await bench.health.upkeep()
        await bench.database.write(lambda tx: tx.execute("DELETE FROM component_minutes"))
        (later,) = await queries.read_device("dvc_1", "op_1", bench.clock.now_ms())
        assert isinstance(later, ConnectorHealth)
        assert later.words["relay_state"].since_ms == hour_ms

    run_health(test)
