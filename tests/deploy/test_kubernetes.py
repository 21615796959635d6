"""The manifests for Kubernetes fit each other, the image and the settings."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tellus.cli.serve import check_exposure
from tellus.config import load_configuration
from tests.deploy.claims import DEPLOY, refuse_command

STOP_TAKES_S = 30
MANIFESTS = DEPLOY / "kubernetes"
NAMESPACE = "tellus"


def read(name: str) -> dict[str, Any]:
    """One manifest."""
    found: dict[str, Any] = yaml.safe_load((MANIFESTS / f"{name}.yaml").read_text())
    return found


def pod() -> dict[str, Any]:
    """What a pod of the deployment is."""
    spec: dict[str, Any] = read("deployment")["spec"]["template"]["spec"]
    return spec


def node() -> dict[str, Any]:
    """The container that serves."""
    [container] = pod()["containers"]
    found: dict[str, Any] = container
    return found


ALL = [path.stem for path in sorted(MANIFESTS.glob("*.yaml")) if path.stem != "kustomization"]


@pytest.mark.parametrize("name", ALL)
def test_manifest__read_as_yaml__says_what_it_is_and_where(name: str) -> None:
    """Each file is one object with a kind, a version and a name, in the namespace of all."""
    manifest = read(name)
    assert {"apiVersion", "kind", "metadata"} <= set(manifest)
    if name == "namespace":
        assert manifest["metadata"]["name"] == NAMESPACE
    else:
        assert manifest["metadata"]["namespace"] == NAMESPACE


def test_kustomization__resources__are_all_but_the_secret_and_what_is_optional() -> None:
    """One command applies the whole; the example of a secret is never applied by it."""
    resources = {Path(name).stem for name in read("kustomization")["resources"]}
    assert resources == set(ALL) - {"secret.example", "horizontalpodautoscaler"}


def test_kustomization__built_by_kubectl__gives_every_object() -> None:
    """The manifests are put together by kubectl without a complaint."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed here")
    done = subprocess.run(
        [kubectl, "kustomize", MANIFESTS], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    kinds = [one["kind"] for one in yaml.safe_load_all(done.stdout)]
    assert len(kinds) == len(read("kustomization")["resources"])
    assert "Deployment" in kinds


def test_node__command_and_settings__are_understood_and_may_serve() -> None:
    """Arguments, variables and settings together are a configuration that starts."""
    assert refuse_command(node()["args"]) == ""
    variables = dict(read("configmap")["data"])
    for variable in node()["env"]:
        variables[variable["name"]] = variable.get("value", "postgresql://u:p@host/name")
    flags = {"server.host": "0.0.0.0", "server.port": 8600}  # noqa: S104 - as the arguments say
    settings = load_configuration(flags, environment=variables).settings
    check_exposure(settings)
    assert str(settings.keys_file) == "/keys/keys.json"
    assert node()["args"][1:5] == ["--host", "0.0.0.0", "--port", "8600"]  # noqa: S104 - likewise
    assert [port["containerPort"] for port in node()["ports"]] == [8600]


def test_node__service_links__are_off() -> None:
    """A Service called tellus would set variables that tellus refuses."""
    assert pod()["enableServiceLinks"] is False


def test_node__probes__ask_what_each_is_for() -> None:
    """Traffic follows /readyz, restarts follow /livez, and a start may take minutes."""
    probes = {name: node()[f"{name}Probe"] for name in ("startup", "liveness", "readiness")}
    paths = {name: probe["httpGet"]["path"] for name, probe in probes.items()}
    assert paths == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}
    names = {port["name"] for port in node()["ports"]}
    assert {probe["httpGet"]["port"] for probe in probes.values()} <= names
    assert probes["startup"]["periodSeconds"] * probes["startup"]["failureThreshold"] >= 120


def test_node__stop__has_time_for_the_pause_and_for_what_it_takes() -> None:
    """The grace period covers the pause before the signal and the orderly stop after it."""
    pause_s = int(node()["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod()["terminationGracePeriodSeconds"] >= pause_s + STOP_TAKES_S + 5
    readiness = node()["readinessProbe"]
    assert pause_s > readiness["periodSeconds"] * readiness["failureThreshold"]


def test_node__rights__are_the_image_s_user_and_nothing_more() -> None:
    """Pods pass the restricted standard: no root, no rights to gain, nothing to write to."""
    user = pod()["securityContext"]["runAsUser"]
    assert f"\nUSER {user}:{user}\n" in (DEPLOY / "Dockerfile").read_text()
    assert pod()["securityContext"]["runAsNonRoot"] is True
    for container in [*pod()["containers"], *pod()["initContainers"]]:
        confined = container["securityContext"]
        assert confined["readOnlyRootFilesystem"] is True
        assert confined["allowPrivilegeEscalation"] is False
        assert confined["capabilities"] == {"drop": ["ALL"]}


def test_node__volumes__are_declared_and_used() -> None:
    """Every mount has its volume and every volume a mount."""
    containers = [*pod()["containers"], *pod()["initContainers"]]
    mounted = {mount["name"] for one in containers for mount in one["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod()["volumes"]}


def test_secret__keys_that_are_asked_for__are_in_the_example() -> None:
    """The example has what the deployment takes from the secret, and nothing else."""
    example = read("secret.example")
    wanted = {
        variable["valueFrom"]["secretKeyRef"]["key"]
        for variable in node()["env"]
        if "valueFrom" in variable
    }
    [volume] = [one["secret"] for one in pod()["volumes"] if "secret" in one]
    assert volume["secretName"] == example["metadata"]["name"]
    wanted |= {item["key"] for item in volume["items"]}
    assert wanted == set(example["stringData"])


def test_keys__of_the_secret__become_a_file_for_their_owner_alone() -> None:
    """Files of a secret are open to the group; the copy that is served from is not."""
    [copier] = pod()["initContainers"]
    assert copier["command"][:2] == ["install", "--mode=0600"]
    [setting] = [one for one in node()["env"] if one["name"] == "TELLUS_KEYS_FILE"]
    assert copier["command"][-1] == setting["value"]


def test_selectors__of_all_objects__find_the_pods() -> None:
    """Deployment, Service, budget and spreading speak of the same pods."""
    labels = read("deployment")["spec"]["template"]["metadata"]["labels"]
    assert read("deployment")["spec"]["selector"]["matchLabels"] == labels
    assert read("service")["spec"]["selector"] == labels
    assert read("poddisruptionbudget")["spec"]["selector"]["matchLabels"] == labels
    [spread] = pod()["topologySpreadConstraints"]
    [apart] = pod()["affinity"]["podAntiAffinity"].popitem()[1]
    assert spread["labelSelector"]["matchLabels"] == labels
    assert apart["podAffinityTerm"]["labelSelector"]["matchLabels"] == labels
    [port] = read("service")["spec"]["ports"]
    assert port["targetPort"] in {one["name"] for one in node()["ports"]}


def test_rollout__of_a_release__never_has_fewer_nodes_than_before() -> None:
    """A node is added before one is taken away, and other work takes one at a time."""
    spec = read("deployment")["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert spec["replicas"] > read("poddisruptionbudget")["spec"]["maxUnavailable"]
    scaled = read("horizontalpodautoscaler")["spec"]
    assert scaled["scaleTargetRef"]["name"] == read("deployment")["metadata"]["name"]
    assert scaled["minReplicas"] >= spec["replicas"]
