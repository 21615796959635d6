"""The bounds that the server keeps before any route is known."""

import resource
from dataclasses import dataclass

_FILE_SHARE = 0.8
_UNLIMITED_FILES = 1_000_000


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """Deadlines, sizes, caps and draining times of the server.

    Times are in seconds (``_s``), sizes in bytes (``_bytes``). ``connections_total`` of ``None``
    means 80% of the process's limit on open files.
    """

    # Reading a request
    head_timeout_s: float = 10.0
    body_timeout_s: float = 10.0
    body_rate_bytes_s: int = 4 * 1024  # a body may take longer as long as it keeps this pace
    head_bytes: int = 16 * 1024
    target_bytes: int = 32 * 1024  # a stream names up to 1,000 devices in its target
    discard_bytes: int = 1024 * 1024  # read and thrown away after an answer that came early
    pipelined_requests: int = 128

    # Connections
    connections_per_address: int = 2000
    connections_per_device: int = 8
    connections_total: int | None = None
    loopback_is_exempt: bool = True  # from counting by device; by address it always is
    keep_alive_s: int = 75
    write_stall_s: float = 30.0  # a peer that reads nothing for so long is dropped
    linger_s: float = 2.0  # how long a refused peer may take to read its refusal
    trusted_proxies: tuple[str, ...] = ()
    sweep_every_s: float = 1.0

    # Streams
    stream_message_bytes: int = 4096
    stream_ping_s: float = 20.0
    stream_close_s: float = 10.0  # how long a peer may take to answer a close frame
    stream_buffer_bytes: int = 64 * 1024
    notsent_lowat_bytes: int = 16 * 1024

    # Draining; together below the 30 s that an orderly stop may take
    stream_close_spread_s: float = 5.0
    drain_hooks_s: float = 6.0
    drain_requests_s: float = 20.0
    stop_within_s: float = 29.0

    def resolved_total(self) -> int:
        """Return how many connections may be open at once."""
        if self.connections_total is not None:
            return self.connections_total
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if files == resource.RLIM_INFINITY:
            files = _UNLIMITED_FILES
        return max(1, int(files * _FILE_SHARE))
