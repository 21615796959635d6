"""Whatever facts come in, and however they are cut and mixed, energy is that of its definitions."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tellus.energy import rules_machine
from tellus.energy.model import Facts, Folded, Session
from tellus.energy.rules_clip import energy_between
from tellus.energy.rules_fold import fold
from tellus.energy.rules_rescale import rescale
from tests.property.energy_mutants import MUTANTS
from tests.property.energy_world import (
    LIMITS_MW,
    cuts_of,
    facts_of_a_connector,
    fold_in_pieces,
    records_of_a_connector,
)
from tests.unit.energy.builders import PRECISION_NKWH
from tests.unit.energy.oracle import Outcome, work_out

SOME = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
POOL_SIZE = 400

Case = tuple[Facts, int | None, list[int], Any]


def _what_is_known(held: Session | Outcome) -> tuple[object, ...]:
    return (
        held.start_ms,
        held.end_ms,
        held.last_ms,
        held.record_id,
        held.basis,
        held.samples,
        held.soc_start_pct,
        held.soc_end_pct,
    )


def _near(got: int, wanted: Fraction, precision: Fraction | int = PRECISION_NKWH) -> bool:
    return abs(got - wanted) < precision


def _compare(folded: Folded, wanted: tuple[list[Outcome], list[Any]]) -> None:
    """Compare with the oracle; where a record stretches little into much, so are the roundings."""
    outcomes, doubts = wanted
    assert sorted(folded.doubts) == doubts
    assert list(map(_what_is_known, folded.sessions)) == list(map(_what_is_known, outcomes))
    for session, outcome in zip(folded.sessions, outcomes, strict=True):
        precision = max(Fraction(PRECISION_NKWH), 200 * outcome.stretched)
        minutes = outcome.minutes
        for minute in session.minutes.keys() | minutes.keys():
            got, want = session.minutes.get(minute, (0, 0)), minutes.get(minute, (Fraction(),) * 2)
            assert _near(got[0], want[0], precision), (minute, session, outcome)
            assert _near(got[1], want[1], precision), (minute, session, outcome)
        net = sum(charge - discharge for charge, discharge in session.minutes.values())
        assert _near(net, sum((held.energy for held in outcome.intervals), Fraction()))


def _assert_pieces_are_the_whole(facts: Facts, limit_mw: int | None, cuts_ms: list[int]) -> None:
    whole = fold(facts, limit_mw)
    assert fold_in_pieces(facts, limit_mw, cuts_ms) == (*whole[:2], whole.carry)


@given(facts_of_a_connector(), LIMITS_MW)
@SOME
def test_fold__any_facts__is_what_the_definitions_say(facts: Facts, limit_mw: int | None) -> None:
    """Sessions, doubts and every minute are those of a second working out in fractions."""
    _compare(fold(facts, limit_mw), work_out(facts, limit_mw))


@given(facts_of_a_connector(), LIMITS_MW, st.data())
@SOME
def test_fold__in_pieces__is_the_fold_at_once(
    facts: Facts, limit_mw: int | None, data: st.DataObject
) -> None:
    """Wherever the facts are cut, going on from the carry ends in exactly the same sessions."""
    _assert_pieces_are_the_whole(facts, limit_mw, data.draw(cuts_of(facts)))


@given(facts_of_a_connector(), LIMITS_MW, st.randoms(use_true_random=False))
@SOME
def test_fold__permuted_and_repeated__is_the_same(
    facts: Facts, limit_mw: int | None, random: Any
) -> None:
    """Neither the order of the facts nor their repetition changes anything."""
    mixed = Facts(*(list(given) + random.choices(given, k=3) if given else [] for given in facts))
    for given_facts in mixed:
        random.shuffle(given_facts)
    assert fold(mixed, limit_mw) == fold(facts, limit_mw)


@given(facts_of_a_connector(), LIMITS_MW)
@SOME
def test_fold__any_facts__keeps_directions_apart_and_records_whole(
    facts: Facts, limit_mw: int | None
) -> None:
    """Neither direction is ever negative, and the minutes of a record are its energy."""
    folded = fold(facts, limit_mw)
    energies = {held.record_id: held.energy_nkwh for held in facts.records}
    settled = [session for session in folded.sessions if session.record_id is not None]
    assert sorted(energies) == sorted(str(session.record_id) for session in settled)
    for session in folded.sessions:
        assert all(min(moved) >= 0 and max(moved) > 0 for moved in session.minutes.values())
    for session in settled:
        net = sum(charge - discharge for charge, discharge in session.minutes.values())
        assert net == energies[session.record_id or ""]


@given(facts_of_a_connector(), LIMITS_MW, st.sampled_from([8, 16, 256]))
@SOME
def test_fold__run_by_run__is_the_fold_sample_by_sample(
    facts: Facts, limit_mw: int | None, run_length: int
) -> None:
    """Counting whole runs at once gives the same sessions, doubts and carry, byte for byte."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rules_machine, "RUN_LENGTH", run_length)
        by_run = fold(facts, limit_mw)
        patched.setattr(rules_machine, "add_run", lambda *_: False)
        assert fold(facts, limit_mw) == by_run


