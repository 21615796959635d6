"""Rotation of a device's secret, cut at every point."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tellus.identity import rules
from tellus.identity.attempts import FailedAttempts
from tellus.identity.service import BadCredentials
from tests.unit.identity.conftest import IdentityBench

RunBench = Callable[[Callable[[IdentityBench], Awaitable[None]]], None]

DAY_S = 86_400


class CautiousCharger:
    """A charger that follows the rotation as documented: it keeps what worked until new works."""

    def __init__(self, bench: IdentityBench, device_no: int) -> None:
        self._bench = bench
        self._device_no = device_no
        self.held: list[str] = []  # newest first
        self.in_use = False

    async def register(self, cut: str) -> None:
        if cut != "request lost":
            issued = await self._bench.device(self._device_no)
            if cut == "none":
                self.held = [issued.text]

    async def rotate(self, cut: str) -> None:
        if cut != "request lost":
            fresh = await self._bench.rotate(self._device_no)
            if cut == "none":
                self.held = [fresh, *self.held]

    async def token(self, cut: str) -> None:
        if cut != "request lost":
            good = await self.find_good()
            if cut == "none" and good is not None:
                self.held = [good]

    async def find_good(self) -> str | None:
        """The newest secret held that still gets a token."""
        for secret in self.held:
            try:
                await self._bench.device_token(secret, self._device_no)
            except BadCredentials:
                continue
            return secret
        return None


CUTS = ("none", "request lost", "answer lost")


STEPS = tuple(itertools.product(("rotate", "token"), CUTS))


async def locked_out(bench: IdentityBench, length: int, pause_s: float) -> tuple[int, int]:
    """Play every sequence of rotations and tokens, each cut at every point, on a device each.

    Returns how many sequences there were and how many left their charger without a way in.
    """
    sequences = list(itertools.product(STEPS, repeat=length))
    few_at_once = asyncio.Semaphore(32)

    async def begin(device_no: int) -> CautiousCharger:
        async with few_at_once:
            charger = CautiousCharger(bench, device_no)
            await charger.register("answer lost")
            await charger.register("none")
            await charger.token("answer lost")
            await charger.token("none")
            return charger

    async def do(charger: CautiousCharger, act: str, cut: str) -> None:
        async with few_at_once:
            await getattr(charger, act)(cut)

    chargers = await asyncio.gather(*(begin(k + 1) for k in range(len(sequences))))
    for step in range(length):
        bench.clock.advance(pause_s)
        await asyncio.gather(
            *(do(one, *steps[step]) for one, steps in zip(chargers, sequences, strict=True))
        )
    bench.clock.advance(pause_s)
    return len(sequences), [await charger.find_good() for charger in chargers].count(None)


@pytest.mark.parametrize("pause_s", [0.001, DAY_S + 1])
def test_rotation__cut_at_every_point__locks_no_charger_out(
    run_bench: RunBench, pause_s: float
) -> None:
    """Whatever request or answer is lost, a charger that keeps what worked gets in."""

    async def test(bench: IdentityBench) -> None:
        bench.service._state.attempts = FailedAttempts(scale=1e6)
        sequences, out = await locked_out(bench, 4, pause_s)
        assert sequences == 6**4
        assert out == 0

    run_bench(test)


def test_rotation__rule_that_retires_too_early__is_caught(
    run_bench: RunBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The harness above finds lock-outs where a rotation ends the old secret at once."""

    def eager(secrets: Any, fresh: Any, now_ms: int, *, replace_unused: bool) -> tuple[Any, ...]:
        return (fresh,)

    monkeypatch.setattr(rules, "secrets_after_issue", eager)

    async def test(bench: IdentityBench) -> None:
        bench.service._state.attempts = FailedAttempts(scale=1e6)
        _, out = await locked_out(bench, 2, 0.001)
        assert out > 0

    run_bench(test)
