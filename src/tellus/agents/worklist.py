"""The work list: what is to be done at which site, made from what is known at the moment."""

import asyncio
from collections import defaultdict
from typing import Final

from tellus.agents import store
from tellus.agents.gathering import to_unit
from tellus.agents.model import AgentName, Concern, ProposalFilter, ProposalStatus, SiteWork
from tellus.agents.rules_dispatch import plan_work
from tellus.alerts.model import Alert, AlertStatus, Condition
from tellus.alerts.service import AlertService
from tellus.consent.model import Service
from tellus.fleet.directory import Directory
from tellus.storage.database import Database, Tx

_MOST_PROPOSALS: Final = 10_000
FIRMWARE_KEY: Final = "firmware:"
"""How the key of an alert begins that blames a version; version, model and code follow."""

Concerns = dict[int, list[Concern]]


class WorkList:
    """Makes the work list of an operator from alerts, wear, and what the hunters propose."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        alerts: AlertService,
    ) -> None:
        self._database = database
        self._directory = directory
        self._alerts = alerts

    async def plan(self, operator_id: str) -> list[SiteWork]:
        """Return the work of an operator by site, in order of rank."""
        withheld = set(self._directory.withheld(operator_id, Service.DIAGNOSTICS))
        devices = [
            device
            for device in self._directory.of_operator(operator_id)
            if device.device_no not in withheld
        ]
        concerns: Concerns = defaultdict(list)
        await self._database.read(self._add_alerts, concerns, operator_id)
        await self._database.read(_add_proposals, concerns, operator_id)
        await self._database.read(_add_wear, concerns, operator_id)
        units = [to_unit(device) for device in devices]
        return await asyncio.to_thread(plan_work, units, concerns)

    def _add_alerts(self, tx: Tx, concerns: Concerns, operator_id: str) -> None:
        live = self._alerts.list_live(tx, operator_id, None)
        blamed = {alert.key for alert in live if alert.key.startswith(FIRMWARE_KEY)}
        for alert in live:
            device = None if alert.device_no is None else self._directory.by_no(alert.device_no)
            if device is not None:
                key = f"{FIRMWARE_KEY}{device.firmware_version}:{device.model}:{alert.code}"
                concerns[device.device_no].append(_of_alert(alert, is_blamed=key in blamed))


def _add_wear(tx: Tx, concerns: Concerns, operator_id: str) -> None:
    for part in store.list_wear(tx, operator_id):
        ref = f"{part.device_no}:{part.connector_id}:{part.component}"
        concern = Concern("wear", part.component, part.text, ref, days_left=part.days_left)
        concerns[part.device_no].append(concern)


def _of_alert(alert: Alert, *, is_blamed: bool) -> Concern:
    return Concern(
        "alert",
        alert.code,
        alert.title,
        alert.alert_id,
        severity=alert.severity.value,
        cleared=alert.condition is Condition.CLEARED,
        acknowledged=alert.status is AlertStatus.ACKNOWLEDGED,
        firmware_to_blame=is_blamed,
    )


def _add_proposals(tx: Tx, concerns: Concerns, operator_id: str) -> None:
    """Add what the hunters propose, and what a person has accepted of it lately."""
    for agent, kind in (
        (AgentName.ANOMALY_HUNTER, "anomaly"),
        (AgentName.REPEAT_FAULT_HUNTER, "repeat"),
    ):
        wanted = ProposalFilter(operator_id, agent, ProposalStatus.PROPOSED)
        _, proposals = store.list_proposals(tx, wanted, (0, _MOST_PROPOSALS))
        for proposal in proposals:
            draft = proposal.draft
            if draft.device_no is None:
                continue
            code = draft.evidence.get("metric") or draft.evidence.get("code") or kind
            concerns[draft.device_no].append(Concern(kind, code, draft.title, proposal.proposal_id))
