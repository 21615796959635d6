"""What is held of one vehicle, for administrators who answer a data subject."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.audit.model import Actor
from tellus.kernel.call import Call, Nothing
from tellus.kernel.files import FileAnswer
from tellus.privacy.subjects import SubjectService


class SubjectExportRequest(msgspec.Struct, frozen=True):
    """The vehicle to export, and for which operator; without one, for all of them."""

    vin: Annotated[str, Meta(min_length=1, max_length=64)]
    operator_id: Annotated[str, Meta(min_length=1, max_length=128)] | UnsetType = UNSET


async def export_subject(
    subjects: SubjectService, call: Call[SubjectExportRequest, Nothing]
) -> FileAnswer:
    """Return all that is held of a vehicle."""
    body = call.body
    operator_id = None if body.operator_id is UNSET else body.operator_id
    return await subjects.export(body.vin, operator_id, _actor(call))


def _actor(call: Call[Any, Any]) -> Actor:
    principal = call.principal
    return Actor(principal.principal_id, call.request_id or None, principal.scopes)
