"""What a store counts about itself; metrics read it, nothing here knows of metrics."""

from bisect import bisect_left
from dataclasses import dataclass, field

BATCH_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
SECONDS_BOUNDS = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
)


class Histogram:
    """Counts of observations by upper bound, as Prometheus wants them (not yet cumulated)."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """One count per bound, and a last one for what exceeds them all."""
        self.total = 0.0
        """The sum of what was observed."""

    def observe(self, value: float) -> None:
        """Count ``value`` under the smallest bound that is not below it."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def observations(self) -> int:
        """Return how many values were observed."""
        return sum(self.counts)


@dataclass(slots=True)
class StorageStats:
    """Counters since the start; written by the store's threads, read by anybody."""

    queue_depth: int = 0
    """Operations waiting for the writer now."""
    batches: int = 0
    operations: int = 0
    """Operations that were committed."""
    failed_operations: int = 0
    """Operations that failed alone."""
    split_batches: int = 0
    """Hot batches that failed as a whole and were split."""
    refused_operations: int = 0
    """Operations that back-pressure turned away."""
    lost_batches: dict[str, int] = field(default_factory=dict)
    """Batches answered with "unavailable", by cause: ``full``, ``busy``, ``lost``, ``fatal``."""
    after_commit_errors: int = 0
    checkpoints: int = 0
    wal_pages: int = 0
    """Pages in the write-ahead log after the last commit."""
    reads: int = 0
    reads_waiting: int = 0
    refused_reads: int = 0
    failed: bool = False
    """The store has given up writing; only a restart helps."""
    ailment: str = ""
    """Why the last batch could not be written (``full``, ``busy``, ``lost``); else empty."""
    batch_sizes: Histogram = field(default_factory=lambda: Histogram(BATCH_BOUNDS))
    apply_seconds: Histogram = field(default_factory=lambda: Histogram(SECONDS_BOUNDS))
    commit_seconds: Histogram = field(default_factory=lambda: Histogram(SECONDS_BOUNDS))
    checkpoint_seconds: Histogram = field(default_factory=lambda: Histogram(SECONDS_BOUNDS))
    read_seconds: Histogram = field(default_factory=lambda: Histogram(SECONDS_BOUNDS))
