"""``/metrics``: what the parts count, read when somebody asks and put into Prometheus' format.

Nothing is counted here and no part knows of metrics: each keeps plain tallies, which are read
through the protocols below. A registry of its own, so that no library adds to the page.
"""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from tellus.kernel.vins import find_vin
from tellus.surfaces.endpoint import LATENCY_BOUNDS_S, Endpoint
from tellus.surfaces.site.metric_table import METRICS

_MODELS_SHOWN: Final = 100
_MODEL_CHARACTERS: Final = 64
_OTHER: Final = "other"
_WORDS: Final = {metric.name: metric.words for metric in METRICS}

Samples = Mapping[tuple[str, ...], float]
"""Values by labels."""


class Tally(Protocol):
    """Counts by upper bound, not cumulated, with one more for what exceeds all bounds."""

    @property
    def bounds(self) -> Sequence[float]:
        """Return the upper bounds, ascending."""
        ...

    counts: list[int]
    total: float


class DeviceFacts(Protocol):
    """What is counted of a device; ``principal.deviations`` where it has ever called."""

    model: str
    online: bool
    principal: Any


class RetentionFacts(Protocol):
    """What rounds on this node dropped (rows by tier), kept (oldest, ms) and cost others."""

    dropped: dict[str, int]
    oldest_ms: dict[str, int]
    longest_hold_s: float


class EnergyFacts(Protocol):
    """How far energy is summed up: the lag (s), connectors to fold again, samples folded."""

    @property
    def lag_s(self) -> float:
        """Return how far behind now facts are folded, in seconds."""
        ...

    @property
    def marks_waiting(self) -> int:
        """Return how many connectors wait to be folded again."""
        ...

    @property
    def samples_folded(self) -> int:
        """Return how many samples were folded, some of them more than once."""
        ...

    @property
    def folds_failed(self) -> int:
        """Return how often a connector could not be folded."""
        ...


class PushFacts(Protocol):
    """What is counted of pushes: attempts by outcome, those that wait, receivers left alone."""

    waiting: int

    @property
    def outcomes(self) -> Mapping[str, int]:
        """Return how many attempts ended how."""
        ...

    @property
    def breakers_open(self) -> int:
        """Return how many receivers are left alone for a while."""
        ...


@dataclass(frozen=True, slots=True)
class MetricSources:
    """Where the figures come from; each is asked anew for every page.

    ``storage`` returns the store's counters, ``devices`` all devices, ``samples`` how many were
    (stored, duplicate), ``polls`` how many chargers wait for a command, ``controls`` how many
    controls are under way, ``streams`` how many streams are open, ``frames`` how many frames were
    sent, ``connections`` how many connections are open, ``refused`` the server's own answers by
    status, ``admitted`` what was let in of each (model, deviation) beside what the principals
    count, ``pushes`` how it stands with what other operators' platforms are owed, ``deliveries``
    with what webhooks are.
    """

    endpoints: Sequence[Endpoint]
    storage: Callable[[], Any]
    devices: Callable[[], Iterable[DeviceFacts]]
    samples: Callable[[], tuple[int, int]]
    polls: Callable[[], int]
    controls: Callable[[], int]
    pushes: Callable[[], PushFacts]
    streams: Callable[[], int]
    frames: Callable[[], int]
    connections: Callable[[], int]
    refused: Callable[[], Mapping[int, int]]
    lag: Tally
    version: str
    node_id: str = ""
    admitted: Callable[[], Mapping[tuple[str, str], int]] = dict
    retention: Callable[[], "RetentionFacts | None"] = lambda: None
    energy: Callable[[], "EnergyFacts | None"] = lambda: None
    deliveries: Callable[[], "PushFacts | None"] = lambda: None


class MetricsPage:
    """The page; ``render`` may run in any thread."""

    def __init__(self, sources: MetricSources) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        for collector in (
            _Build(sources.version, sources.node_id),
            _Http(sources),
            _Fleet(sources),
            _Pushes(sources.pushes, "legacy_pushes", "legacy_peers"),
            _Pushes(sources.deliveries, "webhook_deliveries", "webhooks"),
            _Storage(sources.storage),
            _Lag(sources.lag),
            _Retention(sources.retention),
            _Energy(sources.energy),
        ):
            self._registry.register(collector)
        ProcessCollector(registry=self._registry)

    def render(self) -> bytes:
        """Return the metrics in the text format of Prometheus, version 0.0.4."""
        return generate_latest(self._registry)


