"""What things are about: which device's owner has to agree before one is shown."""

from tellus.coexistence import store_subjects
from tellus.storage.database import Database


class Subjects:
    """Finds the devices of things that paths name by identifiers of their own."""

    kinds = frozenset(store_subjects.SUBJECTS)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_device_no(self, kind: str, identifier: str) -> int | None:
        """Return the number of the device that a thing is about.

        None for what is about no device, and where there is no such thing.
        """
        return await self._database.read(store_subjects.find_device_no, kind, identifier)
