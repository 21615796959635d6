"""``tellus peers outbox``: what peers are owed, and what became of it."""

from pathlib import Path

import click

from tellus.cli.arguments import resource_path
from tellus.cli.client import ApiClient, data_dir_option
from tellus.cli.output import json_option, show_item, show_list

_PATH = "/v1/admin/pushes"
_STATES = ["waiting", "accepted", "rejected", "superseded", "given_up", "cancelled"]
_COLUMNS = (
    "push_id",
    "peer_id",
    "operation",
    "about",
    "state",
    "attempts",
    "last_outcome",
    "next_attempt_at",
    "created_at",
)


@click.group()
def outbox() -> None:
    """See what peers are told, send it again, or end it."""


@outbox.command("list")
@click.option("--peer", "peer_id", help="Only those to this peer.")
@click.option("--state", type=click.Choice(_STATES), help="Only those that stand so.")
@data_dir_option
@json_option
def list_pushes(
    peer_id: str | None, state: str | None, data_dir: Path | None, *, as_json: bool
) -> None:
    """List pushes, newest first."""
    with ApiClient.find(data_dir) as api:
        pushes = api.items(_PATH, peer_id=peer_id, state=state)
        show_list(pushes, _COLUMNS, as_json=as_json)


@outbox.command("show")
@click.argument("push")
@data_dir_option
@json_option
def show_push(push: str, data_dir: Path | None, *, as_json: bool) -> None:
    """Show a push with what it tells and how its attempts went."""
    with ApiClient.find(data_dir) as api:
        show_item(api.get(resource_path(_PATH, push)), as_json=as_json)


@outbox.command("retry")
@click.argument("push")
@data_dir_option
@json_option
def retry_push(push: str, data_dir: Path | None, *, as_json: bool) -> None:
    """Send a push at once; one that had ended begins its schedule anew."""
    with ApiClient.find(data_dir) as api:
        show_item(api.post(resource_path(_PATH, push, "retry")), as_json=as_json)


@outbox.command("cancel")
@click.argument("push")
@data_dir_option
@json_option
def cancel_push(push: str, data_dir: Path | None, *, as_json: bool) -> None:
    """End a push that waits."""
    with ApiClient.find(data_dir) as api:
        show_item(api.post(resource_path(_PATH, push, "cancel")), as_json=as_json)
