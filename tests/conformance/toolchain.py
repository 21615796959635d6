"""Foreign tools in folders of their own: nothing of them enters the project's environment."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

PYTHON_PACKAGES = (
    "openapi-python-client==0.29.1",
    "authlib==1.9.6",
    "requests==2.34.2",
    "websocket-client==1.9.2",
)
NODE_PACKAGES = (
    "openapi-typescript@7.13.0",
    "openapi-fetch@0.17.0",
    "typescript@5.9.3",
    "ws@8.23.0",
    "@types/ws@8.18.2",
    "@types/node@20.9.5",
    "jsdom@26.1.0",
)
INSTALL_WITHIN_S = 150.0
RUN_WITHIN_S = 90.0

SCRIPTS = Path(__file__).parent / "scripts"
PUBLISHED = Path(__file__).parents[3] / "shared" / "spec" / "published-openapi-v1.3.json"


def published_file() -> Path:
    """The published contract, or a skip where it is not at hand."""
    if not PUBLISHED.is_file():
        pytest.skip(f"the published contract is not at hand: {PUBLISHED.name}")
    return PUBLISHED


def run(
    command: Sequence[str | Path],
    folder: Path,
    environment: Mapping[str, str] | None = None,
    within_s: float = RUN_WITHIN_S,
) -> str:
    """Run a program that has to succeed; return what it wrote on both streams."""
    done = _run(command, folder, environment, within_s)
    assert done.returncode == 0, f"{Path(command[0]).name} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def _run(
    command: Sequence[str | Path],
    folder: Path,
    environment: Mapping[str, str] | None,
    within_s: float,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )


def install_python(folder: Path) -> Path:
    """Make an environment with the foreign Python tools; return its folder of programs.

    Skips the test where the package index is out of reach.
    """
    run([sys.executable, "-m", "venv", folder], folder.parent)
    programs = folder / "bin"
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
    brief = ("--retries", "1", "--timeout", "10")
    command = [programs / "python", "-m", "pip", "install", *quiet, *brief, *PYTHON_PACKAGES]
    _install(command, folder.parent, "Python")
    return programs


def install_node(folder: Path) -> Path:
    """Install the foreign Node tools; return their folder of programs, or skip likewise."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("Node.js and npm are not installed")
    (folder / "package.json").write_text('{"name": "conformance", "private": true}')
    quiet = ("--no-audit", "--no-fund", "--silent", "--ignore-scripts")
    brief = ("--fetch-retries", "1", "--fetch-timeout", "20000")
    _install(["npm", "install", *quiet, *brief, *NODE_PACKAGES], folder, "Node")
    return folder / "node_modules" / ".bin"


def _install(command: Sequence[str | Path], folder: Path, language: str) -> None:
    try:
        done = _run(command, folder, None, INSTALL_WITHIN_S)
    except subprocess.TimeoutExpired:
        pytest.skip(f"the {language} packages did not arrive in {INSTALL_WITHIN_S:.0f} s")
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        pytest.skip(f"the {language} packages cannot be had here: {last[:200]}")
