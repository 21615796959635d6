"""A server into which a fault is planted, for harnesses to show that they would find one."""

from pathlib import Path

from tests.server import RunningServer, start_server


def start_broken(data_dir: Path, source: str, *arguments: str) -> RunningServer:
    """Start a server that runs the Python ``source`` first; none when it is empty."""
    if not source:
        return start_server(data_dir, *arguments)
    planted = data_dir.parent / "planted"
    planted.mkdir(exist_ok=True)
    (planted / "sitecustomize.py").write_text(source)
    return start_server(data_dir, *arguments, environment={"PYTHONPATH": str(planted)})
