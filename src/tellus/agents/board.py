"""What the agents' surface works with: the agents, the work list, and devices by their names."""

from tellus.agents.service import AgentService
from tellus.agents.worklist import WorkList
from tellus.fleet.directory import Directory
from tellus.kernel.errors import NotFound
from tellus.sessions.service import RecordService


class AgentBoard:
    """Agents and work list of an operator, with devices by identifier."""

    def __init__(
        self, agents: AgentService, work: WorkList, directory: Directory, records: RecordService
    ) -> None:
        self.agents = agents
        self.work = work
        self._directory = directory
        self._records = records

    def device_no(self, device_id: str, operator_id: str) -> int:
        """Return the number of an operator's device.

        Raises:
            NotFound: it is absent or another operator's.
        """
        device = self._directory.owned(device_id, operator_id)
        if device is None:
            raise NotFound
        return device.device_no

    async def require_site(self, site_id: str, operator_id: str) -> None:
        """Return if the site is the operator's.

        Raises:
            NotFound: it is absent or another operator's.
        """
        await self._records.require_site(site_id, operator_id)

    def device_id(self, device_no: int) -> str | None:
        """Return the identifier of a device, None where it is gone."""
        device = self._directory.by_no(device_no)
        return None if device is None else device.device_id
