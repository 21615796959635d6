"""The administration surface: one row per endpoint.

Service accounts carry scopes per resource; ``org`` covers operators, clients, service accounts,
signing keys and the audit log. Every change is written to the audit log.
"""

from tellus.identity import admin_api as identity
from tellus.identity import admin_api_accounts as accounts
from tellus.identity.credentials import AccessTokenResponse
from tellus.kernel.call import Audience
from tellus.kernel.paging import Page, PageQuery
from tellus.nodes import admin_api as nodes
from tellus.surfaces.admin_audit import AUDIT_ADMIN_ROUTES
from tellus.surfaces.admin_energy import ENERGY_ADMIN_ROUTES
from tellus.surfaces.admin_firmware import FIRMWARE_ADMIN_ROUTES
from tellus.surfaces.admin_retention import RETENTION_ADMIN_ROUTES
from tellus.surfaces.routes import BODY_BYTES_CREDENTIALS, Answer, Route

_READ = "org:read"
_WRITE = "org:write"

_TOKEN_ROUTES = (
    Route(
        "POST",
        "/v1/admin/oauth/token",
        "issueAdminToken",
        accounts.issue_admin_token,
        Audience.PUBLIC,
        "Get an administrator's token",
        "Admin: authentication",
        description="Exchanges a service account's id and secret for a bearer token of 24 hours.",
        request=accounts.AdminTokenRequest,
        response=AccessTokenResponse,
        answer=Answer.TOKEN,
        body_bytes=BODY_BYTES_CREDENTIALS,
        form=True,
        optional_body=True,
    ),
)

_OPERATOR_ROUTES = (
    Route(
        "GET",
        "/v1/admin/operators",
        "listOperators",
        identity.list_operators,
        Audience.ADMIN,
        "List operators",
        "Admin: operators",
        scope=_READ,
        query=PageQuery,
        response=Page[identity.OperatorItem],
    ),
    Route(
        "POST",
        "/v1/admin/operators",
        "createOperator",
        identity.create_operator,
        Audience.ADMIN,
        "Create an operator",
        "Admin: operators",
        scope=_WRITE,
        request=identity.OperatorRequest,
        response=identity.OperatorItem,
    ),
)

_CLIENT_ROUTES = (
    Route(
        "GET",
        "/v1/admin/clients",
        "listClients",
        identity.list_clients,
        Audience.ADMIN,
        "List clients",
        "Admin: clients",
        scope=_READ,
        query=identity.ClientQuery,
        response=Page[identity.ClientItem],
    ),
    Route(
        "POST",
        "/v1/admin/clients",
        "createClient",
        identity.create_client,
        Audience.ADMIN,
        "Create a client",
        "Admin: clients",
        description="The secret is shown in this answer and never again.",
        secret=True,
        scope=_WRITE,
        request=identity.ClientRequest,
        response=identity.ClientSecretResponse,
    ),
    Route(
        "GET",
        "/v1/admin/clients/{client_id}",
        "getClient",
        identity.get_client,
        Audience.ADMIN,
        "Read a client",
        "Admin: clients",
        scope=_READ,
        response=identity.ClientItem,
    ),
    Route(
        "PATCH",
        "/v1/admin/clients/{client_id}",
        "updateClient",
        identity.update_client,
        Audience.ADMIN,
        "Change a client",
        "Admin: clients",
        description="What is left out stays as it is. The change bites at the client's next call.",
        scope=_WRITE,
        request=identity.ClientChangeRequest,
        response=identity.ClientItem,
    ),
    Route(
        "DELETE",
        "/v1/admin/clients/{client_id}",
        "revokeClient",
        identity.revoke_client,
        Audience.ADMIN,
        "Revoke a client",
        "Admin: clients",
        description="Ends the client with all its secrets and tokens, at once and for good.",
        scope=_WRITE,
    ),
    Route(
        "POST",
        "/v1/admin/clients/{client_id}/secrets",
        "rotateClientSecret",
        identity.rotate_client_secret,
        Audience.ADMIN,
        "Rotate a client's secret",
        "Admin: clients",
        description="The secret in use goes on working for the overlap, so that a client's servers "
        "can swap one after the other. At most two secrets are live.",
        secret=True,
        scope=_WRITE,
        request=identity.OverlapRequest,
        response=identity.ClientSecretResponse,
        optional_body=True,
    ),
    Route(
        "DELETE",
        "/v1/admin/clients/{client_id}/secrets/{secret_id}",
        "revokeClientSecret",
        identity.revoke_client_secret,
        Audience.ADMIN,
        "Revoke one secret of a client",
        "Admin: clients",
        description="Ends the secret and the tokens that were issued for it, at once.",
        scope=_WRITE,
    ),
)

