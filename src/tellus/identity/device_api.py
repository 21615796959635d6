"""A device's token and the rotation of its secret."""

import msgspec

from tellus.identity.credentials import (
    AccessTokenResponse,
    Text,
    read_credentials,
    token_response,
)
from tellus.identity.service import IdentityService
from tellus.kernel.call import Call, Nothing


class DeviceTokenRequest(msgspec.Struct, frozen=True):
    """A device's credentials; id and secret may stand in a Basic header instead."""

    device_id: Text = msgspec.UNSET
    device_secret: Text = msgspec.UNSET
    grant_type: Text = msgspec.UNSET


class DeviceSecretResponse(msgspec.Struct, frozen=True):
    """A new secret, shown this once; ``expires_in`` (s) advises when to rotate it again."""

    device_id: str
    device_secret: str
    expires_in: int


async def issue_device_token(
    identity: IdentityService, call: Call[DeviceTokenRequest, Nothing]
) -> AccessTokenResponse:
    """Exchange a device's id and secret for a bearer token of 24 hours."""
    body = call.body
    device_id, secret = read_credentials(
        (body.device_id, body.device_secret),
        body.grant_type,
        ("device_id", "device_secret"),
        call.authorization,
    )
    return token_response(await identity.issue_device_token(device_id, secret, call.address))


async def rotate_device_secret(
    identity: IdentityService, call: Call[Nothing, Nothing]
) -> DeviceSecretResponse:
    """Issue another secret; the present one works until a day after the new one's first use."""
    issued = await identity.rotate_device_secret(call.principal, call.request_id)
    return DeviceSecretResponse(call.principal.principal_id, issued.text, issued.expires_in_s)
