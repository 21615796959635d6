"""Settings that would only be found wrong once the server starts."""

import pytest

from tellus.config import ConfigurationError, load_configuration


@pytest.mark.parametrize("entry", ["proxy.example.com", "10.0.0.0/33", "10.0.0", "*"])
def test_trusted_proxies__no_network__is_refused_by_name(entry: str) -> None:
    """What is no address and no network is a fault of the configuration, told as one."""
    with pytest.raises(ConfigurationError, match=r"server\.trusted_proxies"):
        load_configuration({}, environment={"TELLUS_SERVER__TRUSTED_PROXIES": entry})


def test_trusted_proxies__address_within_a_network__stands_for_the_network() -> None:
    """Every part of the platform sees the same networks, also where host bits were given."""
    given = "10.1.2.3/8, 192.0.2.1, 2001:db8::5/64"
    loaded = load_configuration({}, environment={"TELLUS_SERVER__TRUSTED_PROXIES": given})
    networks = ("10.0.0.0/8", "192.0.2.1", "2001:db8::/64")
    assert loaded.settings.server.trusted_proxies == networks
