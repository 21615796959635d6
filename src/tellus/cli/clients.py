"""``tellus clients``: the programs of operators, their scopes, limits and secrets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tellus.cli.arguments import given, read_limits, resource_path
from tellus.cli.client import ApiClient, data_dir_option
from tellus.cli.output import hint, json_option, show_item, show_list

_PATH = "/v1/admin/clients"
_SIGNING = ["off", "optional", "required"]
_SCOPES = ["read", "write", "diagnostics", "customer_portal"]
_SHOWN_ONCE = "The secret is shown this once: store it now."
_CLEARABLE: dict[str, tuple[str, Any]] = {
    "limits": ("limits", {}),
    "networks": ("allowed_networks", []),
    "origins": ("cors_origins", []),
}


def _settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what may be set for a client."""
    for decorate in (
        click.option(
            "--signing",
            type=click.Choice(_SIGNING),
            help="Whether it signs its requests; required means its control calls.",
        ),
        click.option(
            "--vin-mode",
            type=click.Choice(["full", "masked", "none"]),
            help="How the client sees vehicle identification numbers.",
        ),
        click.option(
            "--cors-origin",
            "cors_origins",
            multiple=True,
            metavar="URL",
            help="Browser origin that may call; may be repeated.",
        ),
        click.option(
            "--allow-network",
            "allowed_networks",
            multiple=True,
            metavar="CIDR",
            help="Network that calls may come from; may be repeated.",
        ),
        click.option(
            "--limit",
            "limits",
            multiple=True,
            metavar="CLASS=N",
            callback=read_limits,
            help="Rate limit of a class (queries, control, batch_control, token); may be repeated.",
        ),
        click.option("--name", help="Name of the client."),
    ):
        command = decorate(command)
    return command


@click.group()
def clients() -> None:
    """Create, change and revoke clients, the programs of operators."""


@clients.command("create")
@click.option("--operator", "operator_id", required=True, help="The operator it belongs to.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(_SCOPES),
    help="What it may do; may be repeated.",
)
@click.option("--customer", help="Whose portal it is, with the scope customer_portal alone.")
@_settings
@data_dir_option
@json_option
def create_client(data_dir: Path | None, *, as_json: bool, **settings: Any) -> None:
    """Create a client; its secret is printed this once."""
    with ApiClient.find(data_dir) as api:
        show_item(api.post(_PATH, given(**settings)), as_json=as_json)
    hint(_SHOWN_ONCE)


@clients.command("list")
@click.option("--operator", "operator_id", help="Only those of this operator.")
@data_dir_option
@json_option
def list_clients(operator_id: str | None, data_dir: Path | None, *, as_json: bool) -> None:
    """List clients, oldest first."""
    with ApiClient.find(data_dir) as api:
        columns = ("client_id", "operator_id", "name", "scopes", "created_at", "revoked_at")
        show_list(api.items(_PATH, operator_id=operator_id), columns, as_json=as_json)


@clients.command("show")
@click.argument("client")
@data_dir_option
@json_option
def show_client(client: str, data_dir: Path | None, *, as_json: bool) -> None:
    """Show a client with its settings."""
    with ApiClient.find(data_dir) as api:
        show_item(api.get(resource_path(_PATH, client)), as_json=as_json)


@clients.command("update")
@click.argument("client")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(_SCOPES),
    help="What it may do from now on; may be repeated.",
)
@_settings
@click.option(
    "--clear",
    multiple=True,
    type=click.Choice(list(_CLEARABLE)),
    help="Take these settings away; may be repeated.",
)
@data_dir_option
@json_option
def update_client(
    client: str, data_dir: Path | None, clear: tuple[str, ...], *, as_json: bool, **settings: Any
) -> None:
    """Change a client; what is left out stays, lists and limits are replaced as a whole."""
    body = dict(_CLEARABLE[name] for name in clear) | given(**settings)
    if not body:
        raise click.UsageError("Nothing to change was given")
    with ApiClient.find(data_dir) as api:
        show_item(api.patch(resource_path(_PATH, client), body), as_json=as_json)


@clients.command("rotate-secret")
@click.argument("client")
@click.option(
    "--overlap",
    "overlap_s",
    type=click.IntRange(0, 30 * 86_400),
    help="Seconds for which the present secret goes on working; a day by default.",
)
@click.option(
    "--signing",
    type=click.Choice(_SIGNING),
    help="Whether the client signs its requests from now on; as before by default.",
)
@data_dir_option
@json_option
def rotate_secret(
    client: str,
    overlap_s: int | None,
    signing: str | None,
    data_dir: Path | None,
    *,
    as_json: bool,
) -> None:
    """Give a client another secret; it is printed this once."""
    with ApiClient.find(data_dir) as api:
        path = resource_path(_PATH, client, "secrets")
        show_item(api.post(path, given(overlap_s=overlap_s, signing=signing)), as_json=as_json)
    hint(_SHOWN_ONCE)


@clients.command("revoke")
@click.argument("client")
@click.option("--secret", help="Revoke only this secret of the client.")
@data_dir_option
@json_option
def revoke_client(client: str, secret: str | None, data_dir: Path | None, *, as_json: bool) -> None:
    """End a client with all its secrets and tokens, at once and for good."""
    more = () if secret is None else ("secrets", secret)
    with ApiClient.find(data_dir) as api:
        api.delete(resource_path(_PATH, client, *more))
    revoked = {"client_id": client, "revoked": True} | given(secret_id=secret)
    show_item(revoked, as_json=as_json)
