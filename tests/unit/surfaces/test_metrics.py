"""The metrics page: every metric of the table and no other, right figures, harmless labels."""

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tellus.kernel.call import Audience, Nothing
from tellus.storage.stats import StorageStats
from tellus.surfaces.endpoint import Endpoint
from tellus.surfaces.routes import Route
from tellus.surfaces.site.looplag import LoopLag
from tellus.surfaces.site.metric_table import METRICS
from tellus.surfaces.site.metrics import MetricSources, MetricsPage
from tests.contract.canaries import flock, scan_text


async def _handle(_service: StorageStats, _call: Any) -> None:
    """Do nothing."""


def make_endpoint(operation: str = "getThing") -> Endpoint:
    """An endpoint whose tallies can be filled."""
    route = Route("GET", "/v1/things", operation, _handle, Audience.PUBLIC, "s", "t", query=Nothing)
    return Endpoint(route, {StorageStats: StorageStats()})


def make_device(model: str = "TP-AC22", *, online: bool = True, deviations: int = 0) -> Any:
    """A device as the page sees it."""
    return SimpleNamespace(
        model=model, online=online, principal=SimpleNamespace(deviations=deviations)
    )


def make_page(**changes: Any) -> MetricsPage:
    """A page over sources that are still, but for the changes."""
    sources: dict[str, Any] = {
        "endpoints": [],
        "storage": StorageStats,
        "devices": list,
        "samples": lambda: (0, 0),
        "polls": lambda: 0,
        "controls": lambda: 0,
        "pushes": lambda: SimpleNamespace(outcomes={}, waiting=0, breakers_open=0),
        "deliveries": lambda: SimpleNamespace(outcomes={}, waiting=0, breakers_open=0),
        "streams": lambda: 0,
        "frames": lambda: 0,
        "connections": lambda: 0,
        "refused": dict,
        "lag": LoopLag(),
        "version": "1.2.3",
        "retention": lambda: SimpleNamespace(dropped={}, oldest_ms={}, longest_hold_s=0.0),
        "energy": lambda: SimpleNamespace(
            lag_s=60.0, marks_waiting=2, samples_folded=720, folds_failed=0
        ),
    }
    return MetricsPage(MetricSources(**sources | changes))


def read(page: MetricsPage) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of the page by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page.render().decode())
        for sample in family.samples
    }


def test_page__all_metrics__are_those_of_the_table() -> None:
    """Each metric of the table is on the page with its type and words, and no other is."""
    families = {f.name: f for f in text_string_to_metric_families(make_page().render().decode())}
    expected = {metric.name.removesuffix("_total"): metric for metric in METRICS}
    assert families.keys() == expected.keys()
    for name, metric in expected.items():
        assert families[name].type == metric.kind
        if not name.startswith("process_"):
            assert families[name].documentation == metric.words


def test_table__names__are_in_base_units_with_harmless_labels() -> None:
    """Counters end in _total, times are seconds, and no label holds a device, address or token."""
    allowed = {"version", "python", "node_id", "operation", "status", "presence", "outcome"}
    allowed |= {"model", "cause", "tier"}
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert not metric.name.endswith(("_ms", "_kb", "_minutes"))
        assert set(metric.labels) <= allowed
        assert metric.words.endswith(".")


def test_page__requests__are_counted_by_operation_and_status() -> None:
    """Answers by status, and their durations as a cumulative histogram."""
    endpoint = make_endpoint()
    endpoint.tally(200, 0.003)
    endpoint.tally(200, 0.3)
    endpoint.tally(404, 100.0)
    found = read(make_page(endpoints=[endpoint, make_endpoint("unused")]))
    operation = ("operation", "getThing")
    requests = "tellus_http_requests_total"
    assert found[requests, (operation, ("status", "200"))] == 2
    assert found[requests, (operation, ("status", "404"))] == 1
    duration = "tellus_http_request_duration_seconds"
    assert found[duration + "_bucket", (("le", "0.0025"), operation)] == 0
    assert found[duration + "_bucket", (("le", "0.005"), operation)] == 1
    assert found[duration + "_bucket", (("le", "60.0"), operation)] == 2
    assert found[duration + "_bucket", (("le", "+Inf"), operation)] == 3
    assert found[duration + "_count", (operation,)] == 3
    assert found[duration + "_sum", (operation,)] == pytest.approx(100.303)
    assert all("unused" not in str(key) for key in found)


