"""How results are shown: short tables for people, the API's own words for machines."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import click

_NOTHING: Final = "-"
_GAP: Final = "  "


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json`` to a command."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(
        command
    )


def show_item(item: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one thing, a line for each of its properties."""
    if as_json:
        print_json(item)
        return
    rows = list(_flatten(item))
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        click.echo(f"{name:{width}}{_GAP}{_text(value)}")


def show_list(items: Iterable[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """Print a list: the given columns (dotted names), or with ``as_json`` everything."""
    held = list(items)
    if as_json:
        print_json({"items": held, "total": len(held)})
        return
    rows = [[_text(_find(item, column)) for column in columns] for item in held]
    titles = [column.rpartition(".")[2].replace("_", " ").upper() for column in columns]
    show_table(titles, rows)
    if not held:
        click.echo("None.", err=True)


def show_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns as wide as their widest value."""
    if not rows:
        return
    widths = [max(len(row[k]) for row in [titles, *rows]) for k in range(len(titles))]
    for row in [titles, *rows]:
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        click.echo(_GAP.join(cells).rstrip())


def print_json(value: Any) -> None:
    """Print a value as JSON, indented for the eye, with its keys in the API's order."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def hint(text: str) -> None:
    """Say something that is not the result."""
    click.echo(text, err=True)


def _flatten(item: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in item.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _find(item: Mapping[str, Any], dotted: str) -> Any:
    value: Any = item
    for name in dotted.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _text(value: Any) -> str:
    """Return a value on one line; what chargers sent must not steer the terminal."""
    if value is None or value in ("", [], {}):
        return _NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        text = ", ".join(_text(part) for part in value)
    elif isinstance(value, Mapping):
        text = " ".join(f"{name}={_text(part)}" for name, part in value.items())
    else:
        text = str(value)
    return "".join(letter if letter.isprintable() else "?" for letter in text)
