"""Sessions on the operator's surface, and what cannot be believed of them."""

from functools import partial
from typing import Final

from tellus.consent.model import Service
from tellus.energy import operator_api_quality as quality
from tellus.energy import operator_api_sessions as sessions
from tellus.kernel.call import Audience
from tellus.kernel.paging import Page
from tellus.surfaces.routes import LimitClass, Route

_query = partial(
    Route, "GET", audience=Audience.OPERATOR, scope="read", limit=LimitClass.QUERIES,
)  # fmt: skip

OPERATOR_SESSION_ROUTES: Final[tuple[Route, ...]] = (
    _query(
        "/v1/operator/sessions", "listSessions", sessions.list_sessions,
        tag="Operator: sessions", query=sessions.SessionQuery,
        response=Page[sessions.SessionItem],
        service=Service.ENERGY_REPORTING, sifts=True,
        summary="List sessions, live and past",
        description="What charges or discharges now and what did, newest first: inferred from"
        " events, samples and charging records, each with the command that started it where there"
        " was one. The charging record, once it is there, settles the energy.",
    ),
    _query(
        "/v1/operator/sessions/{session_id}", "getSession", sessions.get_session,
        tag="Operator: sessions", response=sessions.SessionItem,
        service=Service.ENERGY_REPORTING, sifts=True,
        summary="Get a session",
        description="One session, live or past.",
    ),
    _query(
        "/v1/operator/data-quality", "getDataQuality", quality.get_data_quality,
        tag="Operator: sessions", query=quality.QualityQuery,
        response=quality.QualityResponse,
        service=Service.DIAGNOSTICS, sifts=True,
        summary="See what cannot be believed",
        description="Samples and charging records that are implausible, counted per device and"
        " listed, newest first. They are kept, and left out of energy.",
    ),
)  # fmt: skip
