"""What administrators do to sites, and the built-in operator and site of every instance."""

import contextlib
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from tellus.audit.model import PLATFORM, Actor
from tellus.audit.service import record
from tellus.fleet import store
from tellus.fleet.model import Site
from tellus.fleet.queries import FleetQueries
from tellus.identity.service import IdentityService
from tellus.kernel.errors import Conflict, InvalidParameter, NotFound
from tellus.kernel.ids import new_id
from tellus.storage.database import Database, Tx
from tellus.storage.instance import find_instance_value, keep_instance_value

_OPERATOR_KEY = "built_in_operator_id"
_SITE_KEY = "default_site_id"


class BuiltIn(NamedTuple):
    """The operator and the site that take chargers nobody expected (rule R0)."""

    operator_id: str
    site_id: str


class RegionMismatch(Exception):
    """The installation was set up for another region than it is told to serve."""


class SiteAdministration:
    """Use cases of administrators around sites; each is audited in its own transaction."""

    def __init__(
        self, database: Database, identity: IdentityService, queries: FleetQueries, region: str
    ) -> None:
        self._database = database
        self._identity = identity
        self.region = region
        self.summarise = queries.summarise

    async def ensure_built_in(self, now_ms: int, operator: str, site: str) -> BuiltIn:
        """Return the built-in operator and default site, made with these names at the first start.

        Once made they keep their identifiers for good.

        Raises:
            RegionMismatch: the store is that of another region.
        """
        operator_id = await self._database.read(find_instance_value, _OPERATOR_KEY)
        if operator_id is None:
            operator_id = await self._database.write(
                keep_instance_value, _OPERATOR_KEY, new_id("op")
            )
        if not await self._database.read(store.has_operator, operator_id):
            with contextlib.suppress(Conflict):  # another process was first
                await self._identity.create_operator(operator, PLATFORM, operator_id=operator_id)
        site_id = await self._database.write(self._keep_default_site, operator_id, site, now_ms)
        kept = await self._database.read(store.find_operator_region, operator_id)
        if kept is not None and kept != self.region:
            message = f"The data in this store is of region {kept}, but region {self.region} is set"
            raise RegionMismatch(message)
        return BuiltIn(operator_id, site_id)

    def _keep_default_site(self, tx: Tx, operator_id: str, name: str, now_ms: int) -> str:
        tx.lock("built-in")
        site_id = keep_instance_value(tx, _SITE_KEY, new_id("site"))
        if store.find_site(tx, site_id) is None:
            site = Site(site_id, operator_id, name, "UTC", self.region, True, now_ms)
            self._insert_site(tx, site, PLATFORM)
        return site_id

    async def create_site(self, site: Site, by: Actor) -> Site:
        """Create a site.

        Raises:
            InvalidParameter: the time zone is unknown, or the region not that of this instance.
            NotFound: there is no such operator.
        """
        self._check_site(site)
        return await self._database.write(self._create_site, site, by)

    def _create_site(self, tx: Tx, site: Site, by: Actor) -> Site:
        if not store.has_operator(tx, site.operator_id):
            raise NotFound
        self._insert_site(tx, site, by)
        return site

    async def change_site(
        self, site_id: str, changes: dict[str, Any], by: Actor, now_ms: int
    ) -> Site:
        """Change fields of a site, named as in ``Site``, and return it.

        Raises:
            InvalidParameter: the time zone is unknown, or the region not that of this instance.
            NotFound: there is no such site.
        """
        return await self._database.write(self._change_site, site_id, changes, by, now_ms)

    def _change_site(
        self, tx: Tx, site_id: str, changes: dict[str, Any], by: Actor, now_ms: int
    ) -> Site:
        tx.lock(f"site:{site_id}")
        before = store.find_site(tx, site_id)
        if before is None:
            raise NotFound
        site = replace(before, **changes)
        self._check_site(site)
        store.update_site(tx, site)
        record(
            tx,
            by.name,
            "site.changed",
            "site",
            site_id,
            site.operator_id,
            by.request_id,
            now_ms,
            **changes,
        )
        return site

    def _insert_site(self, tx: Tx, site: Site, by: Actor) -> None:
        store.insert_site(tx, site)
        record(
            tx,
            by.name,
            "site.created",
            "site",
            site.site_id,
            site.operator_id,
            by.request_id,
            site.created_ms,
            name=site.name,
        )

    def _check_site(self, site: Site) -> None:
        check_timezone(site.timezone)
        if site.region != self.region:
            message = f"This instance serves region {self.region}, not {site.region}"
            raise InvalidParameter(message, "region", site.region)


def check_timezone(name: str) -> None:
    """Check that ``name`` is an IANA time zone.

    Raises:
        InvalidParameter: it is not.
    """
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        message = "Parameter 'timezone' must be a name such as Europe/Berlin"
        raise InvalidParameter(message, "timezone", name) from None
