"""Runs documents as a reader does: block after block into one shell, or one Python prompt."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.docs.markdown import Block

_WITHIN_S = 120

_PYTHON = """
import code, contextlib, json, os, sys

class Prompt(code.InteractiveConsole):
    def showtraceback(self):
        super().showtraceback()
        sys.stderr.flush()
        os._exit(1)
    def showsyntaxerror(self, *rest, **more):
        super().showsyntaxerror(*rest, **more)
        sys.stderr.flush()
        os._exit(1)

prompt = Prompt()
for number, text in enumerate(json.load(open(sys.argv[1]))):
    with open(f"{sys.argv[1]}.{number}", "w") as out:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            more = False
            for line in text.splitlines():
                more = prompt.push(line)
            if more:
                print("the prompt waits for more: end the block with an empty line")
                out.flush()
                os._exit(1)
"""


class Pasted(NamedTuple):
    """A block that was run, and what it printed."""

    block: Block
    output: str


def paste_into_shell(
    blocks: list[Block], folder: Path, *, prefix: Sequence[str] = (), **variables: str
) -> list[Pasted]:
    """Run shell blocks one after the other in one shell; a command that fails fails the test.

    ``prefix`` is what starts the shell, where it has to run as somebody else.
    """
    script = ["set -eo pipefail"]
    for number, block in enumerate(blocks):
        (folder / f".block.{number}").write_text(block.text)
        script.append(f". ./.block.{number} >.printed.{number} 2>&1")
    command = [*prefix, "bash", "-c", "\n".join(script)]
    return _run(command, blocks, folder, ".printed", variables)


def paste_into_python(blocks: list[Block], folder: Path, **variables: str) -> list[Pasted]:
    """Type Python blocks into one prompt, line by line; an exception fails the test."""
    (folder / ".typed").write_text(json.dumps([block.text for block in blocks]))
    command = [sys.executable, "-c", _PYTHON, ".typed"]
    return _run(command, blocks, folder, ".typed", variables)


def _run(
    command: list[str], blocks: list[Block], folder: Path, prefix: str, variables: dict[str, str]
) -> list[Pasted]:
    done = subprocess.run(
        command,
        check=False,
        cwd=folder,
        env=_environment(folder) | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_WITHIN_S,
    )
    pasted = []
    for number, block in enumerate(blocks):
        printed = folder / f"{prefix}.{number}"
        if printed.exists():
            pasted.append(Pasted(block, printed.read_text()))
            printed.unlink()
    if done.returncode != 0:
        last = pasted[-1] if pasted else None
        where = last.block.place if last else "before the first block"
        raise AssertionError(
            f"{where} ended with exit code {done.returncode}:\n"
            f"{last.output if last else ''}{done.stdout}{done.stderr}"
        )
    assert [one.block for one in pasted] == blocks
    return pasted


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment of a reader in ``folder``, with ``.venv/bin`` on the path."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TELLUS_")}
    return clean | {"PATH": f"{folder}/.venv/bin:{clean['PATH']}"}