class _Part(Collector):
    """A collector that the registry need not ask for names when it is registered."""

    def describe(self) -> Iterable[Family]:
        return ()


class _Build(_Part):
    def __init__(self, version: str, node_id: str) -> None:
        self._version = version
        self._node_id = node_id

    def collect(self) -> Iterator[Family]:
        labels = {"version": self._version, "python": platform.python_version()}
        yield _gauge("tellus_build_info", {tuple(labels.values()): 1}, tuple(labels))
        yield _gauge("tellus_node_info", {(self._node_id,): 1}, ("node_id",))


class _Http(_Part):
    def __init__(self, sources: MetricSources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Family]:
        requests: dict[tuple[str, ...], float] = {}
        durations = _histogram("tellus_http_request_duration_seconds", ("operation",))
        for endpoint in self._sources.endpoints:
            answers = dict(endpoint.by_status)
            if not answers:
                continue  # operations that nobody called would be most of the page
            operation = endpoint.route.operation_id
            requests |= {(operation, str(status)): n for status, n in answers.items()}
            _add(durations, (operation,), LATENCY_BOUNDS_S, endpoint.latency, endpoint.seconds)
        yield _counter("tellus_http_requests_total", requests, ("operation", "status"))
        yield durations
        answers = dict(self._sources.refused())
        refused: Samples = {(str(status),): n for status, n in answers.items()}
        yield _counter("tellus_http_refused_total", refused, ("status",))
        yield _gauge("tellus_connections_open", {(): self._sources.connections()})
        yield _gauge("tellus_streams_open", {(): self._sources.streams()})
        yield _counter("tellus_stream_frames_total", {(): self._sources.frames()})
        yield _gauge("tellus_polls_parked", {(): self._sources.polls()})
        yield _gauge("tellus_controls_active", {(): self._sources.controls()})


class _Fleet(_Part):
    def __init__(self, sources: MetricSources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Family]:
        online = offline = 0
        by_model: dict[str, int] = {}
        for device in self._sources.devices():
            if device.online:
                online += 1
            else:
                offline += 1
            deviations = device.principal.deviations if device.principal is not None else 0
            if deviations:
                model = _model_label(device.model, by_model)
                by_model[model] = by_model.get(model, 0) + deviations
        for (named, _deviation), count in dict(self._sources.admitted()).items():
            model = _model_label(named, by_model)
            by_model[model] = by_model.get(model, 0) + count
        presence: Samples = {("online",): online, ("offline",): offline}
        yield _gauge("tellus_devices", presence, ("presence",))
        stored, duplicates = self._sources.samples()
        outcomes: Samples = {("stored",): stored, ("duplicate",): duplicates}
        yield _counter("tellus_telemetry_samples_total", outcomes, ("outcome",))
        admitted: Samples = {(model,): n for model, n in by_model.items()}
        yield _counter("tellus_lenient_admissions_total", admitted, ("model",))


class _Pushes(_Part):
    def __init__(self, pushes: Callable[[], PushFacts | None], name: str, receivers: str) -> None:
        self._pushes = pushes
        self._name = f"tellus_{name}"
        self._receivers = f"tellus_{receivers}"

    def collect(self) -> Iterator[Family]:
        pushes = self._pushes()
        if pushes is None:
            return
        outcomes: Samples = {(name,): n for name, n in dict(pushes.outcomes).items()}
        yield _counter(f"{self._name}_total", outcomes, ("outcome",))
        yield _gauge(f"{self._name}_waiting", {(): pushes.waiting})
        yield _gauge(f"{self._receivers}_left_alone", {(): pushes.breakers_open})


