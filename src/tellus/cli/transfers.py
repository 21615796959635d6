"""``tellus transfers``: what may leave the region of the installation."""

from pathlib import Path

import click

from tellus.cli.arguments import given, resource_path
from tellus.cli.client import ApiClient, data_dir_option
from tellus.cli.output import json_option, show_item, show_list
from tellus.transfers.model import TransferKind

_PATH = "/v1/admin/transfer-grants"
_PLACES = "/v1/admin/destination-regions"


@click.group()
def transfers() -> None:
    """Let data leave the region of the installation, and say where destinations are."""


@transfers.command("grant")
@click.option("--operator", "operator_id", required=True, help="Whose data may leave.")
@click.option("--to-region", required=True, metavar="REGION", help="Where it may go.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    required=True,
    type=click.Choice([kind.value for kind in TransferKind]),
    help="What may go there; may be repeated.",
)
@click.option("--granted-by", required=True, metavar="WHO", help="Who lets it go.")
@click.option("--evidence", help="Where the ground for it can be found.")
@click.option("--from", "begins", metavar="TIME", help="From when on; now where it is left out.")
@click.option("--to", "ends", metavar="TIME", help="Until when; else until it is revoked.")
@data_dir_option
@json_option
def grant(
    kinds: tuple[str, ...],
    begins: str | None,
    ends: str | None,
    data_dir: Path | None,
    *,
    as_json: bool,
    **named: str | None,
) -> None:
    """Record that data of an operator may go to a region."""
    body = given(kinds=list(kinds), **named) | given(**{"from": begins, "to": ends})
    with ApiClient.find(data_dir) as api:
        show_item(api.post(_PATH, body), as_json=as_json)


@transfers.command("revoke")
@click.argument("grant")
@click.option("--reason", help="Why it ends.")
@data_dir_option
@json_option
def revoke(grant: str, reason: str | None, data_dir: Path | None, *, as_json: bool) -> None:
    """End a grant at once and for good."""
    with ApiClient.find(data_dir) as api:
        path = resource_path(_PATH, grant, "revoke")
        show_item(api.post(path, given(reason=reason)), as_json=as_json)


@transfers.command("list")
@click.option("--operator", "operator_id", help="Only those of this operator.")
@data_dir_option
@json_option
def list_grants(operator_id: str | None, data_dir: Path | None, *, as_json: bool) -> None:
    """List grants with those that are over, newest first."""
    with ApiClient.find(data_dir) as api:
        columns = (
            "grant_id", "state", "operator_id", "to_region", "kinds", "granted_by", "from", "to",
        )  # fmt: skip
        show_list(api.items(_PATH, operator_id=operator_id), columns, as_json=as_json)


@transfers.command("place")
@click.argument("destination")
@click.option("--region", required=True, help="In which region it is.")
@data_dir_option
@json_option
def place(destination: str, region: str, data_dir: Path | None, *, as_json: bool) -> None:
    """State in which region a client, a webhook or a peer is."""
    with ApiClient.find(data_dir) as api:
        path = resource_path(_PLACES, destination)
        show_item(api.put(path, {"region": region}), as_json=as_json)


@transfers.command("places")
@click.option("--operator", "operator_id", help="Only those of this operator.")
@data_dir_option
@json_option
def list_places(operator_id: str | None, data_dir: Path | None, *, as_json: bool) -> None:
    """List the destinations whose region was stated."""
    with ApiClient.find(data_dir) as api:
        columns = ("destination_id", "kind", "operator_id", "region", "stated_at", "stated_by")
        show_list(api.items(_PLACES, operator_id=operator_id), columns, as_json=as_json)
