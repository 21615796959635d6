"""What memory knows of queues: which device has something to fetch, and when that changes.

Only a hint, so that idle polls and heartbeats never touch the store; it is read back at start.
"""

from tellus.commands.model import DEVICE_LEVEL, Moments


class Pending:
    """The next moments of every device with queued commands."""

    def __init__(self) -> None:
        self._moments: dict[int, Moments] = {}
        self._woken_ms = 0

    def put(self, device_no: int, moments: Moments | None) -> None:
        """Note when a device's queue needs attention next; None for never."""
        if moments is None:
            self._moments.pop(device_no, None)
        else:
            self._moments[device_no] = moments

    def suspect(self, device_no: int, now_ms: int) -> None:
        """Note that a device may have something of which nothing is known here."""
        if device_no not in self._moments:
            self._moments[device_no] = Moments({DEVICE_LEVEL: now_ms}, now_ms)

    def is_due(self, device_no: int, now_ms: int, connector_id: int | None = None) -> bool:
        """Tell whether there may be something to fetch; ``connector_id`` None stands for all."""
        moments = self._moments.get(device_no)
        if moments is None:
            return False
        due_ms = moments.due_ms
        if connector_id is None:
            return any(moment_ms <= now_ms for moment_ms in due_ms.values())
        return (
            due_ms.get(connector_id, now_ms + 1) <= now_ms
            or due_ms.get(DEVICE_LEVEL, now_ms + 1) <= now_ms
        )

    def list_lapsing(self, now_ms: int) -> list[int]:
        """Return the devices with a command to give up by now."""
        return [no for no, moments in self._moments.items() if moments.lapse_ms <= now_ms]

    def list_newly_due(self, now_ms: int) -> list[int]:
        """Return the devices for which something became due since this was last asked."""
        since_ms, self._woken_ms = self._woken_ms, now_ms
        return [
            no
            for no, moments in self._moments.items()
            if any(since_ms < moment_ms <= now_ms for moment_ms in moments.due_ms.values())
        ]