def test_page__parts__show_their_own_figures() -> None:
    """Fleet, stream, polls, connections and the server's refusals are shown as they are told."""
    page = make_page(
        devices=lambda: [make_device(), make_device(online=False), make_device()],
        samples=lambda: (70, 3),
        polls=lambda: 5,
        controls=lambda: 4,
        pushes=lambda: SimpleNamespace(outcomes={"accepted": 6}, waiting=7, breakers_open=1),
        streams=lambda: 2,
        frames=lambda: 99,
        connections=lambda: 8,
        refused=lambda: {431: 4},
    )
    found = read(page)
    assert found["tellus_devices", (("presence", "online"),)] == 2
    assert found["tellus_devices", (("presence", "offline"),)] == 1
    assert found["tellus_telemetry_samples_total", (("outcome", "stored"),)] == 70
    assert found["tellus_telemetry_samples_total", (("outcome", "duplicate"),)] == 3
    assert found["tellus_polls_parked", ()] == 5
    assert found["tellus_controls_active", ()] == 4
    assert found["tellus_legacy_pushes_total", (("outcome", "accepted"),)] == 6
    assert found["tellus_legacy_pushes_waiting", ()] == 7
    assert found["tellus_legacy_peers_left_alone", ()] == 1
    assert found["tellus_streams_open", ()] == 2
    assert found["tellus_stream_frames_total", ()] == 99
    assert found["tellus_connections_open", ()] == 8
    assert found["tellus_http_refused_total", (("status", "431"),)] == 4


def test_page__storage__shows_the_counters_of_the_store() -> None:
    """Queue, batches, outcomes, losses and times of the store are on the page."""
    stats = StorageStats(
        queue_depth=6, batches=10, operations=100, failed_operations=2, refused_operations=1,
        lost_batches={"full": 3}, failed=True,
    )  # fmt: skip
    stats.commit_seconds.observe(0.004)
    found = read(make_page(storage=lambda: stats))
    prefix = "tellus_storage_"
    assert found[prefix + "queue_operations", ()] == 6
    assert found[prefix + "batches_total", ()] == 10
    assert found[prefix + "operations_total", (("outcome", "committed"),)] == 100
    assert found[prefix + "operations_total", (("outcome", "failed"),)] == 2
    assert found[prefix + "operations_total", (("outcome", "refused"),)] == 1
    assert found[prefix + "lost_batches_total", (("cause", "full"),)] == 3
    assert found[prefix + "failed", ()] == 1
    assert found[prefix + "commit_seconds_sum", ()] == pytest.approx(0.004)
    assert found[prefix + "commit_seconds_bucket", (("le", "0.005"),)] == 1


def test_page__lenient_admissions__are_summed_by_model() -> None:
    """What deviating chargers were granted is counted by their model, and by nothing finer."""
    devices = [make_device("A", deviations=2), make_device("A", deviations=5), make_device("B")]
    admitted = {("A", "no connector"): 3, ("C", "no connector"): 1}
    found = read(make_page(devices=lambda: devices, admitted=lambda: admitted))
    assert found["tellus_lenient_admissions_total", (("model", "A"),)] == 10
    assert found["tellus_lenient_admissions_total", (("model", "C"),)] == 1
    assert all(("model", "B") not in labels for _, labels in found)


def test_page__models_made_up_by_chargers__stay_few_and_hold_no_personal_data() -> None:
    """A charger cannot fill the page with models, nor write a VIN into it."""
    canaries = flock(5)
    devices = [make_device(f"M-{n}", deviations=1) for n in range(500)]
    devices += [make_device(one.value, deviations=1) for one in canaries if one.kind == "vin"]
    page = make_page(devices=lambda: devices)
    shown = [n for (name, _), n in read(page).items() if name == "tellus_lenient_admissions_total"]
    assert len(shown) <= 101
    assert sum(shown) == len(devices)
    assert scan_text(page.render().decode(), canaries, "/metrics") == []


def test_loop_lag__blocked_loop__is_seen() -> None:
    """A callback that holds the loop shows as lag of every timer."""
    lag = LoopLag()

    async def run() -> None:
        measuring = asyncio.create_task(lag.run())
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + 0.4
        await asyncio.sleep(0)
        while loop.time() < ends_s:
            pass
        for _ in range(10):
            await asyncio.sleep(0)
        measuring.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await measuring

    asyncio.run(run())
    assert sum(lag.counts) == 1
    assert lag.total > 0.1
