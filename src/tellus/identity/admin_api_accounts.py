"""Administration of service accounts and signing keys, and the administrators' token endpoint."""

from typing import Annotated

import msgspec

from tellus.identity.admin_api import Name, actor_of, optional_time
from tellus.identity.credentials import (
    AccessTokenResponse,
    Text,
    read_credentials,
    token_response,
)
from tellus.identity.model import AdminScope, IssuedAccountSecret, ServiceAccount, SigningKey
from tellus.identity.service import IdentityService
from tellus.kernel.call import NOTHING, Call, Nothing
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.units import to_text

AccountScopes = Annotated[list[AdminScope], msgspec.Meta(min_length=1, max_length=16)]


class AdminTokenRequest(msgspec.Struct, frozen=True):
    """A service account's credentials.

    General OAuth clients say ``client_id`` and ``client_secret``, or use a Basic header.
    """

    service_account_id: Text = msgspec.UNSET
    service_account_secret: Text = msgspec.UNSET
    client_id: Text = msgspec.UNSET
    client_secret: Text = msgspec.UNSET
    grant_type: Text = msgspec.UNSET


async def issue_admin_token(
    identity: IdentityService, call: Call[AdminTokenRequest, Nothing]
) -> AccessTokenResponse:
    """Exchange a service account's id and secret for a bearer token of 24 hours."""
    body = call.body
    account_id, secret = read_credentials(
        (
            body.client_id if body.service_account_id is msgspec.UNSET else body.service_account_id,
            body.client_secret
            if body.service_account_secret is msgspec.UNSET
            else body.service_account_secret,
        ),
        body.grant_type,
        ("service_account_id", "service_account_secret"),
        call.authorization,
    )
    return token_response(
        await identity.issue_admin_token(account_id, secret, call.address, call.request_id)
    )


# ----------------------------------------------------------- service accounts


class ServiceAccountRequest(msgspec.Struct, frozen=True):
    """A service account to create; it gets no scope that its creator does not have."""

    name: Name
    scopes: AccountScopes


class ServiceAccountItem(msgspec.Struct, frozen=True):
    """A service account."""

    service_account_id: str
    name: str
    scopes: list[str]
    created_at: str
    revoked_at: str | msgspec.UnsetType = msgspec.UNSET


class ServiceAccountSecretResponse(msgspec.Struct, frozen=True):
    """A new secret, shown this once, and the service account it belongs to."""

    service_account_id: str
    service_account_secret: str
    service_account: ServiceAccountItem


class RevokeTokensRequest(msgspec.Struct, frozen=True):
    """Whether tokens that live now end at once."""

    revoke_tokens: bool = False


async def create_service_account(
    identity: IdentityService, call: Call[ServiceAccountRequest, Nothing]
) -> ServiceAccountSecretResponse:
    """Create a service account; its secret is shown this once."""
    body = call.body
    issued = await identity.create_service_account(
        body.name, frozenset(body.scopes), actor_of(call)
    )
    return _issued(issued)


async def list_service_accounts(
    identity: IdentityService, call: Call[Nothing, PageQuery]
) -> Page[ServiceAccountItem]:
    """List service accounts, oldest first."""
    query = call.query
    total, accounts = await identity.list_service_accounts(query.offset, query.size)
    return Page(total, query.page, query.size, [_account(account) for account in accounts])


async def rotate_service_account_secret(
    identity: IdentityService, call: Call[RevokeTokensRequest, Nothing]
) -> ServiceAccountSecretResponse:
    """Replace a service account's secret; the old one ends at once, its tokens where asked."""
    issued = await identity.rotate_service_account_secret(
        call.path["service_account_id"], actor_of(call), revoke_tokens=call.body.revoke_tokens
    )
    return _issued(issued)


async def revoke_service_account(
    identity: IdentityService, call: Call[Nothing, Nothing]
) -> Nothing:
    """Revoke a service account with its secret and tokens, at once and for good."""
    await identity.revoke_service_account(call.path["service_account_id"], actor_of(call))
    return NOTHING


# --------------------------------------------------------------- signing keys


class SigningKeyItem(msgspec.Struct, frozen=True):
    """A key that tokens are signed with; the newest signs, those not yet retired verify."""

    kid: str
    created_at: str
    signs: bool
    retires_at: str | msgspec.UnsetType = msgspec.UNSET


async def list_signing_keys(
    identity: IdentityService, call: Call[Nothing, PageQuery]
) -> Page[SigningKeyItem]:
    """List signing keys, newest first."""
    items = _keys(await identity.list_signing_keys())
    query = call.query
    return Page(len(items), query.page, query.size, items[query.offset : query.offset + query.size])


async def rotate_signing_key(
    identity: IdentityService, call: Call[RevokeTokensRequest, Nothing]
) -> SigningKeyItem:
    """Sign with a fresh key from now on; older ones verify on, unless all tokens are to end."""
    keys = await identity.rotate_signing_key(actor_of(call), revoke_tokens=call.body.revoke_tokens)
    return _keys(keys)[0]


def _account(account: ServiceAccount) -> ServiceAccountItem:
    return ServiceAccountItem(
        service_account_id=account.service_account_id,
        name=account.name,
        scopes=sorted(account.scopes),
        created_at=to_text(account.created_ms),
        revoked_at=optional_time(account.revoked_ms),
    )


def _issued(issued: IssuedAccountSecret) -> ServiceAccountSecretResponse:
    return ServiceAccountSecretResponse(
        issued.account.service_account_id, issued.text, _account(issued.account)
    )


def _keys(keys: list[SigningKey]) -> list[SigningKeyItem]:
    newest_first = list(reversed(keys))
    return [
        SigningKeyItem(
            key.kid, to_text(key.created_ms), key is newest_first[0], optional_time(key.retired_ms)
        )
        for key in newest_first
    ]
