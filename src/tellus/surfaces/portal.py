"""The customer's portal, and where operators and administrators answer what customers ask for."""

from functools import partial
from typing import Final

from tellus.kernel.call import Audience
from tellus.kernel.paging import Page, PageQuery
from tellus.portal import customer_api as portal
from tellus.portal import customer_api_requests as requests
from tellus.surfaces.routes import Answer, LimitClass, Route

_PORTAL: Final = "/v1/customer-portal"
_CHARGER: Final = f"{_PORTAL}/chargers/{{device_id}}"

_query = partial(
    Route, "GET", audience=Audience.OPERATOR, scope="customer_portal", limit=LimitClass.QUERIES,
    tag="Customer portal",
)  # fmt: skip
_control = partial(
    Route, "POST", audience=Audience.OPERATOR, scope="customer_portal", limit=LimitClass.CONTROL,
    tag="Customer portal",
)  # fmt: skip

_ANSWERING: Final = (
    "`accepted` or `declined`, once; the customer sees the note. Accepting a change alters no"
    " consent: that is granted or revoked as ever."
)

PORTAL_ROUTES: Final[tuple[Route, ...]] = (
    _query(
        f"{_PORTAL}/chargers", "listPortalChargers", portal.list_chargers,
        query=PageQuery, response=Page[portal.PortalChargerItem],
        summary="List my chargers",
        description="Those that the customer's consents cover, or covered, by serial number, with"
        " which services the customer agreed to and which are on.",
    ),
    _query(
        _CHARGER, "getPortalCharger", portal.get_charger,
        response=portal.PortalChargerResponse, summary="Look at one of my chargers",
        description="With the times in which the customer's consents covered it.",
    ),
    _query(
        f"{_PORTAL}/consents", "listPortalConsents", portal.list_consents,
        query=PageQuery, response=Page[portal.PortalConsentItem],
        summary="List my consents", description="Newest first, with those that are over.",
    ),
    _control(
        f"{_PORTAL}/consents/{{consent_id}}/revoke", "revokePortalConsent", portal.switch_off,
        request=portal.SwitchOffRequest, optional_body=True, response=portal.PortalConsentItem,
        summary="Switch off",
        description="Ends a consent at once and for good. Goes to the audit log.",
    ),
    _query(
        f"{_CHARGER}/readers", "listPortalReaders", portal.list_readers,
        query=portal.PortalReadersQuery, response=Page[portal.PortalReaderItem],
        summary="See who read what of my charger",
        description="By reader, kind of data and day (UTC), on days on which one of the customer's"
        " consents covered the charger.",
    ),
    _query(
        f"{_CHARGER}/export", "exportPortalCharger", portal.export_charger, answer=Answer.FILE,
        summary="Export all data of my charger",
        description='NDJSON, a line for each thing: `{"kind": …, "data": {…}}`. All that is'
        " kept from the times in which the customer's consents covered the charger. The last line"
        " is of the kind `end` and counts the others. Goes to the audit log.",
    ),
    _control(
        f"{_CHARGER}/erasure", "askPortalErasure", requests.ask_erasure,
        request=requests.AskErasureRequest, optional_body=True,
        response=requests.CustomerRequestItem, summary="Ask that my charger is erased",
        description="An administrator confirms it, for the charger itself is deleted with its data."
        " While one waits it is that one. Goes to the audit log.",
    ),
    _control(
        f"{_PORTAL}/change-requests", "askPortalChange", requests.ask_change,
        request=requests.AskChangeRequest, response=requests.CustomerRequestItem,
        summary="Ask for other services",
        description="For a charger or a consent: which services are to be on. The operator answers."
        " Goes to the audit log.",
    ),
    _query(
        f"{_PORTAL}/change-requests", "listPortalRequests", requests.list_own_requests,
        query=requests.RequestsQuery, response=Page[requests.CustomerRequestItem],
        summary="List what I asked for", description="Newest first, with the answers.",
    ),
    Route(
        "GET", "/v1/operator/change-requests", "listCustomerRequests", requests.list_requests,
        Audience.OPERATOR, "List what customers ask for", "Operator: coexistence",
        description="Newest first.", scope="read", limit=LimitClass.QUERIES,
        query=requests.RequestsQuery, response=Page[requests.CustomerRequestItem],
    ),
    Route(
        "PATCH", "/v1/operator/change-requests/{request_id}", "answerCustomerRequest",
        requests.answer_request, Audience.OPERATOR, "Answer what a customer asks for",
        "Operator: coexistence", scope="write", limit=LimitClass.CONTROL,
        description=f"{_ANSWERING} An erasure is answered by an administrator: 409 with `reason`"
        " `needs_administrator`. Goes to the audit log.",
        request=requests.AnswerRequest, response=requests.CustomerRequestItem,
    ),
    Route(
        "GET", "/v1/admin/change-requests", "adminListCustomerRequests", requests.list_requests,
        Audience.ADMIN, "List what customers ask for", "Admin: consents",
        description="Newest first.", scope="device:read",
        query=requests.RequestsQuery, response=Page[requests.CustomerRequestItem],
    ),
    Route(
        "PATCH", "/v1/admin/change-requests/{request_id}", "adminAnswerCustomerRequest",
        requests.answer_request, Audience.ADMIN, "Answer what a customer asks for",
        "Admin: consents", scope="org:write",
        description=f"{_ANSWERING} An erasure that is accepted deletes the charger and erases what"
        " it has left; `erasure_id` names the receipt. Goes to the audit log.",
        request=requests.AnswerRequest, response=requests.CustomerRequestItem,
    ),
)  # fmt: skip
