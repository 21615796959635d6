"""Alerts on the operator's surface, and the webhooks that are told of them."""

from functools import partial
from typing import Final

from tellus.alerts import operator_api as alerts
from tellus.kernel.call import Audience
from tellus.kernel.paging import Page
from tellus.surfaces.routes import LimitClass, Route

_ALERT: Final = "/v1/operator/alerts/{alert_id}"

_query = partial(
    Route, "GET", audience=Audience.OPERATOR, scope="read", limit=LimitClass.QUERIES,
    tag="Operator: alerts",
)  # fmt: skip
_control = partial(
    Route, audience=Audience.OPERATOR, scope="write", limit=LimitClass.CONTROL,
    tag="Operator: alerts",
)  # fmt: skip

OPERATOR_ALERT_ROUTES: Final[tuple[Route, ...]] = (
    _query(
        "/v1/operator/alerts", "listAlerts", alerts.list_alerts,
        query=alerts.AlertsQuery, response=Page[alerts.AlertItem],
        table=alerts.tabulate_alerts, summary="List alerts",
        description="What needs, or needed, somebody's attention, newest first. One alert is live"
        " per matter, however often it is found. `since` goes by the last change of status,"
        " condition or severity.",
    ),
    _query(
        _ALERT, "getAlert", alerts.get_alert, response=alerts.AlertResponse,
        summary="Get an alert",
        description="What was found, by whom and on what evidence, the runbook that fits, the"
        " runs for it, and its history.",
    ),
    _control(
        "PATCH", _ALERT, "changeAlert", alerts.change_alert,
        request=alerts.AlertChangeRequest, response=alerts.AlertResponse,
        summary="Say what is done about an alert",
        description="`open` becomes `acknowledged`, `resolved` or `dismissed`; `acknowledged`"
        " becomes `resolved` or `dismissed`; those are ends. 409 with `details.from` and"
        " `details.to` otherwise. Goes to the audit log.",
    ),
)  # fmt: skip
