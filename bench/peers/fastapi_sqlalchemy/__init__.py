"""A plain FastAPI and SQLAlchemy service, run in an environment of its own."""

import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.processes import Server, SkippedError, free_port, serving

_HERE = Path(__file__).parent
_INSTALL_S = 300


def environment() -> Path:
    """Return the interpreter of the peer's environment, which is made at its first use.

    Raises:
        SkippedError: its packages cannot be installed here.
    """
    wanted = (_HERE / "requirements.txt").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "tellus-bench" / f"fastapi-{hashlib.sha256(wanted).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    if (folder / "ready").exists():
        return python
    print("preparing the environment of the FastAPI peer", flush=True)
    words = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run(
            [*words, "--requirement", str(_HERE / "requirements.txt")],
            check=True,
            timeout=_INSTALL_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SkippedError(f"the FastAPI peer cannot be installed: {error}") from None
    (folder / "ready").touch()
    return python


@contextlib.contextmanager
def fastapi_sqlalchemy(folder: Path, tokens: Sequence[str]) -> Iterator[Server]:
    """Run the service in ``folder``; it knows ``tokens``."""
    python = environment()
    (folder / "peer_tokens.txt").write_text(
        "".join(f"{number} {token}\n" for number, token in enumerate(tokens))
    )
    port = free_port()
    command = [
        str(python), "-m", "uvicorn", "app:app", "--app-dir", str(_HERE), "--host", "127.0.0.1",
        "--port", str(port), "--loop", "uvloop", "--http", "httptools", "--no-access-log",
        "--log-level", "warning", "--timeout-keep-alive", "75",
    ]  # fmt: skip
    variables = {"PEER_FOLDER": str(folder)}
    with serving(command, port, folder / "fastapi.log", environment=variables) as server:
        yield server