_ACCOUNT_ROUTES = (
    Route(
        "GET",
        "/v1/admin/service-accounts",
        "listServiceAccounts",
        accounts.list_service_accounts,
        Audience.ADMIN,
        "List service accounts",
        "Admin: service accounts",
        scope=_READ,
        query=PageQuery,
        response=Page[accounts.ServiceAccountItem],
    ),
    Route(
        "POST",
        "/v1/admin/service-accounts",
        "createServiceAccount",
        accounts.create_service_account,
        Audience.ADMIN,
        "Create a service account",
        "Admin: service accounts",
        description="It gets no scope that its creator does not have. The secret is shown in this "
        "answer and never again.",
        secret=True,
        scope=_WRITE,
        request=accounts.ServiceAccountRequest,
        response=accounts.ServiceAccountSecretResponse,
    ),
    Route(
        "DELETE",
        "/v1/admin/service-accounts/{service_account_id}",
        "revokeServiceAccount",
        accounts.revoke_service_account,
        Audience.ADMIN,
        "Revoke a service account",
        "Admin: service accounts",
        description="Ends it with its secret and tokens, at once and for good. The last one that "
        "can administer accounts stays.",
        scope=_WRITE,
    ),
    Route(
        "POST",
        "/v1/admin/service-accounts/{service_account_id}/secret",
        "rotateServiceAccountSecret",
        accounts.rotate_service_account_secret,
        Audience.ADMIN,
        "Replace a service account's secret",
        "Admin: service accounts",
        description="The old secret ends at once; tokens live on unless they are revoked too.",
        secret=True,
        scope=_WRITE,
        request=accounts.RevokeTokensRequest,
        response=accounts.ServiceAccountSecretResponse,
        optional_body=True,
    ),
)

_KEY_ROUTES = (
    Route(
        "GET",
        "/v1/admin/signing-keys",
        "listSigningKeys",
        accounts.list_signing_keys,
        Audience.ADMIN,
        "List the keys that tokens are signed with",
        "Admin: signing keys",
        scope=_READ,
        query=PageQuery,
        response=Page[accounts.SigningKeyItem],
    ),
    Route(
        "POST",
        "/v1/admin/signing-keys",
        "rotateSigningKey",
        accounts.rotate_signing_key,
        Audience.ADMIN,
        "Sign with a fresh key",
        "Admin: signing keys",
        description="Older keys verify on for a week, unless all tokens are to end at once.",
        scope=_WRITE,
        request=accounts.RevokeTokensRequest,
        response=accounts.SigningKeyItem,
        optional_body=True,
    ),
)

_NODE_ROUTES = (
    Route(
        "GET",
        "/v1/admin/nodes",
        "listNodes",
        nodes.list_nodes,
        Audience.ADMIN,
        "List the nodes that serve",
        "Admin: nodes",
        description="Every process that serves this installation, oldest first.",
        scope=_READ,
        query=PageQuery,
        response=Page[nodes.NodeItem],
    ),
)

ADMIN_ROUTES: tuple[Route, ...] = (
    *_TOKEN_ROUTES,
    *_OPERATOR_ROUTES,
    *_CLIENT_ROUTES,
    *_ACCOUNT_ROUTES,
    *_KEY_ROUTES,
    *AUDIT_ADMIN_ROUTES,
    *FIRMWARE_ADMIN_ROUTES,
    *_NODE_ROUTES,
    *ENERGY_ADMIN_ROUTES,
    *RETENTION_ADMIN_ROUTES,
)
