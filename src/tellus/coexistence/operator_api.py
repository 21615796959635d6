"""Who read what of a device, as its operator and administrators see it."""

from datetime import date
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tellus.coexistence.model import DataKind, ReadCount, ReaderKind, ReadScope
from tellus.coexistence.readers import ReaderService
from tellus.kernel.call import Audience, Call, Nothing
from tellus.kernel.errors import InvalidParameter
from tellus.kernel.paging import Page, PageQuery
from tellus.kernel.units import to_text

_EPOCH: Final = date(1970, 1, 1).toordinal()


class ReadersQuery(PageQuery, frozen=True, kw_only=True):
    """Which days (UTC), both included; what is left out admits all."""

    from_day: date | UnsetType = UNSET
    to_day: date | UnsetType = UNSET


class ReaderItem(msgspec.Struct, frozen=True, kw_only=True):
    """How often a reader read a kind of data on a day (UTC).

    ``scope`` is ``device`` where it was of this device, ``site`` or ``operator`` where it was of
    sums over them. ``seconds`` is how long streams of it were open.
    """

    day: date
    reader_id: str
    reader_kind: ReaderKind
    kind: DataKind
    scope: Annotated[ReadScope, Meta(description="Of the device, or of sums it is in.")]
    times: int
    seconds: int | UnsetType = UNSET
    first_at: str
    last_at: str


async def list_device_readers(
    readers: ReaderService, call: Call[Nothing, ReadersQuery]
) -> Page[ReaderItem]:
    """Return who read what of a device, newest day first.

    Raises:
        NotFound: it is absent or another operator's.
        InvalidParameter: the days end before they begin.
    """
    query, principal = call.query, call.principal
    from_day = None if query.from_day is UNSET else query.from_day.toordinal() - _EPOCH
    to_day = None if query.to_day is UNSET else query.to_day.toordinal() - _EPOCH
    if from_day is not None and to_day is not None and to_day < from_day:
        message = "Parameter 'to_day' must not be before 'from_day'"
        raise InvalidParameter(message, "to_day", str(query.to_day))
    operator_id = None if principal.audience is Audience.ADMIN else principal.operator_id
    total, found = await readers.list_reads(
        call.path["device_id"], operator_id, (from_day, to_day), (query.offset, query.size)
    )
    return Page(total, query.page, query.size, [_to_item(one) for one in found])


def _to_item(count: ReadCount) -> ReaderItem:
    group = count.group
    return ReaderItem(
        day=date.fromordinal(_EPOCH + count.day),
        reader_id=group.reader_id,
        reader_kind=ReaderKind(group.reader_kind),
        kind=DataKind(group.kind),
        scope=ReadScope(group.scope),
        times=count.times,
        seconds=count.seconds or UNSET,
        first_at=to_text(count.first_ms),
        last_at=to_text(count.last_ms),
    )
