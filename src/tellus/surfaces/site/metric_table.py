"""All metrics of the platform in one table; the reference page is made from it.

Base units throughout. No label holds a device, an address, a client or a token: labels are few and
known, so that the page stays small with any fleet.
"""

from typing import Final, NamedTuple


class Metric(NamedTuple):
    """One metric: its name as scraped, its type, its labels, and what it says."""

    name: str
    kind: str
    labels: tuple[str, ...]
    words: str


METRICS: Final[tuple[Metric, ...]] = (
    Metric(
        "tellus_build_info", "gauge", ("version", "python"),
        "Always 1; the labels say what runs.",
    ),
    Metric(
        "tellus_node_info", "gauge", ("node_id",),
        "Always 1; the label says which node answered.",
    ),
    Metric(
        "tellus_http_requests_total", "counter", ("operation", "status"),
        "Answers of the API by operation and HTTP status.",
    ),
    Metric(
        "tellus_http_request_duration_seconds", "histogram", ("operation",),
        "Time from the head of a request to its answer; for long polls that includes the wait.",
    ),
    Metric(
        "tellus_http_refused_total", "counter", ("status",),
        "Answers of the server before any operation was found: malformed, too slow, too many.",
    ),
    Metric("tellus_connections_open", "gauge", (), "TCP connections that are open."),
    Metric("tellus_streams_open", "gauge", (), "Live telemetry streams that are open."),
    Metric("tellus_stream_frames_total", "counter", (), "Frames sent to all streams."),
    Metric("tellus_polls_parked", "gauge", (), "Chargers that wait for a command now."),
    Metric("tellus_controls_active", "gauge", (), "Flexibility controls that are under way."),
    Metric(
        "tellus_legacy_pushes_total", "counter", ("outcome",),
        "Attempts at pushes to peers: `accepted` and `rejected` are answers, all else is trouble.",
    ),
    Metric(
        "tellus_legacy_pushes_waiting", "gauge", (),
        "Pushes that peers are still owed, as last counted by the node on duty.",
    ),
    Metric(
        "tellus_legacy_peers_left_alone", "gauge", (),
        "Peers that failed again and again, and are tried with one push now and then.",
    ),
    Metric(
        "tellus_webhook_deliveries_total", "counter", ("outcome",),
        "Attempts at deliveries to webhooks: `accepted` were taken, all else is trouble.",
    ),
    Metric(
        "tellus_webhook_deliveries_waiting", "gauge", (),
        "Deliveries that webhooks are still owed, as last counted by the node on duty.",
    ),
    Metric(
        "tellus_webhooks_left_alone", "gauge", (),
        "Webhooks that failed again and again, and are tried with one delivery now and then.",
    ),
    Metric("tellus_devices", "gauge", ("presence",), "Devices that are `online` and `offline`."),
    Metric(
        "tellus_telemetry_samples_total", "counter", ("outcome",),
        "Samples received: `stored`, or a `duplicate` of one that was.",
    ),
    Metric(
        "tellus_lenient_admissions_total", "counter", ("model",),
        "Bodies admitted although they deviate from the contract, by model of the charger.",
    ),
    Metric("tellus_storage_queue_operations", "gauge", (), "Writes that wait for the disk."),
    Metric(
        "tellus_storage_operations_total", "counter", ("outcome",),
        "Writes: `committed`, `failed` alone, or `refused` because too many were waiting.",
    ),
    Metric("tellus_storage_batches_total", "counter", (), "Commits."),
    Metric(
        "tellus_storage_split_batches_total", "counter", (),
        "Batches that failed as a whole and were split.",
    ),
    Metric(
        "tellus_storage_lost_batches_total", "counter", ("cause",),
        'Batches answered with "unavailable": the disk `full`, the file `busy`, or `fatal`.',
    ),
    Metric("tellus_storage_batch_operations", "histogram", (), "Writes per commit."),
    Metric("tellus_storage_apply_seconds", "histogram", (), "Time to apply a batch."),
    Metric(
        "tellus_storage_commit_seconds", "histogram", (),
        "Time to commit a batch, the wait for the disk included.",
    ),
    Metric(
        "tellus_storage_checkpoint_seconds", "histogram", (),
        "Time to move the write-ahead log into the database.",
    ),
    Metric("tellus_storage_read_seconds", "histogram", (), "Time of queries."),
    Metric("tellus_storage_reads_waiting", "gauge", (), "Queries that wait for a reader."),
    Metric(
        "tellus_storage_refused_reads_total", "counter", (),
        "Queries refused because too many were waiting.",
    ),
    Metric("tellus_storage_wal_pages", "gauge", (), "Pages in the write-ahead log."),
    Metric(
        "tellus_storage_after_commit_errors_total", "counter", (),
        "Bugs met after a commit: the facts are stored, memory may be behind.",
    ),
    Metric(
        "tellus_storage_failed", "gauge", (),
        "1 once the store has given up writing; only a restart helps.",
    ),
    Metric(
        "tellus_retention_dropped_rows_total", "counter", ("tier",),
        "Rows dropped because they outlived their tier, by this node.",
    ),
    Metric(
        "tellus_retention_oldest_timestamp_seconds", "gauge", ("tier",),
        "The oldest instant that is kept of a tier (Unix time), as of the last round of this node.",
    ),
    Metric(
        "tellus_retention_longest_hold_seconds", "gauge", (),
        "The longest that one transaction of any round of this node took on the writer.",
    ),
    Metric(
        "tellus_energy_fold_lag_seconds", "gauge", (),
        "How far behind now facts are summed up; about a minute is as it should be.",
    ),
    Metric(
        "tellus_energy_marks_waiting", "gauge", (),
        "Connectors whose energy is to be summed up again, because facts came late.",
    ),
    Metric(
        "tellus_energy_samples_folded_total", "counter", (),
        "Samples summed up by this node, those that were summed up again each time.",
    ),
    Metric(
        "tellus_energy_folds_failed_total", "counter", (),
        "Times that a connector's facts could not be summed up: it keeps the sums it has, is tried"
        " again every ten minutes, and the log names it.",
    ),
    Metric(
        "tellus_event_loop_lag_seconds", "histogram", (),
        "How much later than asked a timer fired: the time that everybody else waited, too.",
    ),
    Metric("process_cpu_seconds_total", "counter", (), "Processor time, user and system."),
    Metric("process_resident_memory_bytes", "gauge", (), "Memory held in RAM."),
    Metric("process_virtual_memory_bytes", "gauge", (), "Address space."),
    Metric("process_start_time_seconds", "gauge", (), "Start of the process, Unix time."),
    Metric("process_open_fds", "gauge", (), "Open file descriptors."),
    Metric("process_max_fds", "gauge", (), "Limit of open file descriptors."),
)  # fmt: skip
