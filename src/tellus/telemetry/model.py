"""A sample on its way in, and as it is read back."""

from typing import NamedTuple

from tellus.fleet.model import Reading
from tellus.kernel.units import is_clock_suspect

Instant = tuple[int, int, int]
"""Time (ms), device and connector."""


class Sample(NamedTuple):
    """One reading of one connector at one instant.

    ``digest`` is 64 bits over the content: together with device, connector and time it is the
    natural key, so that a repeat is known and two different frames of one instant are both kept.
    ``content`` is ``reading`` as stored.
    """

    time_ms: int
    device_no: int
    connector_id: int
    digest: int
    received_ms: int
    content: bytes
    reading: Reading

    @property
    def clock_suspect(self) -> bool:
        """Tell whether the charger's clock ran ahead when it took this sample (rule P4)."""
        return is_clock_suspect(self.time_ms, self.received_ms)


class PastSample(NamedTuple):
    """One stored sample of a connector."""

    time_ms: int
    digest: int
    received_ms: int
    reading: Reading

    @property
    def clock_suspect(self) -> bool:
        """Tell whether the charger's clock ran ahead when it took this sample (rule P4)."""
        return is_clock_suspect(self.time_ms, self.received_ms)
