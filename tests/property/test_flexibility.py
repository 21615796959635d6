"""Whatever controls, cancellations, ends and restarts come in which order: the lowest limit holds.

Two chargers live through a history. What they hold in the end is compared with an account of the
history that shares nothing with the platform: whole watts, spans of seconds, and a minimum.
"""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tellus.flexibility import rules
from tellus.flexibility.model import Held
from tellus.kernel.units import to_text
from tests.unit.flexibility.conftest import ControlBench

WATTS_PER_PERCENT = {1: 220, 2: 900}
"""Of the 22 kW of one connector, and of the half that each connector of a 180 kW unit has."""


@dataclass(frozen=True)
class Issue:
    """A control of the site."""

    percent: int
    duration_s: int
    stagger_s: int = 0


@dataclass(frozen=True)
class Cancel:
    """The cancellation of one of the controls so far."""

    choice: int


@dataclass(frozen=True)
class Pass:
    """Time that passes."""

    seconds: int


@dataclass(frozen=True)
class Contact:
    """The charger speaks to the platform and does as it is told."""

    device_no: int


@dataclass(frozen=True)
class Restart:
    """The platform is killed and comes back."""


Deed: TypeAlias = Issue | Cancel | Pass | Contact | Restart

DEEDS = st.one_of(
    st.builds(
        Issue,
        st.integers(0, 100),
        st.sampled_from([30, 61, 600, 1_200, 7_200]),
        st.sampled_from([0, 0, 30]),
    ),
    st.builds(Cancel, st.integers(0, 9)),
    st.builds(Pass, st.sampled_from([1, 14, 15, 29, 30, 60, 300, 901, 3_600])),
    st.builds(Contact, st.sampled_from([1, 2])),
    st.builds(Restart),
)


@dataclass
class Entry:
    """A control as the account has it; the charger numbered ``k`` begins ``k`` shares later."""

    control_id: str
    percent: int
    issued_s: int
    duration_s: int
    share_s: int
    cancelled_s: int | None = None

    def holds(self, device_no: int, at_s: int) -> bool:
        """Whether the control binds a charger at that second."""
        later_s = self.share_s * (device_no - 1)
        begin_s = self.issued_s + later_s
        end_s = begin_s + self.duration_s
        if self.cancelled_s is not None:
            end_s = min(end_s, self.cancelled_s + later_s)
            if begin_s >= self.cancelled_s:
                return False
        return begin_s <= at_s < end_s


class History:
    """A bench with two chargers, and the account of what is asked of it."""

    def __init__(self, bench: ControlBench) -> None:
        self.bench = bench
        self.begun_ms = bench.clock.now_ms()
        self.entries: list[Entry] = []
        self.synced_s: dict[int, int] = {}

    @property
    def now_s(self) -> int:
        """Seconds since the history began."""
        return (self.bench.clock.now_ms() - self.begun_ms) // 1_000

    async def do(self, deed: Deed) -> None:
        """Do one thing, then compare whatever can be compared."""
        bench = self.bench
        if isinstance(deed, Issue):
            await self.issue(deed)
        elif isinstance(deed, Cancel) and self.entries:
            await self.cancel(self.entries[deed.choice % len(self.entries)])
        elif isinstance(deed, Pass):
            await bench.pass_time(deed.seconds)
        elif isinstance(deed, Restart):
            await bench.restart()
        elif isinstance(deed, Contact):
            await self.contact(deed.device_no)
        self.compare()

    async def issue(self, deed: Issue) -> None:
        """Issue a control and write it down."""
        stagger = {"stagger_seconds": deed.stagger_s} if deed.stagger_s else {}
        control_id = await self.bench.control(deed.percent, deed.duration_s, params=stagger)
        share_s = deed.stagger_s // 2
        entry = Entry(control_id, deed.percent, self.now_s, deed.duration_s, share_s)
        self.entries.append(entry)
        self.synced_s.clear()

    async def cancel(self, entry: Entry) -> None:
        """Cancel a control, unless it is over."""
        over_s = entry.issued_s + entry.duration_s + entry.share_s
        if entry.cancelled_s is None and self.now_s < over_s:
            await self.bench.cancel_control(entry.control_id)
            entry.cancelled_s = self.now_s
            self.synced_s.clear()

    async def contact(self, device_no: int) -> None:
        """Let a charger fetch; one that was away is told anew once it is seen."""
        for _ in range(2):
            await self.bench.flexibility.sweep()
            await self.bench.fetch(device_no)
        self.synced_s[device_no] = self.now_s

    def compare(self) -> None:
        """A charger that knows all that has begun holds the lowest, also after others ended."""
        now_text = to_text(self.bench.clock.now_ms())
        for device_no, synced_s in self.synced_s.items():
            if any(
                entry.holds(device_no, self.now_s) and not entry.holds(device_no, synced_s)
                for entry in self.entries
            ):
                continue  # one has begun in its turn, and the charger has not been heard since
            watts = [
                entry.percent * WATTS_PER_PERCENT[device_no]
                for entry in self.entries
                if entry.holds(device_no, self.now_s)
            ]
            for connector_id in range(1, device_no + 1):
                held_kw = self.bench.twins[device_no].lowest_kw(connector_id, now_text)
                held = None if held_kw is None else round(held_kw * 1_000)
                assert held == min(watts, default=None), (device_no, connector_id, self.entries)


def live_through(deeds: list[Deed]) -> None:
    """Let two chargers live through a history on a store of its own."""

    async def whole(path: Path) -> None:
        bench = ControlBench(path)
        async with bench.database:
            await bench.add_site()
            bench.add_charger(1, "TP-AC22", connectors=1)
            bench.add_charger(2, "TP-DC180", connectors=2)
            await bench.restart()
            history = History(bench)
            for deed in [*deeds, Contact(1), Contact(2)]:
                await history.do(deed)
            bench.service.stop()

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(whole(Path(directory) / "tellus.db"))


@settings(max_examples=60, deadline=None)
@given(st.lists(DEEDS, min_size=1, max_size=25))
@example([Issue(50, 600), Contact(1), Issue(20, 30), Contact(1), Pass(60), Cancel(0), Contact(1)])
@example([Issue(50, 7_200), Pass(901), Restart(), Pass(901), Contact(2), Pass(901), Cancel(0)])
@example([Issue(50, 600, 30), Contact(2), Pass(15), Contact(2), Cancel(0), Contact(2), Pass(14)])
def test_limits__whatever_happens__the_lowest_in_force_is_held(deeds: list[Deed]) -> None:
    """Each connector's limit is the lowest of the controls that bind it then, and none after."""
    live_through(deeds)


def _end_without_cancelling(held: Held) -> int:
    return 0 if held.target.gone is not None else held.target.until_ms


def test_limits__platform_that_forgets_cancellations__is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The account catches a platform that goes on sending what was cancelled."""
    monkeypatch.setattr(rules, "end_of", _end_without_cancelling)
    with pytest.raises(AssertionError):
        live_through([Issue(50, 600), Contact(1), Cancel(0), Contact(1)])
