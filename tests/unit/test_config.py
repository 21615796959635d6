"""Settings come from flag, environment, file and default, in that order."""

from pathlib import Path

import pytest

from tellus.config import ConfigurationError, load_configuration


def test_configuration__list_in_the_environment__is_split_at_commas() -> None:
    """A list may be written with commas or as JSON."""
    name = "TELLUS_SERVER__TRUSTED_PROXIES"
    plain = load_configuration(environment={name: "10.0.0.1, 10.1.0.0/16"}, file=None)
    listed = load_configuration(environment={name: '["10.0.0.1", "10.1.0.0/16"]'}, file=None)
    assert plain.settings.server.trusted_proxies == ("10.0.0.1", "10.1.0.0/16")
    assert listed.settings.server.trusted_proxies == ("10.0.0.1", "10.1.0.0/16")


def test_configuration__process_environment__is_read_through_one_door(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the process has in its environment counts only where the environment is asked for."""
    monkeypatch.setenv("TELLUS_SERVER__PORT", "9000")
    monkeypatch.setenv("TELLUS_SERVER__TRUSTED_PROXIES", "10.0.0.1")
    assert load_configuration(environment={}).settings.server.port == 8600
    assert load_configuration().settings.server.port == 9000
    assert load_configuration({"server.port": 1}).settings.server.port == 1
    assert load_configuration().settings.server.trusted_proxies == ("10.0.0.1",)


def test_configuration__flag_environment_and_file__go_in_that_order(tmp_path: Path) -> None:
    """A flag goes before the environment, that before the file; each value tells its origin."""
    file = tmp_path / "tellus.toml"
    file.write_text('[server]\nport = 1\nhost = "127.0.0.2"\n[log]\nlevel = "error"\n')
    environment = {"TELLUS_SERVER__PORT": "2", "TELLUS_SERVER__HOST": "127.0.0.3"}
    found = load_configuration({"server.port": 3}, environment, file)
    server, log = found.settings.server, found.settings.log
    assert (server.port, server.host, log.level) == (3, "127.0.0.3", "error")
    assert found.origins["server.port"] == "flag"
    assert found.origins["server.host"] == "environment"
    assert found.origins["log.level"] == "file"
    assert "server.keep_alive_s" not in found.origins


def test_configuration__unknown_key__is_refused() -> None:
    """A misspelt setting is an error that names it."""
    with pytest.raises(ConfigurationError, match="TELLUS_SERVER__PROT"):
        load_configuration(environment={"TELLUS_SERVER__PROT": "1"})
    with pytest.raises(ConfigurationError, match=r"server\.prot"):
        load_configuration({"server.prot": 1}, environment={})
