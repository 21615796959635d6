"""What files for deployment and pages claim about the product: its commands and its settings."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click

from tellus.cli import COMMANDS, main
from tellus.config import NOT_SETTINGS, describe_settings
from tests.docs.markdown import REPOSITORY

DEPLOY = REPOSITORY / "deploy"

_COMMAND = re.compile(
    rf"(?<![\w/.-])(?:[\w./-]*/)?tellus ((?:{'|'.join(COMMANDS)})(?![\w./-])[^\n|;&`\"'()<>]*)"
)
_QUOTED = re.compile(r'"(\$\w+)"')
_REDIRECTION = re.compile(r" \d?>")
_VARIABLE = re.compile(r"\bTELLUS_[A-Z][A-Z_]*[A-Z]\b")
_PLACEHOLDER = re.compile(r"%i|\$\w+|\$\{\w+\}|\bPORT\b")
_SECRET_FILES = {"TELLUS_DATABASE__URL_FILE", "TELLUS_SERVER__TLS_KEY_PASSWORD_FILE"}


def list_files() -> list[Path]:
    """Return every file below ``deploy``."""
    return sorted(path for path in DEPLOY.rglob("*") if path.is_file())


def commands_in(text: str) -> Iterator[list[str]]:
    """Yield the words after ``tellus`` wherever a command of it is written out."""
    for found in _COMMAND.findall(_REDIRECTION.sub("\n", _QUOTED.sub(r"\1", text))):
        yield shlex.split(_PLACEHOLDER.sub("1", found.rstrip("\\ .,:")), comments=True)


def refuse_command(words: list[str]) -> str:
    """Return why the command line would not take ``words``, nothing if it would; run nothing."""
    command: click.Command = main
    context = click.Context(main, info_name="tellus")
    rest = list(words)
    while isinstance(command, click.Group):
        found = command.get_command(context, rest[0]) if rest else None
        if found is None:
            return f"no such command: {' '.join(words)}"
        command = found
        context = click.Context(command, info_name=rest.pop(0), parent=context)
    try:
        command.make_context(context.info_name, rest, parent=context.parent)
    except click.ClickException as error:
        return f"{' '.join(words)}: {error.format_message()}"
    return ""


def unknown_variables(text: str) -> set[str]:
    """Return the variables of ours that ``text`` names and nothing reads."""
    settings = {variable for _, variable, _, _ in describe_settings()}
    return set(_VARIABLE.findall(text)) - settings - NOT_SETTINGS - _SECRET_FILES
