"""When a customer's consents covered a charger."""

from typing import Any

from tellus.consent.model import BIT, Consent, Scope, Service
from tellus.kernel.units import DAY_MS
from tellus.portal import rules
from tellus.portal.model import FormerSite, Span, Stay


def consent(scope: Scope = Scope.DEVICE, scope_id: str = "dvc_1", **more: Any) -> Consent:
    """A consent for diagnostics from 100 on."""
    fields: dict[str, Any] = {
        "consent_id": "cns_1", "operator_id": "op_1", "customer": "Harbour", "granted_by": "Owner",
        "services": BIT[Service.DIAGNOSTICS], "evidence": None, "from_ms": 100, "to_ms": None,
        "created_ms": 100, "created_by": "acc_1",
    }  # fmt: skip
    return Consent(scope=scope, scope_id=scope_id, **fields | more)


HERE = (Stay("site_1", Span(0, None)),)
MOVED = (Stay("site_1", Span(0, 300)), Stay("site_2", Span(300, None)))


def test_covered_by__revoked_before_it_ends__ends_then() -> None:
    """Of the end that was agreed and the revocation the earlier one counts."""
    covered = rules.covered_by([consent(to_ms=900, revoked_ms=400)], HERE)
    assert covered.spans == (Span(100, 400),)


def test_covered_by__revoked_before_it_began__is_nothing() -> None:
    """A consent that never held covers nothing."""
    assert rules.covered_by([consent(revoked_ms=50)], HERE).spans == ()


def test_covered_by__site__is_the_time_there() -> None:
    """A consent for a site covers a charger while it stands there, one for a device anywhere."""
    site = consent(Scope.SITE, "site_1")
    assert rules.covered_by([site], MOVED).spans == (Span(100, 300),)
    assert rules.covered_by([consent(Scope.SITE, "site_2")], MOVED).spans == (Span(300, None),)
    assert rules.covered_by([consent()], MOVED).spans == (Span(100, None),)
    assert rules.covered_by([consent(Scope.SITE, "site_3")], MOVED).consents == ()


def test_agreed_at__site_that_was_left__is_off() -> None:
    """What was agreed to for a site is on while the charger is there and the consent holds."""
    covered = rules.covered_by([consent(Scope.SITE, "site_1")], HERE)
    assert rules.agreed_at(covered, "site_1", 200) == BIT[Service.DIAGNOSTICS]
    assert rules.agreed_at(covered, "site_1", 99) == 0
    assert rules.agreed_at(covered, "site_2", 200) == 0


def test_stays_of__moves_before_its_operator_had_it__count_for_nothing() -> None:
    """A charger's time begins when it came to its operator."""
    former = [FormerSite(1, 50, "site_0"), FormerSite(1, 300, "site_1")]
    assert rules.stays_of("site_2", 100, former) == [
        Stay("site_1", Span(100, 300)), Stay("site_2", Span(300, None)),
    ]  # fmt: skip


def test_merged__spans_that_touch__are_one() -> None:
    """Spans come in order, without overlap; what has no end swallows what follows."""
    spans = [Span(500, None), Span(100, 200), Span(150, 300), Span(300, 400), Span(600, 700)]
    assert rules.merged(spans) == [Span(100, 400), Span(500, None)]


def test_days_of__spans__are_the_days_they_touch() -> None:
    """A span that ends at midnight does not touch the day after."""
    (first, last), (begin, end) = rules.days_of([Span(0, DAY_MS), Span(3 * DAY_MS, None)])
    assert (first, last, begin) == (0, 0, 3)
    assert end > 10**6


def test_until__what_has_not_come__is_cut_off() -> None:
    """Of what goes on there is what is over."""
    assert rules.until([Span(100, None), Span(900, 950)], 500) == [Span(100, 500)]
