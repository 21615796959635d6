"""What identity decides, case by case."""

import pytest

from tellus.identity.model import ClientSecret, DeviceSecret
from tellus.identity.rules import (
    SwapUnderWay,
    admits,
    check_origins,
    find_secret,
    next_ms,
    parse_networks,
    secrets_after_issue,
    secrets_after_swap,
    secrets_after_use,
)
from tellus.kernel.errors import InvalidParameter

NOW = 1_000_000_000
DAY = 86_400_000


def device_secret(name: str, used: int | None = None, retires: int | None = None) -> DeviceSecret:
    """A secret of a device."""
    return DeviceSecret(name, name.encode(), NOW - 5, NOW + 365 * DAY, used, retires)


def client_secret(name: str, used: int | None = None, retires: int | None = None) -> ClientSecret:
    """A secret of a client."""
    return ClientSecret(name, name.encode(), NOW - 5, used, retires)


@pytest.mark.parametrize(
    ("held", "kept"),
    [
        ([], ["new"]),
        ([("a", None, None)], ["new"]),
        ([("a", 1, None)], ["a", "new"]),
        ([("a", 1, None), ("b", None, None)], ["a", "new"]),
        ([("a", 1, NOW + 1), ("b", 2, None)], ["a", "b", "new"]),
        ([("a", 1, NOW), ("b", 2, None)], ["b", "new"]),
    ],
)
def test_secrets_after_issue__by_use_of_the_others__keeps_those_in_use(
    held: list[tuple[str, int | None, int | None]], kept: list[str]
) -> None:
    """A new secret replaces unused ones and those that have retired, and nothing else."""
    secrets = [device_secret(*one) for one in held]
    after = secrets_after_issue(secrets, device_secret("new"), NOW, replace_unused=True)
    assert [one.secret_id for one in after] == kept
    assert list(after[:-1]) == [one for one in secrets if one.secret_id in kept]


def test_secrets_after_issue__unused_ones_to_be_kept__keeps_them() -> None:
    """Where asked, an unused secret stays beside the new one."""
    after = secrets_after_issue([device_secret("a")], device_secret("b"), NOW, replace_unused=False)
    assert [one.secret_id for one in after] == ["a", "b"]


@pytest.mark.parametrize(
    ("held", "used", "expected"),
    [
        ([("a", None, None)], "a", [("a", NOW, None)]),
        ([("a", 1, None)], "a", [("a", 1, None)]),
        ([("a", 1, None), ("b", None, None)], "b", [("a", 1, NOW + DAY), ("b", NOW, None)]),
        ([("a", 1, None), ("b", None, None)], "a", [("a", 1, None), ("b", None, None)]),
        ([("a", 1, NOW + 9), ("b", None, None)], "b", [("a", 1, NOW + 9), ("b", NOW, None)]),
        ([("a", None, None), ("b", None, None)], "b", [("b", NOW, None)]),
        ([("a", None, None), ("b", None, None)], "a", [("a", NOW, None), ("b", None, None)]),
        ([("a", 1, NOW), ("b", None, None)], "b", [("b", NOW, None)]),
    ],
)
def test_secrets_after_use__by_age_and_use__retires_the_older_ones(
    held: list[tuple[str, int | None, int | None]],
    used: str,
    expected: list[tuple[str, int | None, int | None]],
) -> None:
    """First use retires older secrets: a day later those in use, at once the unused ones."""
    after = secrets_after_use([device_secret(*one) for one in held], used, NOW)
    assert list(after) == [device_secret(*one) for one in expected]


def test_secrets_after_use__overdue__is_marked_once() -> None:
    """An overdue secret is marked at its next use, and the mark stays."""
    overdue = DeviceSecret("a", b"a", 0, NOW, 1)
    marked = secrets_after_use([overdue], "a", NOW)
    assert marked[0].overdue_told_ms == NOW
    assert secrets_after_use(marked, "a", NOW + 5) == marked
    assert secrets_after_use([overdue], "a", NOW - 1)[0].overdue_told_ms is None


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ([], [("new", None, None)]),
        ([("a", 1, None)], [("a", 1, NOW + 60_000), ("new", None, None)]),
        ([("a", None, None)], [("a", None, NOW + 60_000), ("new", None, None)]),
        (
            [("a", 1, NOW + 5), ("b", None, None)],
            [("a", 1, NOW + 60_000), ("new", None, None)],
        ),
        (
            [("a", None, None), ("b", None, None)],
            [("a", None, NOW + 60_000), ("new", None, None)],
        ),
        (
            [("a", 1, NOW), ("b", 1, None)],
            [("a", 1, NOW), ("b", 1, NOW + 60_000), ("new", None, None)],
        ),
        (
            [("a", 1, NOW - DAY), ("b", 1, None)],
            [("b", 1, NOW + 60_000), ("new", None, None)],
        ),
    ],
)
def test_secrets_after_swap__by_use__keeps_two_live_at_most(
    held: list[tuple[str, int | None, int | None]],
    expected: list[tuple[str, int | None, int | None]],
) -> None:
    """The secret in use gets the overlap, the newest unused one gives way, old ones fade out."""
    secrets = [client_secret(*one) for one in held]
    after = secrets_after_swap(secrets, client_secret("new"), NOW, 60)
    assert list(after) == [client_secret(*one) for one in expected]


def test_secrets_after_swap__two_in_use__is_refused() -> None:
    """A third live secret is refused."""
    held = [client_secret("a", 1, NOW + 5), client_secret("b", 1)]
    with pytest.raises(SwapUnderWay):
        secrets_after_swap(held, client_secret("new"), NOW, 60)


def test_find_secret__retired_or_other__finds_none() -> None:
    """A verifier finds its own live secret and nothing else, whatever its length."""
    held = [client_secret("a", 1, NOW), client_secret("b")]
    assert find_secret(held, b"b", NOW) is held[1]
    assert find_secret(held, b"a", NOW - 1) is held[0]
    for verifier in (b"a", b"", b"bb", bytes(32)):
        assert find_secret(held, verifier, NOW) is None


def test_next_ms__same_instant__goes_up() -> None:
    """Creation times strictly rise, even where the clock stands still or goes back."""
    assert next_ms(NOW, []) == NOW
    assert next_ms(NOW, [NOW, NOW - 5]) == NOW + 1
    assert next_ms(NOW, [NOW + 7]) == NOW + 8


def test_admits__networks_of_both_kinds__decide_by_address() -> None:
    """An empty list admits all; otherwise one network must hold the address."""
    networks = parse_networks(["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"])
    inside = ["192.0.2.200", "2001:db8::9", "198.51.100.7", "::ffff:192.0.2.1"]
    outside = ["192.0.3.1", "2001:db9::", "198.51.100.8", "", "host", "192.0.2.1/24"]
    assert all(admits(networks, address) for address in inside)
    assert not any(admits(networks, address) for address in outside)
    assert admits((), "anything")


@pytest.mark.parametrize("origin", ["https://a.example", "http://localhost:8080", "http://[::1]:8"])
def test_check_origins__origin_of_a_browser__is_taken(origin: str) -> None:
    """Scheme, host and port make an origin."""
    check_origins([origin])


@pytest.mark.parametrize(
    "origin", ["*", "null", "a.example", "https://a/b", "https://a?", "ftp://a", "https://", "x\n"]
)
def test_check_origins__anything_else__is_refused(origin: str) -> None:
    """A wildcard, a path or another scheme is no origin."""
    with pytest.raises(InvalidParameter):
        check_origins([origin])
