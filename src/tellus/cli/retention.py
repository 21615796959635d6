"""``tellus retention``: what has outlived its time, and dropping it now."""

import sys
import time
from pathlib import Path
from typing import Any, Final

import click

from tellus.cli.client import ApiClient, CommandFailed, ExitCode, data_dir_option
from tellus.cli.output import json_option, show_item, show_list

_PATH: Final = "/v1/admin/retention"
_LOOK_EVERY_S: Final = 0.5
_PATIENCE_S: Final = 600.0


@click.group()
def retention() -> None:
    """See what has outlived its time; drop it now."""


@retention.command("plan")
@data_dir_option
@json_option
def plan_retention(data_dir: Path | None, *, as_json: bool) -> None:
    """Show what a round would drop, tier by tier; nothing is changed."""
    with ApiClient.find(data_dir) as api:
        tiers = api.get(_PATH)["tiers"]
    columns = ("name", "kept_days", "rows", "bytes", "oldest")
    show_list(tiers, columns, as_json=as_json)


@retention.command("run")
@data_dir_option
@json_option
def run_retention(data_dir: Path | None, *, as_json: bool) -> None:
    """Drop now what has outlived its time, and show how that went.

    The platform does the same by itself every hour. What is cut off here goes on there.
    """
    with ApiClient.find(data_dir) as api:
        asked = api.post(f"{_PATH}/rounds")
        done = _follow(api, asked["round_id"])
    show_item(done, as_json=as_json)


def _follow(api: ApiClient, round_id: str) -> dict[str, Any]:
    """Show a bar until the round has ended; return it."""
    idle_until_s = time.monotonic() + _PATIENCE_S
    with click.progressbar(length=1, label="Rows", file=sys.stderr, show_pos=True) as bar:
        seen = 0
        while True:
            held = api.get(f"{_PATH}/rounds/last")
            dropped = sum(held["dropped"].values())
            if held["round_id"] == round_id and held["status"] != "waiting":
                bar.length = max(1, dropped, sum(held["due"].values()))
                bar.update(dropped - seen)
                if held["status"] == "done":
                    bar.update(bar.length - dropped)
                    return dict(held)
                if dropped > seen:
                    idle_until_s = time.monotonic() + _PATIENCE_S
                seen = dropped
            elif held["round_id"] != round_id and held["status"] == "done":
                message = "Another round was asked for meanwhile"
                raise CommandFailed(message, ExitCode.CONFLICT)
            if time.monotonic() > idle_until_s:
                message = f"Nothing was dropped for {_PATIENCE_S:g} s; the round goes on there"
                raise CommandFailed(message, ExitCode.TIMEOUT)
            time.sleep(_LOOK_EVERY_S)