class _Storage(_Part):
    def __init__(self, storage: Callable[[], Any]) -> None:
        self._storage = storage

    def collect(self) -> Iterator[Family]:
        stats = self._storage()
        prefix = "tellus_storage_"
        outcomes: Samples = {
            ("committed",): stats.operations,
            ("failed",): stats.failed_operations,
            ("refused",): stats.refused_operations,
        }
        lost: Samples = {(str(cause),): n for cause, n in dict(stats.lost_batches).items()}
        yield _counter(prefix + "operations_total", outcomes, ("outcome",))
        yield _counter(prefix + "lost_batches_total", lost, ("cause",))
        yield _counter(prefix + "batches_total", {(): stats.batches})
        yield _counter(prefix + "split_batches_total", {(): stats.split_batches})
        yield _counter(prefix + "refused_reads_total", {(): stats.refused_reads})
        yield _counter(prefix + "after_commit_errors_total", {(): stats.after_commit_errors})
        yield _gauge(prefix + "queue_operations", {(): stats.queue_depth})
        yield _gauge(prefix + "reads_waiting", {(): stats.reads_waiting})
        yield _gauge(prefix + "wal_pages", {(): stats.wal_pages})
        yield _gauge(prefix + "failed", {(): int(stats.failed)})
        yield _whole(prefix + "batch_operations", stats.batch_sizes)
        yield _whole(prefix + "apply_seconds", stats.apply_seconds)
        yield _whole(prefix + "commit_seconds", stats.commit_seconds)
        yield _whole(prefix + "checkpoint_seconds", stats.checkpoint_seconds)
        yield _whole(prefix + "read_seconds", stats.read_seconds)


class _Retention(_Part):
    def __init__(self, retention: "Callable[[], RetentionFacts | None]") -> None:
        self._retention = retention

    def collect(self) -> Iterator[Family]:
        facts = self._retention()
        if facts is None:
            return
        dropped: Samples = {(tier,): rows for tier, rows in dict(facts.dropped).items()}
        oldest: Samples = {(tier,): ms / 1_000 for tier, ms in dict(facts.oldest_ms).items()}
        yield _counter("tellus_retention_dropped_rows_total", dropped, ("tier",))
        yield _gauge("tellus_retention_oldest_timestamp_seconds", oldest, ("tier",))
        yield _gauge("tellus_retention_longest_hold_seconds", {(): facts.longest_hold_s})


class _Energy(_Part):
    def __init__(self, energy: "Callable[[], EnergyFacts | None]") -> None:
        self._energy = energy

    def collect(self) -> Iterator[Family]:
        facts = self._energy()
        if facts is None:
            return
        yield _gauge("tellus_energy_fold_lag_seconds", {(): facts.lag_s})
        yield _gauge("tellus_energy_marks_waiting", {(): facts.marks_waiting})
        yield _counter("tellus_energy_samples_folded_total", {(): facts.samples_folded})
        yield _counter("tellus_energy_folds_failed_total", {(): facts.folds_failed})


class _Lag(_Part):
    def __init__(self, lag: Tally) -> None:
        self._lag = lag

    def collect(self) -> Iterator[Family]:
        yield _whole("tellus_event_loop_lag_seconds", self._lag)


def _model_label(model: str, known: Mapping[str, int]) -> str:
    """Return a label for a model, whose name is the charger's own: few, short and nobody's data."""
    label = model[:_MODEL_CHARACTERS]
    crowded = label not in known and len(known) >= _MODELS_SHOWN
    return _OTHER if crowded or not label or find_vin(label) else label


def _counter(name: str, values: Samples, labels: Sequence[str] = ()) -> Family:
    family = CounterMetricFamily(name, _WORDS[name], labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _gauge(name: str, values: Samples, labels: Sequence[str] = ()) -> Family:
    family = GaugeMetricFamily(name, _WORDS[name], labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _histogram(name: str, labels: Sequence[str] = ()) -> HistogramMetricFamily:
    return HistogramMetricFamily(name, _WORDS[name], labels=labels)


def _whole(name: str, tally: Tally) -> Family:
    family = _histogram(name)
    _add(family, (), tally.bounds, tally.counts, tally.total)
    return family


def _add(
    family: HistogramMetricFamily,
    labels: Sequence[str],
    bounds: Sequence[float],
    counts: Sequence[int],
    total: float,
) -> None:
    """Add one histogram: counts are cumulated, as the format wants them."""
    cumulated = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip([*map(str, bounds), "+Inf"], list(counts), strict=True):
        cumulated += count
        buckets.append((bound, cumulated))
    family.add_metric(labels, buckets, total)
