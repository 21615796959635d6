"""Consents on the administration surface."""

from functools import partial
from typing import Final

from tellus.consent import admin_api as consents
from tellus.kernel.call import Audience
from tellus.kernel.paging import Page
from tellus.surfaces.routes import Route

_query = partial(
    Route, "GET", audience=Audience.ADMIN, scope="device:read", tag="Admin: consents",
)  # fmt: skip
_change = partial(
    Route, "POST", audience=Audience.ADMIN, scope="device:write", tag="Admin: consents",
    response=consents.ConsentItem,
)  # fmt: skip

CONSENT_ADMIN_ROUTES: Final[tuple[Route, ...]] = (
    _change(
        "/v1/admin/consents", "grantConsent", consents.grant_consent,
        request=consents.GrantConsentRequest,
        summary="Grant consent",
        description="Records who agrees to which services for a device, a site or an operator, and"
        " until when. For a device whose firmware has room for one platform alone: 409 with"
        " `details.needs_firmware`, unless it is for `firmware` alone. Goes to the audit log.",
    ),
    _query(
        "/v1/admin/consents", "listConsents", consents.list_consents,
        query=consents.ConsentsQuery, response=Page[consents.ConsentItem],
        summary="List consents",
        description="Newest first, with those that are over. With `device_id` all that cover the"
        " device: its own, its site's and its operator's.",
    ),
    _query(
        "/v1/admin/consents/{consent_id}", "getConsent", consents.get_consent,
        response=consents.ConsentItem, summary="Look at a consent",
    ),
    _change(
        "/v1/admin/consents/{consent_id}/revoke", "revokeConsent", consents.revoke_consent,
        request=consents.RevokeConsentRequest, optional_body=True,
        summary="Revoke a consent",
        description="Ends it at once and for good: data of its services is refused, reads are,"
        " commands that wait are cancelled, and tokens of devices that are left without any service"
        " are void. Goes to the audit log.",
    ),
)  # fmt: skip
