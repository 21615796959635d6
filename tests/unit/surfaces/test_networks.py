"""Which callers a client's list of networks admits."""

import ipaddress

import pytest

from tellus.surfaces.cors import is_in_networks

NETWORKS = (ipaddress.ip_network("192.0.2.0/24"), ipaddress.ip_network("2001:db8::/32"))


@pytest.mark.parametrize(
    ("address", "admitted"),
    [
        ("192.0.2.1", True),
        ("192.0.3.1", False),
        ("::ffff:192.0.2.1", True),
        ("::ffff:192.0.3.1", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("fe80::1%eth0", False),
        ("", False),
        ("unknown", False),
    ],
)
def test_is_in_networks__each_spelling_of_an_address__is_judged_as_the_same_caller(
    address: str, *, admitted: bool
) -> None:
    """An IPv4 caller is recognised on an IPv6 socket too; what is no address is in no network."""
    assert is_in_networks(address, NETWORKS) is admitted
