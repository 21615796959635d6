"""The reference page of the command line, from the commands themselves."""

import inspect
from collections.abc import Iterator
from typing import Final

import click

from tellus.cli import COMMANDS, main

_HEAD: Final = """\
# Command line

Nouns, then verbs. Results go to standard output, progress and errors to standard error; `--json`
makes results fit for machines. `tellus completion` sets up completion."""
_EXIT_CODES: Final = (
    (0, "all is well"),
    (1, "another failure"),
    (2, "the command was used wrongly"),
    (3, "not found"),
    (4, "not authenticated"),
    (5, "not permitted"),
    (6, "conflict"),
    (7, "rate limited"),
    (8, "the charger refused"),
    (9, "the server failed"),
    (10, "something was found (`doctor`)"),
    (124, "it took too long"),
    (130, "interrupted"),
)


def commands_page() -> str:
    """Return the page of all commands, with arguments and options."""
    parts = [_HEAD]
    context = click.Context(main, info_name="tellus")
    for name in COMMANDS:
        command = main.get_command(context, name)
        if command is not None:
            parts += _describe(command, context, name, level=2)
    rows = "\n".join(f"| {code} | {words} |" for code, words in _EXIT_CODES)
    parts.append(f"## Exit codes\n\n| Code | Meaning |\n|---|---|\n{rows}")
    return "\n\n".join(parts)


def _describe(
    command: click.Command, parent: click.Context, name: str, level: int
) -> Iterator[str]:
    """Describe a command and those below it."""
    if command.hidden:
        return
    context = click.Context(command, info_name=name, parent=parent)
    path = context.command_path
    yield f"{'#' * min(level, 4)} {path}"
    words = _words(command.help)
    if words:
        yield words
    if isinstance(command, click.Group):
        for sub_name in command.list_commands(context):
            sub_command = command.get_command(context, sub_name)
            if sub_command is not None:
                yield from _describe(sub_command, context, sub_name, level + 1)
        return
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    yield f"```text\n{usage}\n```"
    options = [
        _option(one) for one in command.params if isinstance(one, click.Option) and not one.hidden
    ]
    if options:
        yield "\n".join(["| Option | Meaning |", "|---|---|", *options])


def _words(text: str | None) -> str:
    return inspect.cleandoc(text or "").replace("\b\n", "")


def _option(option: click.Option) -> str:
    names = ", ".join([*option.opts, *option.secondary_opts])
    takes = "" if option.is_flag or option.count else f" {option.type.name.upper()}"
    if isinstance(option.type, click.Choice):
        takes = " " + "\\|".join(map(str, option.type.choices))
    words = (option.help or "").replace("|", "\\|")
    if option.required:
        words += " Required."
    if option.multiple:
        words += " May be repeated."
    static = isinstance(option.default, str | int | float) and not isinstance(option.default, bool)
    if static and option.default != "":
        words += f" Default: {option.default}."
    return f"| `{names}{takes}` | {words.strip()} |"
