"""Sessions as operators list them."""

from typing import NamedTuple

from tellus.energy.model import Basis


class SessionFilter(NamedTuple):
    """Which sessions of an operator to list; None admits all. Times: start in ``[from, to)``, ms.

    ``is_active`` wants those that may go on, or those that have ended. ``withheld`` are devices to
    leave out.
    """

    operator_id: str
    device_no: int | None = None
    connector_id: int | None = None
    site_id: str | None = None
    is_active: bool | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    withheld: tuple[int, ...] = ()


class SessionView(NamedTuple):
    """A session with its sums.

    ``peak_nkwh`` is the largest net energy of one clock minute, both ways. ``number`` orders
    sessions of one start, 0 for one that is not stored yet. ``end_ms`` is None while it may go on.
    """

    session_id: str
    number: int
    device_no: int
    connector_id: int
    device_id: str
    site_id: str
    start_ms: int
    end_ms: int | None
    last_ms: int
    record_id: str | None
    charge_nkwh: int
    discharge_nkwh: int
    peak_nkwh: int
    soc_start_pct: int | None
    soc_end_pct: int | None
    samples: int
    basis: Basis
    resolution: str

    @property
    def place(self) -> tuple[int, int]:
        """Return device and connector."""
        return self.device_no, self.connector_id


class Origin(NamedTuple):
    """The command that started a session."""

    command_id: str
    transaction_id: str | None


class DoubtFilter(NamedTuple):
    """Which doubts of an operator to list, ``[from_ms, to_ms)``; None admits all.

    ``withheld`` are devices to leave out.
    """

    operator_id: str
    from_ms: int
    to_ms: int
    device_id: str | None = None
    site_id: str | None = None
    withheld: tuple[int, ...] = ()


class DoubtView(NamedTuple):
    """A sample or a charging record that cannot be believed.

    ``reason`` is one of a sample's, or a record's flags with blanks between; ``record_id`` is None
    for a sample.
    """

    device_id: str
    connector_id: int
    time_ms: int
    reason: str
    record_id: str | None


class DoubtCount(NamedTuple):
    """How many samples, or records, of a device have the same reason, and the newest one's time."""

    device_id: str
    reason: str
    is_record: bool
    found: int
    newest_ms: int
