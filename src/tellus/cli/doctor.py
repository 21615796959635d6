"""``tellus doctor``: look for what is wrong with an installation, and say what to do about it."""

import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from tellus.cli import checkup_files, checkup_server
from tellus.cli.checkup import Finding, Subject, Verdict
from tellus.cli.client import ExitCode
from tellus.cli.output import json_option, print_json
from tellus.config import ConfigurationError, load_configuration

_CHECKS: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
    checkup_files.check_python,
    checkup_files.check_data_folder,
    checkup_files.check_key_file,
    checkup_files.check_admin_file,
    checkup_files.check_database,
    checkup_files.check_commits,
    checkup_files.check_disk_space,
    checkup_files.check_open_files,
    checkup_server.check_exposure,
    checkup_server.check_port,
    checkup_server.check_server,
)
_MARKS = {Verdict.OK: "ok", Verdict.FINDING: "FINDING", Verdict.SKIPPED: "skipped"}


@click.command()
@click.option(
    "--config", "file", type=click.Path(path_type=Path), help="Configuration file (TOML)."
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Data directory to look at; the configured one by default.",
)
@click.option("--deep", is_flag=True, help="Read the whole database and look for damage.")
@json_option
def doctor(file: Path | None, data_dir: Path | None, *, deep: bool, as_json: bool) -> None:
    """Look at configuration, files, database, disk, port and server. Changes nothing.

    Exit code 10 when something was found.
    """
    findings = _examine(file, data_dir, deep=deep)
    found = sum(one.verdict is Verdict.FINDING for one in findings)
    if as_json:
        print_json({"checks": [dataclasses.asdict(one) for one in findings], "findings": found})
    else:
        _show(findings, found)
    sys.exit(ExitCode.FINDINGS if found else ExitCode.OK)


def _examine(file: Path | None, data_dir: Path | None, *, deep: bool) -> list[Finding]:
    try:
        settings = load_configuration({"data_dir": data_dir}, file=file).settings
    except ConfigurationError as error:
        advice = "Correct it; `tellus config show` lists all settings."
        return [Finding("configuration", Verdict.FINDING, str(error), advice)]
    subject = Subject(settings, deep=deep)
    findings = [Finding("configuration", Verdict.OK, "can be used")]
    for check in _CHECKS:
        findings += check(subject)
    return findings


def _show(findings: list[Finding], found: int) -> None:
    width = max(len(one.name) for one in findings)
    for one in findings:
        mark = _MARKS[one.verdict]
        colour = {"ok": "green", "FINDING": "red"}.get(mark)
        click.echo(f"{click.style(f'{mark:8}', fg=colour)} {one.name:{width}}  {one.detail}")
        if one.advice is not None:
            click.echo(f"{'':8} {'':{width}}  > {one.advice}")
    click.echo(f"{found} findings" if found else "Nothing found.", err=True)
