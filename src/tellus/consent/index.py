"""Consents in memory, by what they cover; changed on the event loop alone, after the commit."""

from collections.abc import Iterable, Iterator, Mapping

from tellus.consent.model import BIT, Consent, Place, Scope, Service, State
from tellus.consent.rules import (
    FIRMWARE_ALONE,
    can_have_second_platform,
    effective,
    state_of,
)
from tellus.kernel.permits import Judged

_VERSIONS_KNOWN = 10_000

Key = tuple[Scope, str]
Builds = Mapping[tuple[str, str], str]


class ConsentIndex:
    """All consents that are not over, or whose end nothing has followed yet.

    ``builds`` are the dated builds of versions, by model and version, as far as they are known.
    """

    def __init__(self, builds: Builds | None = None) -> None:
        self._builds: Builds = {} if builds is None else builds
        self._too_old: dict[tuple[str, str], bool] = {}
        self._held: dict[str, Consent] = {}
        self._over: set[str] = set()
        self._by_scope: dict[Key, dict[str, Consent]] = {}

    @property
    def builds(self) -> Builds:
        """Return the dated builds of versions."""
        return self._builds

    @builds.setter
    def builds(self, builds: Builds) -> None:
        self._builds = builds
        self._too_old = {}

    def __len__(self) -> int:
        return len(self._held)

    def put(self, consent: Consent) -> None:
        """Take over what is stored of a consent; one that is over is forgotten, and stays so.

        What was read before it ended may come here afterwards.
        """
        key = (consent.scope, consent.scope_id)
        if consent.ended_ms is None:
            if consent.consent_id in self._over:
                return
            self._held[consent.consent_id] = consent
            self._by_scope.setdefault(key, {})[consent.consent_id] = consent
            return
        self._over.add(consent.consent_id)
        self._held.pop(consent.consent_id, None)
        held = self._by_scope.get(key)
        if held is not None:
            held.pop(consent.consent_id, None)
            if not held:
                del self._by_scope[key]

    def keep_only(self, consent_ids: Iterable[str]) -> None:
        """Forget all others: they are over."""
        kept = set(consent_ids)
        for consent in [one for one in self._held.values() if one.consent_id not in kept]:
            del self._held[consent.consent_id]
            self._by_scope[consent.scope, consent.scope_id].pop(consent.consent_id, None)

    def keys(self) -> list[Key]:
        """Return all that is covered by some consent."""
        return list(self._by_scope)

    def judge(self, place: Place, now_ms: int) -> Judged:
        """Return the services of a device, and until when they hold."""
        services, until_ms = effective(self._covering(place), place.operator_id, now_ms)
        if services and self.is_too_old(place.model, place.firmware_version):
            services &= FIRMWARE_ALONE
        return services, until_ms

    def is_too_old(self, model: str, version: str) -> bool:
        """Tell whether a model's firmware has no room for a second platform."""
        key = (model, version)
        found = self._too_old.get(key)
        if found is None:
            found = not can_have_second_platform(self._builds.get(key, version))
            if len(self._too_old) >= _VERSIONS_KNOWN:
                self._too_old = {}
            self._too_old[key] = found
        return found

    def covers_operator(self, operator_id: str, service: Service, now_ms: int) -> bool:
        """Tell whether a service is agreed to for all that an operator has."""
        held = self._by_scope.get((Scope.OPERATOR, operator_id), {})
        return any(
            consent.services & BIT[service] and state_of(consent, now_ms) is State.ACTIVE
            for consent in held.values()
        )

    def next_end_ms(self) -> int | None:
        """Return when the next consent is over by itself, or was; None for never."""
        return min((c.to_ms for c in self._held.values() if c.to_ms is not None), default=None)

    def _covering(self, place: Place) -> Iterator[Consent]:
        for key in (
            (Scope.DEVICE, place.device_id),
            (Scope.SITE, place.site_id),
            (Scope.OPERATOR, place.operator_id),
        ):
            held = self._by_scope.get(key)
            if held is not None:
                yield from held.values()
