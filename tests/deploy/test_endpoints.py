"""The paths that files for deployment ask of a node are answered by it."""

import re
from pathlib import Path

import httpx

from tests.deploy.claims import list_files
from tests.server import running_server

_PATHS = (
    re.compile(r"path: (/[\w/-]+)"),
    re.compile(r"httpchk GET (/[\w/-]+)"),
    re.compile(r"http://127\.0\.0\.1:8600(/[\w/-]+)"),
)


def paths_in(text: str) -> set[str]:
    """The paths that probes and checks in ``text`` ask for."""
    return {path for pattern in _PATHS for path in pattern.findall(text)}


def test_probes__of_all_files__are_answered_by_a_node(tmp_path: Path) -> None:
    """Probes of Kubernetes, HAProxy and the image ask for paths that say 200."""
    asked = set().union(*(paths_in(path.read_text()) for path in list_files()))
    assert asked == {"/livez", "/readyz"}
    with running_server(tmp_path / "data") as server:
        answers = {path: httpx.get(server.base_url + path).status_code for path in asked}
        assert answers == {"/livez": 200, "/readyz": 200}
        assert httpx.get(f"{server.base_url}/healthz").status_code == 404
