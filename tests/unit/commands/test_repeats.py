"""Control calls under an Idempotency-Key happen once."""

from collections.abc import Awaitable, Callable

import pytest

from tellus.commands.repeats import KeyReused
from tellus.kernel.errors import TooManyRequests
from tests.unit.commands.conftest import CommandBench

Run = Callable[[Callable[[CommandBench], Awaitable[None]]], None]


def test_issue__same_key_and_body__is_one_command_for_a_day(run_bench: Run) -> None:
    """A repeat gets the first answer as it was, also after a restart; later it is a new request."""

    async def check(bench: CommandBench) -> None:
        first = await bench.start(key="k", charge_power=7)
        await bench.heartbeat()
        await bench.restart()
        bench.clock.advance(86_399)
        assert await bench.start(key="k", charge_power=7.0) == first
        assert (first.device_online, len(await bench.rows("SELECT * FROM commands"))) == (False, 1)
        bench.clock.advance(2)
        later = await bench.start(key="k", charge_power=7)
        assert later.command_id != first.command_id

    run_bench(check)


def test_issue__same_key_for_something_else__is_refused(run_bench: Run) -> None:
    """Other values, another connector, device or operation: none of them is the first request."""

    async def check(bench: CommandBench) -> None:
        bench.add_device(2)
        await bench.start(key="k", charge_power=7)
        for other in (
            bench.start(key="k", charge_power=8),
            bench.start(key="k"),
            bench.start(2, key="k", charge_power=7),
            bench.start(1, "dvc_2", key="k", charge_power=7),
            bench.diagnose("reboot", key="k"),
        ):
            with pytest.raises(KeyReused):
                await other
        await bench.start(key="k", charge_power=8, client=("cl_2", "op_1"))
        assert len(await bench.rows("SELECT * FROM commands")) == 2

    run_bench(check)


def test_issue__key_beside_a_known_transaction__stands_for_that_request(run_bench: Run) -> None:
    """A key that met a known transaction answers the same from then on, and nothing else."""

    async def check(bench: CommandBench) -> None:
        first = await bench.start(transaction_id="t", charge_power=7)
        again = await bench.start(key="k", transaction_id="t", charge_power=7)
        assert again.command_id == first.command_id
        with pytest.raises(KeyReused):
            await bench.start(key="k", charge_power=9)
        assert len(await bench.rows("SELECT * FROM commands")) == 1

    run_bench(check)


def test_issue__refused_under_a_key__may_be_tried_again(run_bench: Run) -> None:
    """A failure is no answer to keep: nothing happened, so the key is still free."""

    async def check(bench: CommandBench) -> None:
        for _ in range(50):
            await bench.start()
        with pytest.raises(TooManyRequests):
            await bench.start(key="k")
        bench.clock.advance(120)
        issued = await bench.start(key="k")
        assert await bench.start(key="k") == issued

    run_bench(check)


def test_issue__key__is_kept_as_a_digest_and_not_for_ever(run_bench: Run) -> None:
    """The store holds no key that somebody chose badly, and forgets what is over a day old."""

    async def check(bench: CommandBench) -> None:
        await bench.start(key="my-secret")
        (row,) = await bench.rows("SELECT key_digest, body_digest, answer FROM request_keys")
        assert "my-secret" not in "".join(row)
        bench.clock.advance(86_400)
        await bench.start(key="another")
        assert len(await bench.rows("SELECT * FROM request_keys")) == 1

    run_bench(check)
