"""The operator's token endpoint."""

import msgspec

from tellus.identity.credentials import (
    AccessTokenResponse,
    Text,
    read_credentials,
    token_response,
)
from tellus.identity.service import IdentityService
from tellus.kernel.call import Call, Nothing


class OperatorTokenRequest(msgspec.Struct, frozen=True):
    """A client's credentials; id and secret may stand in a Basic header instead."""

    client_id: Text = msgspec.UNSET
    client_secret: Text = msgspec.UNSET
    grant_type: Text = msgspec.UNSET


async def issue_operator_token(
    identity: IdentityService, call: Call[OperatorTokenRequest, Nothing]
) -> AccessTokenResponse:
    """Exchange a client's id and secret for a bearer token of 24 hours."""
    body = call.body
    client_id, secret = read_credentials(
        (body.client_id, body.client_secret),
        body.grant_type,
        ("client_id", "client_secret"),
        call.authorization,
    )
    return token_response(await identity.issue_operator_token(client_id, secret, call.address))
