"""The clock that follows the database's."""

from tellus.kernel.clock import FollowingClock, ManualClock


def test_follow__two_seconds_behind__takes_over_the_time() -> None:
    """A machine whose clock is off has the database's time, and goes on at its own pace."""
    machine = ManualClock(1_000_000)
    clock = FollowingClock(machine)
    clock.follow(1_002_000)
    machine.advance(3)
    assert clock.now_ms() == 1_005_000
    clock.follow(1_004_000)
    assert clock.now_ms() == 1_004_000


def test_follow__within_the_measurements_error__stays() -> None:
    """Differences of a few milliseconds are those of the measurement: time does not jitter."""
    clock = FollowingClock(ManualClock(1_000_000))
    clock.follow(1_000_020)
    clock.follow(999_980)
    assert clock.now_ms() == 1_000_000
    assert clock.monotonic_s() == 1_000.0
