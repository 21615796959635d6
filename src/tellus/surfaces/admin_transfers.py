"""What leaves the region, on the administration surface."""

from functools import partial
from typing import Final

from tellus.kernel.call import Audience
from tellus.kernel.paging import Page
from tellus.surfaces.routes import Route
from tellus.transfers import admin_api as transfers

_query = partial(Route, "GET", audience=Audience.ADMIN, scope="org:read", tag="Admin: transfers")
_change = partial(Route, audience=Audience.ADMIN, scope="org:write", tag="Admin: transfers")

TRANSFER_ADMIN_ROUTES: Final[tuple[Route, ...]] = (
    _query(
        "/v1/admin/destination-regions", "listDestinationRegions", transfers.list_destinations,
        query=transfers.TransfersQuery, response=Page[transfers.DestinationRegionItem],
        summary="List where destinations are",
        description="The clients, webhooks and peers whose region was stated; all others count as"
        " in the installation's own.",
    ),
    _change(
        "PUT", "/v1/admin/destination-regions/{destination_id}", "placeDestination",
        transfers.place_destination, request=transfers.PlaceDestinationRequest,
        response=transfers.DestinationRegionItem, summary="State where a destination is",
        description="Of a client, a webhook or a peer, by its identifier. In another region than"
        " the installation's it gets no files, deliveries or pushes without a grant. Goes to the"
        " audit log.",
    ),
    _change(
        "POST", "/v1/admin/transfer-grants", "grantTransfer", transfers.grant_transfer,
        request=transfers.TransferGrantRequest, response=transfers.TransferGrantItem,
        summary="Let data leave the region",
        description="Records who lets which of an operator's data go to a region, on what ground,"
        " from when until when. Goes to the audit log.",
    ),
    _query(
        "/v1/admin/transfer-grants", "listTransferGrants", transfers.list_grants,
        query=transfers.TransfersQuery, response=Page[transfers.TransferGrantItem],
        summary="List grants of transfers", description="Newest first, with those that are over.",
    ),
    _query(
        "/v1/admin/transfer-grants/{grant_id}", "getTransferGrant", transfers.get_grant,
        response=transfers.TransferGrantItem, summary="Look at a grant of transfers",
    ),
    _change(
        "POST", "/v1/admin/transfer-grants/{grant_id}/revoke", "revokeTransferGrant",
        transfers.revoke_grant, request=transfers.RevokeTransferGrantRequest, optional_body=True,
        response=transfers.TransferGrantItem, summary="Revoke a grant of transfers",
        description="Ends it at once and for good. Goes to the audit log.",
    ),
)  # fmt: skip
