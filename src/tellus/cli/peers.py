"""``tellus peers``: platforms of other operators, and what is shared with them."""

from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import click

from tellus.cli.arguments import given, resource_path
from tellus.cli.client import ApiClient, data_dir_option
from tellus.cli.output import hint, json_option, show_item, show_list
from tellus.cli.peers_outbox import outbox

_PATH = "/v1/admin/peers"
_AUTH = ["none", "bearer", "client_credentials"]
_SHOWN_ONCE = "The secret is shown this once: store it now."
_CLEARABLE = {
    "push-url": "push_url",
    "token-url": "token_url",
    "auth-id": "auth_id",
    "auth-scope": "auth_scope",
}


def _settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what may be set for a peer."""
    for decorate in (
        click.option("--auth-scope", help="Scope to ask for with the token; most need none."),
        click.option(
            "--auth-secret-file",
            type=click.File("r"),
            metavar="FILE",
            help="File with the token, or with the secret that gets one; - is standard input.",
        ),
        click.option("--auth-id", help="Our identifier at the peer, for client_credentials."),
        click.option(
            "--token-url",
            metavar="URL",
            help="Where the peer gives tokens, for client_credentials.",
        ),
        click.option(
            "--auth",
            type=click.Choice(_AUTH),
            help="What our calls carry: nothing, a fixed token, or one from --token-url.",
        ),
        click.option(
            "--sends-discharging/--no-sends-discharging",
            default=None,
            help="Whether it understands the statuses of discharging in pushes.",
        ),
        click.option(
            "--push-url",
            metavar="URL",
            help="What our pushes go below, such as https://peer.example/v1; else it gets none.",
        ),
        click.option(
            "--timezone", metavar="ZONE", help="Zone of its times, IANA name; UTC by default."
        ),
    ):
        command = decorate(command)
    return command


def _subject(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what can be shared."""
    for decorate in (
        click.option("--device", "device_id", help="This charger alone."),
        click.option("--site", "site_id", help="This site with all its chargers."),
    ):
        command = decorate(command)
    return command


@click.group()
def peers() -> None:
    """Deal with platforms of other operators: what they see, start and are told."""


peers.add_command(outbox)


@peers.command("create")
@click.option("--operator", "operator_id", required=True, help="The operator it deals with.")
@click.option("--name", required=True, help="Name of the platform.")
@_settings
@data_dir_option
@json_option
def create_peer(data_dir: Path | None, *, as_json: bool, **settings: Any) -> None:
    """Create a peer; the secret that it gets tokens with is printed this once."""
    with ApiClient.find(data_dir) as api:
        show_item(api.post(_PATH, _body(settings)), as_json=as_json)
    hint(_SHOWN_ONCE)


@peers.command("list")
@click.option("--operator", "operator_id", help="Only those of this operator.")
@data_dir_option
@json_option
def list_peers(operator_id: str | None, data_dir: Path | None, *, as_json: bool) -> None:
    """List peers, oldest first."""
    with ApiClient.find(data_dir) as api:
        columns = ("peer_id", "operator_id", "name", "timezone", "push_url", "auth", "created_at")
        show_list(api.items(_PATH, operator_id=operator_id), columns, as_json=as_json)


@peers.command("show")
@click.argument("peer")
@data_dir_option
@json_option
def show_peer(peer: str, data_dir: Path | None, *, as_json: bool) -> None:
    """Show a peer and what is shared with it."""
    with ApiClient.find(data_dir) as api:
        show_item(api.get(resource_path(_PATH, peer)), as_json=as_json)


@peers.command("update")
@click.argument("peer")
@click.option("--name", help="Name of the platform.")
@_settings
@click.option(
    "--clear",
    multiple=True,
    type=click.Choice(list(_CLEARABLE)),
    help="Take these settings away; may be repeated.",
)
@data_dir_option
@json_option
def update_peer(
    peer: str, data_dir: Path | None, clear: tuple[str, ...], *, as_json: bool, **settings: Any
) -> None:
    """Change a peer; what is left out stays."""
    body = {_CLEARABLE[name]: None for name in clear} | _body(settings)
    if not body:
        raise click.UsageError("Nothing to change was given")
    with ApiClient.find(data_dir) as api:
        show_item(api.patch(resource_path(_PATH, peer), body), as_json=as_json)


@peers.command("delete")
@click.argument("peer")
@data_dir_option
@json_option
def delete_peer(peer: str, data_dir: Path | None, *, as_json: bool) -> None:
    """End a peer with its tokens and all that it is still owed, at once."""
    with ApiClient.find(data_dir) as api:
        api.delete(resource_path(_PATH, peer))
    show_item({"peer_id": peer, "deleted": True}, as_json=as_json)


@peers.command("share")
@click.argument("peer")
@_subject
@data_dir_option
@json_option
def share(peer: str, data_dir: Path | None, *, as_json: bool, **subject: str | None) -> None:
    """Share a site or a charger with a peer."""
    body = _one_of(subject)
    with ApiClient.find(data_dir) as api:
        show_item(api.post(resource_path(_PATH, peer, "shares"), body), as_json=as_json)


@peers.command("unshare")
@click.argument("peer")
@_subject
@data_dir_option
@json_option
def unshare(peer: str, data_dir: Path | None, *, as_json: bool, **subject: str | None) -> None:
    """Share a site or a charger no longer; orders that run there run on."""
    wanted = _one_of(subject)
    with ApiClient.find(data_dir) as api:
        (resource_id,) = wanted.values()
        show_item(api.delete(resource_path(_PATH, peer, "shares", resource_id)), as_json=as_json)


def _one_of(subject: dict[str, str | None]) -> dict[str, Any]:
    wanted = given(**subject)
    if len(wanted) != 1:
        raise click.UsageError("Give either --site or --device")
    return wanted


def _body(settings: dict[str, Any]) -> dict[str, Any]:
    """Return what the API takes; the secret is what its file holds, without the end of the line."""
    file: IO[str] | None = settings.pop("auth_secret_file")
    secret = None if file is None else file.read().strip()
    return given(auth_secret=secret, **settings)
