"""The limiter: published figures, overrides, scale, and who is exempt."""

import pytest

from tellus.kernel.call import Audience, Principal
from tellus.kernel.errors import TooManyRequests
from tellus.kernel.limits import RATES, apply_limits, network_of, window_of
from tellus.surfaces.ratelimit import Limiter
from tellus.surfaces.routes import LimitClass


def client(**limits: int) -> Principal:
    """A client with limits of its own."""
    principal = Principal(Audience.OPERATOR, "cli_1", "op_1")
    principal.limits = limits
    return principal


def accepted(limiter: Limiter, principal: Principal, limit_class: LimitClass, now_s: float) -> int:
    """How many calls get through at one instant before the first is refused."""
    for count in range(100_000):
        try:
            limiter.check_principal(principal, limit_class, now_s)
        except TooManyRequests:
            return count
    return -1


@pytest.mark.parametrize(
    ("limit_class", "limit", "period_s"),
    [
        (LimitClass.QUERIES, 60, 60),
        (LimitClass.CONTROL, 60, 60),
        (LimitClass.BATCH_CONTROL, 30, 60),
        (LimitClass.TOKEN, 10, 60),
        (LimitClass.DEVICE_HOT, 10, 1),
        (LimitClass.DEVICE_OTHER, 60, 60),
        (LimitClass.DEVICE_BATCH, 2, 1),
    ],
)
def test_check_principal__each_class__has_the_published_figures(
    limit_class: LimitClass, limit: int, period_s: int
) -> None:
    """Every class lets its limit through in a period, and more once the period is over."""
    limiter, principal = Limiter(), client()
    assert accepted(limiter, principal, limit_class, 1000.0) == limit
    with pytest.raises(TooManyRequests) as caught:
        limiter.check_principal(principal, limit_class, 1000.0 + period_s - 0.25)
    assert caught.value.details == {"retry_after_seconds": 1}
    assert accepted(limiter, principal, limit_class, 1000.0 + period_s) == limit


def test_rates__every_class__has_one() -> None:
    """Each class of the route tables but ``none`` has its figures, and no others exist."""
    assert set(RATES) == {one.value for one in LimitClass} - {"none"}


def test_check_principal__class_none__is_never_limited() -> None:
    """Routes without a class are not counted."""
    limiter, principal = Limiter(scale=0.001), client()
    for _ in range(1000):
        limiter.check_principal(principal, LimitClass.NONE, 1.0)
    assert principal.windows == {}


def test_check_principal__classes_and_principals__do_not_share() -> None:
    """A full class takes nothing from another class or another principal."""
    limiter, first, second = Limiter(), client(), client()
    assert accepted(limiter, first, LimitClass.QUERIES, 1.0) == 60
    assert accepted(limiter, first, LimitClass.CONTROL, 1.0) == 60
    assert accepted(limiter, second, LimitClass.QUERIES, 1.0) == 60


def test_check_principal__retry_after__is_enough() -> None:
    """A caller that waits as long as it is told gets through."""
    limiter, principal = Limiter(), client(queries=2)
    limiter.check_principal(principal, LimitClass.QUERIES, 10.3)
    limiter.check_principal(principal, LimitClass.QUERIES, 11.9)
    with pytest.raises(TooManyRequests) as caught:
        limiter.check_principal(principal, LimitClass.QUERIES, 12.0)
    assert caught.value.retry_after_s == 59
    limiter.check_principal(principal, LimitClass.QUERIES, 12.0 + 59)


@pytest.mark.parametrize(
    ("scale", "own", "expected"),
    [(1, 5, 5), (10, None, 600), (10, 5, 50), (0.5, 5, 2), (1e-9, 5, 1)],
)
def test_check_principal__own_limit_and_scale__multiply(
    scale: float, own: int | None, expected: int
) -> None:
    """A client's own limit replaces the published one, and the scale multiplies either."""
    principal = client() if own is None else client(queries=own)
    assert accepted(Limiter(scale), principal, LimitClass.QUERIES, 1.0) == expected


def test_apply_limits__while_in_use__counts_on() -> None:
    """Raising a limit opens the difference at once; lowering it forgives nothing."""
    limiter, principal = Limiter(), client()
    assert accepted(limiter, principal, LimitClass.QUERIES, 1.0) == 60
    apply_limits(principal, {"queries": 70})
    assert accepted(limiter, principal, LimitClass.QUERIES, 2.0) == 10
    apply_limits(principal, {})
    assert accepted(limiter, principal, LimitClass.QUERIES, 61.0) == 50
    assert window_of(principal, "queries").limit == 60


def test_check_unauthenticated__burst_and_rate__per_address() -> None:
    """An address sends 500 at once and 50 a second; another is not touched by it."""
    limiter = Limiter()

    def accepted_from(address: str, now_s: float) -> int:
        for count in range(1000):
            try:
                limiter.check_unauthenticated(address, now_s)
            except TooManyRequests:
                return count
        return -1

    assert accepted_from("203.0.113.7", 1.0) == 500
    assert accepted_from("203.0.113.7", 2.0) == 50
    assert accepted_from("203.0.113.8", 2.0) == 500
    assert accepted_from("2001:db8::1", 2.0) == 500
    assert accepted_from("2001:db8::2", 2.0) == 0
    assert accepted_from("127.0.0.1", 2.0) == -1


def test_check_unauthenticated__scaled__multiplies_rate_and_burst() -> None:
    """The scale holds before authentication too."""
    limiter = Limiter(scale=2.0)
    for _ in range(1000):
        limiter.check_unauthenticated("203.0.113.7", 1.0)
    with pytest.raises(TooManyRequests):
        limiter.check_unauthenticated("203.0.113.7", 1.0)
    for _ in range(100):
        limiter.check_unauthenticated("203.0.113.7", 2.0)


@pytest.mark.parametrize(
    ("address", "exempt"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.1.2.3", True),
        ("10.2.0.1", False),
        ("2001:db8:5::9", True),
        ("203.0.113.7", False),
        ("", False),
        ("unix:", False),
    ],
)
def test_is_exempt__loopback_and_trusted_proxies__only(address: str, *, exempt: bool) -> None:
    """Loopback and the configured proxies are exempt; what is no address is not."""
    limiter = Limiter(exempt=["10.1.0.0/16", "2001:db8:5::/48"])
    assert limiter.is_exempt(address) is exempt
    assert limiter.is_exempt(address) is exempt


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:0:1:aaaa::1", "2001:db8:0:1::/64"),
        ("2001:db8:0:1::", "2001:db8:0:1::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("a:b", "a:b"),
    ],
)
def test_network_of__any_address__names_one_caller(address: str, network: str) -> None:
    """IPv6 callers count by their /64 network, IPv4 ones by address in either notation."""
    assert network_of(address) == network
