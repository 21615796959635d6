"""``tellus service-accounts``: who administers the platform."""

from pathlib import Path

import click

from tellus.cli.arguments import resource_path
from tellus.cli.client import ApiClient, data_dir_option
from tellus.cli.output import hint, json_option, show_item, show_list

_PATH = "/v1/admin/service-accounts"
_SHOWN_ONCE = "The secret is shown this once: store it now."
_SCOPES = [
    f"{resource}:{verb}"
    for resource in ("org", "site", "device", "firmware", "configuration")
    for verb in ("read", "write")
]


@click.group("service-accounts")
def service_accounts() -> None:
    """Create, list and revoke service accounts, which administer the platform."""


@service_accounts.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(_SCOPES),
    help="What it may do; may be repeated.",
)
@data_dir_option
@json_option
def create_account(
    name: str, scopes: tuple[str, ...], data_dir: Path | None, *, as_json: bool
) -> None:
    """Create a service account called NAME; its secret is printed this once."""
    with ApiClient.find(data_dir) as api:
        show_item(api.post(_PATH, {"name": name, "scopes": scopes}), as_json=as_json)
    hint(_SHOWN_ONCE)


@service_accounts.command("list")
@data_dir_option
@json_option
def list_accounts(data_dir: Path | None, *, as_json: bool) -> None:
    """List service accounts, oldest first."""
    columns = ("service_account_id", "name", "scopes", "created_at", "revoked_at")
    with ApiClient.find(data_dir) as api:
        show_list(api.items(_PATH), columns, as_json=as_json)


@service_accounts.command("rotate-secret")
@click.argument("account")
@click.option("--revoke-tokens", is_flag=True, help="End the tokens that live now, too.")
@data_dir_option
@json_option
def rotate_account(
    account: str, data_dir: Path | None, *, revoke_tokens: bool, as_json: bool
) -> None:
    """Replace a service account's secret, at once; the new one is printed this once."""
    with ApiClient.find(data_dir) as api:
        path = resource_path(_PATH, account, "secret")
        show_item(api.post(path, {"revoke_tokens": revoke_tokens}), as_json=as_json)
    hint(_SHOWN_ONCE)


@service_accounts.command("revoke")
@click.argument("account")
@data_dir_option
@json_option
def revoke_account(account: str, data_dir: Path | None, *, as_json: bool) -> None:
    """End a service account with its secret and tokens, at once and for good."""
    with ApiClient.find(data_dir) as api:
        api.delete(resource_path(_PATH, account))
    show_item({"service_account_id": account, "revoked": True}, as_json=as_json)
