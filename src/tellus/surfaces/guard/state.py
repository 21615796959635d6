"""What all connections of one server share."""

from collections import Counter
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from uvicorn.server import ServerState

from tellus.surfaces.guard.connections import ConnectionRegister
from tellus.surfaces.guard.draining import DrainState
from tellus.surfaces.guard.errands import Errands
from tellus.surfaces.guard.limits import GuardLimits
from tellus.surfaces.guard.proxies import TrustedProxies

if TYPE_CHECKING:
    from tellus.surfaces.guard.protocol import GuardProtocol
    from tellus.surfaces.guard.streamsocket import StreamProtocol

LogSink = Callable[[str, Mapping[str, Any]], None]
"""Takes the name of an event and its facts; never a target, a header or a body."""


def discard_log(_event: str, _facts: Mapping[str, Any]) -> None:
    """Throw a log event away."""


class Guard:
    """Limits, counts, log and live connections of one server.

    ``refused`` counts the server's own answers by HTTP status, for the metrics.
    """

    def __init__(self, limits: GuardLimits, drain: DrainState, log: LogSink) -> None:
        self.limits = limits
        self.drain = drain
        self.log = log
        self.proxies = TrustedProxies(limits.trusted_proxies)
        self.register = ConnectionRegister(limits, self.proxies)
        self.requests: set[GuardProtocol] = set()
        self.streams: set[StreamProtocol] = set()
        self.refused: Counter[int] = Counter()
        self.state = ServerState()
        self.errands = Errands()
        self.begin_of_ok = b""
        """What every 200 begins with: status line and ``Date``."""

    def refresh_date(self, now_s: float) -> None:
        """Set the ``Date`` of all answers that begin from now on, parked ones included."""
        date = formatdate(now_s, usegmt=True).encode()
        self.state.default_headers[:] = [(b"date", date)]
        self.begin_of_ok = b"HTTP/1.1 200 OK\r\ndate: %b\r\n" % date