@given(facts_of_a_connector(), LIMITS_MW, st.data())
@SOME
def test_clip__any_instants__adds_up_and_is_what_the_definitions_say(
    facts: Facts, limit_mw: int | None, data: st.DataObject
) -> None:
    """What is clipped at any instants adds up, and is what the samples say of that time."""
    cuts_ms = sorted(set(data.draw(cuts_of(facts))))
    outcomes, _ = work_out(facts, limit_mw)
    precision = max([Fraction(PRECISION_NKWH), *(200 * held.stretched for held in outcomes)])
    for from_ms, to_ms in pairwise(cuts_ms):
        clipped = energy_between(facts, limit_mw, from_ms, to_ms)
        wanted = [held.moved_between(from_ms, to_ms) for held in outcomes]
        for side in (0, 1):
            assert _near(clipped[side], sum((one[side] for one in wanted), Fraction()), precision)


@given(facts_of_a_connector(), records_of_a_connector())
@SOME
def test_rescale__any_sessions__sum_to_the_record_and_lose_nothing(
    facts: Facts, records: list[Any]
) -> None:
    """A late record is met exactly, and what lies outside of it stays."""
    stored = fold(Facts(facts.points, facts.boundaries, []), None).sessions
    for record in records:
        after = rescale(stored, record)
        (settled,) = (held for held in after if held.record_id == record.record_id)
        assert _net(settled) == record.energy_nkwh
        assert all(min(moved) >= 0 for held in after for moved in held.minutes.values())
        outside = [held for held in after if held.record_id is None]
        far = [
            held
            for held in stored
            if held.last_ms < record.start_ms or held.start_ms > record.end_ms
        ]
        assert all(held in outside for held in far if held.end_ms == held.last_ms)
        assert sum(map(_gross, outside)) <= sum(map(_gross, stored))


def _net(session: Session) -> int:
    return sum(charge - discharge for charge, discharge in session.minutes.values())


def _gross(session: Session) -> int:
    return sum(charge + discharge for charge, discharge in session.minutes.values())


@pytest.fixture(scope="module")
def pool() -> list[Case]:
    """Draw many connectors, each with what the oracle says of it."""
    cases: list[Case] = []

    @given(facts_of_a_connector(), LIMITS_MW, st.data())
    @settings(
        SOME, max_examples=POOL_SIZE, derandomize=True, database=None, phases=[Phase.generate]
    )
    def collect(facts: Facts, limit_mw: int | None, data: st.DataObject) -> None:
        cases.append((facts, limit_mw, data.draw(cuts_of(facts)), work_out(facts, limit_mw)))

    collect()
    return cases


def _try_all(pool: list[Case]) -> None:
    for facts, limit_mw, cuts_ms, wanted in pool:
        mixed = Facts(facts.points[::-1] + facts.points[::2], facts.boundaries, facts.records[::-1])
        _compare(fold(mixed, limit_mw), wanted)
        _assert_pieces_are_the_whole(facts, limit_mw, cuts_ms)


def test_pool__rules_as_they_are__has_no_complaint(pool: list[Case]) -> None:
    """What finds the mistakes below finds none in the rules."""
    _try_all(pool)


@pytest.mark.parametrize(("where", "name", "mutant"), MUTANTS)
def test_pool__broken_rule__is_found(
    pool: list[Case],
    monkeypatch: pytest.MonkeyPatch,
    where: Any,
    name: str,
    mutant: Callable[..., Any],
) -> None:
    """The comparison is no decoration: each seeded mistake is caught by it."""
    monkeypatch.setattr(where, name, mutant)
    with pytest.raises((AssertionError, KeyError)):
        _try_all(pool)
