"""Which capability of a device belongs on which channel, as operators see it."""

import msgspec
from msgspec import UNSET, UnsetType

from tellus.coexistence.channels import ChannelService
from tellus.coexistence.model_channels import Channel, Obstacle, Pattern, Standing
from tellus.consent.model import Service
from tellus.kernel.call import Call, Nothing


class CapabilityItem(msgspec.Struct, frozen=True, kw_only=True):
    """A capability: on which channel it belongs, and whether it is enabled here, or why not."""

    name: str
    title: str
    channel: Channel
    enabled: bool
    obstacle: Obstacle | UnsetType = UNSET
    service: Service | UnsetType = UNSET
    note: str


class ChannelsResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The channels of a device, and which pattern of use they come to."""

    device_id: str
    consent_required: bool
    pattern: Pattern | UnsetType = UNSET
    capabilities: list[CapabilityItem]


async def get_device_channels(
    channels: ChannelService, call: Call[Nothing, Nothing]
) -> ChannelsResponse:
    """Return what belongs on OCPP, what here, and what of it is enabled for a device.

    Raises:
        NotFound: it is absent or another operator's.
    """
    found = channels.read(call.path["device_id"], call.principal.operator_id, call.now_ms)
    return ChannelsResponse(
        device_id=found.device_id,
        consent_required=found.consent_required,
        pattern=UNSET if found.pattern is None else found.pattern,
        capabilities=[_to_item(one) for one in found.standings],
    )


def _to_item(standing: Standing) -> CapabilityItem:
    one = standing.capability
    return CapabilityItem(
        name=one.name,
        title=one.title,
        channel=one.channel,
        enabled=standing.obstacle is None,
        obstacle=UNSET if standing.obstacle is None else standing.obstacle,
        service=UNSET if one.service is None else one.service,
        note=one.note,
    )
