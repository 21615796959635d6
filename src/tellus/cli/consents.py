"""``tellus consents``: what the owners of chargers have agreed to."""

from pathlib import Path

import click

from tellus.cli.arguments import given, resource_path
from tellus.cli.client import ApiClient, data_dir_option
from tellus.cli.output import json_option, show_item, show_list
from tellus.consent.model import Service

_PATH = "/v1/admin/consents"


@click.group()
def consents() -> None:
    """Record what the owners of chargers agree to."""


@consents.command("grant")
@click.option("--device", "device_id", help="For this charger alone.")
@click.option("--site", "site_id", help="For this site with all its chargers.")
@click.option("--operator", "operator_id", help="For all chargers of this operator.")
@click.option(
    "--service",
    "services",
    multiple=True,
    required=True,
    type=click.Choice([service.value for service in Service]),
    help="What is agreed to; may be repeated.",
)
@click.option("--granted-by", required=True, metavar="WHO", help="Who agrees.")
@click.option("--customer", help="The customer whose charger it is.")
@click.option("--evidence", help="Where the agreement can be found.")
@click.option("--from", "begins", metavar="TIME", help="From when on; now where it is left out.")
@click.option("--to", "ends", metavar="TIME", help="Until when; else until it is revoked.")
@data_dir_option
@json_option
def grant(
    services: tuple[str, ...],
    begins: str | None,
    ends: str | None,
    data_dir: Path | None,
    *,
    as_json: bool,
    **named: str | None,
) -> None:
    """Record a consent for a charger, a site or an operator."""
    if sum(named[name] is not None for name in ("device_id", "site_id", "operator_id")) != 1:
        raise click.UsageError("Give one of --device, --site and --operator")
    body = given(services=list(services), **named) | given(**{"from": begins, "to": ends})
    with ApiClient.find(data_dir) as api:
        show_item(api.post(_PATH, body), as_json=as_json)


@consents.command("revoke")
@click.argument("consent")
@click.option("--reason", help="Why it ends.")
@data_dir_option
@json_option
def revoke(consent: str, reason: str | None, data_dir: Path | None, *, as_json: bool) -> None:
    """End a consent at once and for good."""
    with ApiClient.find(data_dir) as api:
        path = resource_path(_PATH, consent, "revoke")
        show_item(api.post(path, given(reason=reason)), as_json=as_json)


@consents.command("list")
@click.option("--device", "device_id", help="All that cover this charger.")
@click.option("--site", "site_id", help="Those for this site.")
@click.option("--operator", "operator_id", help="All of this operator.")
@data_dir_option
@json_option
def list_consents(data_dir: Path | None, *, as_json: bool, **filters: str | None) -> None:
    """List consents with those that are over, newest first."""
    with ApiClient.find(data_dir) as api:
        columns = (
            "consent_id", "state", "scope", "device_id", "site_id", "services", "granted_by",
            "from", "to",
        )  # fmt: skip
        show_list(api.items(_PATH, **filters), columns, as_json=as_json)
