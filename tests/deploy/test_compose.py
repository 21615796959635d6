"""compose.yaml and the Dockerfile fit each other, the proxy's sample and the settings."""

import re
from ipaddress import ip_address, ip_network
from typing import Any

import yaml

import tellus
from tellus.cli.serve import check_exposure
from tellus.config import load_configuration
from tests.deploy.claims import DEPLOY
from tests.docs.markdown import REPOSITORY

STOP_TAKES_S = 30
NODES = ("node1", "node2")
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()


def compose() -> dict[str, Any]:
    """The file as Compose reads it."""
    read: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return read


def services() -> dict[str, Any]:
    """The services by name."""
    found: dict[str, Any] = compose()["services"]
    return found


def image_environment() -> dict[str, str]:
    """The settings that the image brings."""
    return dict(re.findall(r"\b(TELLUS_\w+)=(\S+)", DOCKERFILE))


def address_of(name: str) -> str:
    """The fixed address of a service."""
    address: str = services()[name]["networks"]["inside"]["ipv4_address"]
    return address


def test_compose__what_services_name__is_declared() -> None:
    """Services, volumes and networks that are referred to exist; nothing is declared in vain."""
    read = compose()
    used_volumes, used_networks = set(), set()
    for service in read["services"].values():
        assert set(service.get("depends_on", ())) <= set(read["services"])
        used_networks |= set(service["networks"])
        sources = [str(volume).split(":")[0] for volume in service.get("volumes", ())]
        used_volumes |= {source for source in sources if not source.startswith(".")}
        for source in sources:
            below = (DEPLOY / source).resolve()
            assert not source.startswith("./proxies") or below.is_file(), source
    assert used_volumes == set(read["volumes"])
    assert used_networks == set(read["networks"])


def test_compose__settings_of_a_node__are_loaded_and_may_serve() -> None:
    """The variables of image and service together are a configuration that starts."""
    for name in NODES:
        variables = image_environment() | services()[name]["environment"]
        variables["TELLUS_DATABASE__URL"] = "postgresql://tellus:word@postgres/tellus"
        settings = load_configuration(environment=variables).settings
        check_exposure(settings)
        assert str(settings.key_file) == "/keys/keys.json"
        assert settings.server.trusted_proxies == (address_of("haproxy"),)
        assert f"{name}:{settings.data_dir}" in services()[name]["volumes"]


def test_compose__database__is_the_one_that_nodes_are_told_of() -> None:
    """User, name and host in the URL are those of the service; the release is 15 or newer."""
    postgres = services()["postgres"]
    url = services()["node1"]["environment"]["TELLUS_DATABASE__URL"]
    user, name = (postgres["environment"][f"POSTGRES_{what}"] for what in ("USER", "DB"))
    assert re.fullmatch(rf"postgresql://{user}:\$\{{[^}}]+\}}@postgres/{name}", url)
    assert int(re.match(r"postgres:(\d+)\.", postgres["image"])[1]) >= 15  # type: ignore[index]


def test_compose__addresses__are_those_of_the_proxy_sample() -> None:
    """The sample for several nodes sends to the nodes of this file, on the port they listen on."""
    [subnet] = compose()["networks"]["inside"]["ipam"]["config"]
    nodes = [address_of(name) for name in NODES]
    for address in [*nodes, address_of("haproxy")]:
        assert ip_address(address) in ip_network(subnet["subnet"])
    sample = (DEPLOY / "proxies" / "haproxy" / "several-nodes.cfg").read_text()
    port = image_environment()["TELLUS_SERVER__PORT"]
    assert set(re.findall(r"^ +server \S+ (\S+)", sample, re.MULTILINE)) == {
        f"{address}:{port}" for address in nodes
    }


def test_compose__stop_of_a_node__is_given_longer_than_it_takes() -> None:
    """No node is killed in the middle of an orderly stop."""
    for name in NODES:
        assert int(services()[name]["stop_grace_period"].removesuffix("s")) > STOP_TAKES_S


def test_compose__first_node__goes_before_the_second() -> None:
    """The database and the keys are there before any node, and the first before the rest."""
    conditions = {"postgres": "service_healthy", "keys": "service_completed_successfully"}
    first, second = (services()[name]["depends_on"] for name in NODES)
    assert {name: need["condition"] for name, need in first.items()} == conditions
    assert second == first | {"node1": {"condition": "service_healthy"}}


def test_image__its_tag__is_this_release() -> None:
    """What is built is named like what it holds, wherever it is named."""
    tag = f"tellus:{tellus.__version__}"
    manifest = (DEPLOY / "kubernetes" / "deployment.yaml").read_text()
    for text in (DOCKERFILE, (DEPLOY / "compose.yaml").read_text(), manifest):
        assert set(re.findall(r"\btellus:\d[\w.]*", text)) == {tag}


def test_image__stages__start_from_one_pinned_base_and_end_without_root() -> None:
    """Both stages use the same exact release of Python; the last one runs as a user of its own."""
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.1[1-3]\.\d+-slim-\w+", bases[0])
    last = DOCKERFILE.rpartition("FROM ")[2]
    [user] = re.findall(r"^USER (\d+):\d+$", last, re.MULTILINE)
    assert f"--uid {user} " in last
    assert int(user) > 0


def test_image__files_copied_into_it__exist_and_are_let_in() -> None:
    """What the build copies is in the repository, and not kept from it by the ignore file."""
    [*copied] = re.findall(r"^COPY (?!--from)(.+) \./?\w*$", DOCKERFILE, re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert names == {line[1:] for line in ignored if line.startswith("!")}
    assert all((REPOSITORY / name).exists() for name in names)
