"""What kind of device data each operation reads."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from tellus.coexistence.model import DataKind
from tellus.surfaces.routes import Route

READS: Final[Mapping[str, DataKind]] = MappingProxyType(
    {
        "listSites": DataKind.STATE,
        "getSite": DataKind.STATE,
        "listDevices": DataKind.STATE,
        "getDevice": DataKind.STATE,
        "listDeviceEvents": DataKind.EVENTS,
        "listDeviceTelemetry": DataKind.TELEMETRY,
        "listMeterValues": DataKind.TELEMETRY,
        "listSessionTelemetry": DataKind.TELEMETRY,
        "getDataQuality": DataKind.TELEMETRY,
        "listSessions": DataKind.RECORDS,
        "getSession": DataKind.RECORDS,
        "listChargingRecords": DataKind.RECORDS,
        "getAggregatedEnergy": DataKind.ENERGY,
        "listCommands": DataKind.COMMANDS,
        "getCommand": DataKind.COMMANDS,
        "listSchedules": DataKind.COMMANDS,
        "listControls": DataKind.COMMANDS,
        "getControl": DataKind.COMMANDS,
        "listPeerOrders": DataKind.COMMANDS,
        "listFirmwareStandings": DataKind.FIRMWARE,
        "getDeviceFirmware": DataKind.FIRMWARE,
        "listRollouts": DataKind.FIRMWARE,
        "getRollout": DataKind.FIRMWARE,
        "listRolloutDevices": DataKind.FIRMWARE,
        "legacyQueryStationStatus": DataKind.STATE,
        "listDiagnostics": DataKind.DIAGNOSTICS,
        "getDiagnostics": DataKind.DIAGNOSTICS,
        "downloadDiagnostics": DataKind.DIAGNOSTICS,
        "getDeviceNetwork": DataKind.DIAGNOSTICS,
        "listRunbookRuns": DataKind.DIAGNOSTICS,
        "getRunbookRun": DataKind.DIAGNOSTICS,
        "downloadRunbookBundle": DataKind.DIAGNOSTICS,
        "listFirmwareHealth": DataKind.DIAGNOSTICS,
        "listProposals": DataKind.DIAGNOSTICS,
        "getWorkList": DataKind.DIAGNOSTICS,
        "listAlerts": DataKind.ALERTS,
        "getAlert": DataKind.ALERTS,
        "listWebhookDeliveries": DataKind.ALERTS,
        "getComponentHealth": DataKind.HEALTH,
        "listComponentHealthHistory": DataKind.HEALTH,
        "listConfigProfileDevices": DataKind.CONFIGURATION,
        "getDeviceConfigProfile": DataKind.CONFIGURATION,
        "listPortalChargers": DataKind.STATE,
        "getPortalCharger": DataKind.STATE,
        "exportPortalCharger": DataKind.EXPORT,
        "adminListDevices": DataKind.STATE,
        "adminGetDevice": DataKind.STATE,
    }
)
"""The operations that read data of devices, by their names."""

READS_NOTHING: Final = frozenset(
    {
        "subscribeTelemetry",
        "listFirmwareReleases",
        "listForeignChargePoints",
        "listForeignOrders",
        "listAuditLogs",
        "listFaults",
        "getFault",
        "listAgents",
        "listConfigProfiles",
        "getConfigProfile",
        "listConfigProfileVersions",
        "listV2gVehicles",
        "listWebhooks",
        "getWebhook",
        "listRunbooks",
        "getRunbook",
        "listDeviceReaders",
        "getDeviceChannels",
        "listPortalConsents",
        "listPortalReaders",
        "listPortalRequests",
        "listCustomerRequests",
    }
)
"""What operators may ask for that is no data of devices, or is counted elsewhere: the stream."""


def kind_of(route: Route) -> str | None:
    """Return what kind of device data a route reads, or None."""
    kind = READS.get(route.operation_id)
    return None if kind is None else kind.value
