"""What presence has found out and not yet stored is stored before the end."""

from typing import Any

from tellus.identity.model import SecretOverdue


def test_flush__events_wait_to_be_stored__stores_all_of_them(run_bench: Any) -> None:
    """An orderly stop right after many findings of the platform loses none of them."""

    async def check(bench: Any) -> None:
        device = await bench.device()
        now_ms = bench.clock.now_ms()
        for number in range(450):
            bench.presence.note_overdue(SecretOverdue(device.device_no, now_ms + number, now_ms))
        await bench.presence.flush(now_ms)
        (stored,) = await bench.rows("SELECT count(*) FROM events WHERE event_type = 'alarm'")
        assert stored == (450,)

    run_bench(check)
