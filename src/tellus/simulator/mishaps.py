"""What is going to go wrong at one connector, until it is put right: nothing, as a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tellus.simulator.figures import default_figures

if TYPE_CHECKING:
    from random import Random


_SECOND_CLOSE = default_figures().injection.second_close_ratio


class Mishaps:
    """The troubles that wait for their occasion; an empty word means none.

    ``unexpected_end`` ends the next session (unplug, network, bms or lock). ``refusal`` is why the
    next vehicle will not discharge. ``stall`` is what keeps handshakes from ending: auth,
    vehicle (this one alone), connector (until it is reset) or contactor (until the next try).
    """

    __slots__ = ("refusal", "rng", "stall", "unexpected_end")

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.unexpected_end = ""
        self.refusal = ""
        self.stall = ""

    def try_again(self) -> None:
        """Let another try help a contactor that closes now and then."""
        if self.stall == "contactor" and self.rng.random() < _SECOND_CLOSE:
            self.stall = ""
