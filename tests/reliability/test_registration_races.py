"""Registration and rotation under lost answers, races and wrong proofs: no lock-out, no hijack."""

import itertools
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.client import ContractClient, Reply
from tests.reliability.broken_server import start_broken
from tests.reliability.charger_links import CUTS, CautiousCharger, new_serial, register
from tests.reliability.tenant_matrix import identity_of
from tests.server import RunningServer, start_server

AT_ONCE = 8
RACES = 12
SETTLED_S = 0.03
"""How long the server gets for a request whose sender has hung up."""
STEPS = tuple(itertools.product(("rotate", "token"), CUTS))


class Yard:
    """A platform that admits provisioned chargers only, and its site."""

    def __init__(self, server: RunningServer, contract: ContractClient) -> None:
        self.server = server
        self.contract = contract
        self.site_id = server.create_site(server.create_operator())

    def charger(self) -> CautiousCharger:
        """A charger that is expected, with its enrolment token."""
        sn = new_serial()
        return CautiousCharger(self.contract, sn, self.server.provision(sn, self.site_id))


@contextmanager
def open_yard(data_dir: Path, broken: str = "", mode: str = "allowlist") -> Iterator[Yard]:
    """A platform of its own, into which ``broken`` is planted when it starts."""
    server = start_broken(data_dir, broken, "--registration", mode)
    try:
        with ContractClient(server.base_url) as contract:
            yield Yard(server, contract)
    finally:
        server.stop()


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """One platform for the tests of this file."""
    with open_yard(tmp_path_factory.mktemp("yard") / "data") as yard:
        yield yard


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run calls on threads that start together."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


# ------------------------------------------------------------------------------- lost answers


def play_cuts(yard: Yard, length: int, settled_s: float = SETTLED_S) -> list[str]:
    """Every sequence of rotations and tokens, each cut at every point; return who is locked out."""
    locked_out = []
    for steps in itertools.product(STEPS, repeat=length):
        charger = yard.charger()
        for cut in reversed(CUTS):
            charger.register(cut)
        charger.token("answer lost")
        assert charger.gets_in()
        for act, cut in steps:
            charger.act(act, cut)
        if steps[-1][1] == "answer lost":
            time.sleep(settled_s)
        if not (charger.gets_in() and charger.works()):
            locked_out.append(str(steps))
    return locked_out


def test_chargers__cut_at_every_point__all_get_in(yard: Yard) -> None:
    """Whatever request or answer is lost on the way, a cautious charger finds a way in."""
    assert play_cuts(yard, 2) == []
    print(f"{len(STEPS) ** 2} sequences, 0 lock-outs")


@pytest.mark.parametrize("cuts", list(itertools.product(CUTS[1:], repeat=3)))
def test_register__answers_lost_again_and_again__heals(yard: Yard, cuts: tuple[str, ...]) -> None:
    """However often the answer is lost, the same call brings the same device a good secret."""
    charger = yard.charger()
    for cut in cuts:
        charger.register(cut)
    first = charger.register()
    again = charger.register()
    assert first is not None
    assert again is not None
    assert first.data["device_id"] == again.data["device_id"]
    assert first.data["device_secret"] != again.data["device_secret"]
    assert charger.gets_in()


# ------------------------------------------------------------------------------- races


def race_for_serial(yard: Yard, strangers_proof: str = "") -> list[str]:
    """A charger and its repeats race with strangers for one serial number; return what is wrong."""
    honest = yard.charger()
    repeats = [CautiousCharger(yard.contract, honest.sn, honest.proof) for _ in range(AT_ONCE)]
    proofs = ["", strangers_proof or yard.charger().proof, "enr_" + secrets.token_hex(48)]
    strangers = [CautiousCharger(yard.contract, honest.sn, proof) for proof in proofs]
    replies: list[Reply] = at_once([one.register for one in (*repeats, *strangers)])
    found = []
    if len({reply.data["device_id"] for reply in replies[:AT_ONCE] if reply.status == 200}) != 1:
        found.append("one serial number became several devices")
    working = [one for one in repeats if one.token()]
    if len(working) > 1:
        found.append(f"{len(working)} secrets of one registration work")
    honest.register()
    if not working and not honest.gets_in():
        found.append("locked out")
    for one in strangers:
        one.register()
    found += ["hijacked" for one in strangers if one.held]
    owner = working[0] if working else honest
    if not owner.works() or not owner.gets_in():
        found.append("displaced")
    return found


def test_register__a_race_for_one_serial__has_one_device_and_one_owner(yard: Yard) -> None:
    """Of many calls at once only those with the proof count, and exactly one secret comes of it."""
    for _ in range(RACES):
        assert race_for_serial(yard) == []


def test_register__open_mode_race__first_to_use_its_secret_keeps_the_device(
    tmp_path: Path,
) -> None:
    """Where nobody proves anything, one secret of a race works, and its user stays."""
    with open_yard(tmp_path / "data", mode="open") as yard:
        for _ in range(RACES):
            sn = new_serial()
            racers = [CautiousCharger(yard.contract, sn) for _ in range(AT_ONCE)]
            assert {reply.status for reply in at_once([one.register for one in racers])} == {200}
            assert len({one.device_id for one in racers}) == 1
            (owner,) = [one for one in racers if one.token()]
            late = at_once([one.register for one in racers])
            assert {(reply.status, reply.code) for reply in late} == {(409, 4001)}
            assert [one for one in racers if one is not owner and one.token()] == []
            assert owner.works()
            assert owner.gets_in()


def test_token__first_use_by_many_at_once__serves_all(yard: Yard) -> None:
    """A charger that asks in parallel with a fresh secret gets a token each time."""
    for _ in range(RACES):
        charger = yard.charger()
        charger.register()
        assert at_once([charger.token] * AT_ONCE) == [True] * AT_ONCE


def test_rotate__raced_by_itself_and_by_tokens__leaves_a_way_in(yard: Yard) -> None:
    """Rotations and tokens at the same time leave the charger with a secret that works."""
    for _ in range(RACES):
        charger = yard.charger()
        assert charger.gets_in()
        kept = charger.held[0]
        at_once([charger.rotate, charger.token, charger.rotate, charger.rotate])
        charger.held.append(kept)
        assert charger.gets_in()
        assert charger.works()


# ------------------------------------------------------------------------------- wrong proofs


def test_register__every_refusal__is_the_same_bytes(yard: Yard) -> None:
    """Unknown, taken, wrong proof and outside the window look alike: register is no oracle."""
    taken, earlier, closed = yard.charger(), yard.charger(), yard.charger()
    assert taken.gets_in()
    newer = yard.server.provision(earlier.sn, yard.site_id)
    late = yard.server.provision(closed.sn, yard.site_id, claim_window_s=1)
    time.sleep(1.1)
    attempts = {
        "unknown": (new_serial(), ""),
        "unknown with a token": (new_serial(), newer),
        "taken, no proof": (taken.sn, ""),
        "taken, with its own proof": (taken.sn, taken.proof),
        "no proof": (earlier.sn, ""),
        "made up": (earlier.sn, "enr_made-up"),
        "of another serial number": (earlier.sn, taken.proof),
        "of an earlier provisioning": (earlier.sn, earlier.proof),
        "after the window": (closed.sn, late),
    }
    told = {
        (what, in_path): register(yard.contract, sn, proof, in_path=in_path)
        for what, (sn, proof) in attempts.items()
        for in_path in (False, True)
    }
    assert {(reply.status, reply.code) for reply in told.values()} == {(409, 4001)}
    assert len({str(identity_of(reply)) for reply in told.values()}) == 1
    assert taken.works()
    assert register(yard.contract, earlier.sn, newer, in_path=True).status == 200


def test_reclaim__raced_by_whoever_had_the_old_proof__only_the_new_token_counts(
    yard: Yard,
) -> None:
    """A re-claim window lets in the new token alone; the present secret works until then."""
    for cut in CUTS:
        charger = yard.charger()
        assert charger.gets_in()
        path = f"/v1/admin/devices/{charger.device_id}/reclaim"
        fresh = yard.server.admin("POST", path, {"window_s": 60})["enrolment_token"]
        thief = CautiousCharger(yard.contract, charger.sn, charger.proof)
        nobody = CautiousCharger(yard.contract, charger.sn)
        swapped = CautiousCharger(yard.contract, charger.sn, fresh)
        if cut != "none":
            swapped.register(cut)
        replies = at_once([thief.register, nobody.register, swapped.register, nobody.register])
        assert [reply.status for reply in replies] == [409, 409, 200, 409]
        assert swapped.device_id == charger.device_id
        assert charger.works()
        assert charger.gets_in()  # until the new secret is used, and a day longer
        assert swapped.gets_in()
        assert register(yard.contract, charger.sn, fresh).status == 409


# ------------------------------------------------------------------------------- kills


def live_through_kills(data_dir: Path, kills: int) -> list[str]:
    """Let chargers register and rotate while the server is killed; return who is locked out."""
    server = start_server(data_dir, "--registration", "allowlist")
    contract = ContractClient(server.base_url)
    yard = Yard(server, contract)
    chargers = [yard.charger() for _ in range(24)]
    for _ in range(kills):
        ended = threading.Event()

        def live(charger: CautiousCharger, ended: threading.Event = ended) -> None:
            with suppress(httpx.TransportError):
                while not ended.is_set() and charger.gets_in():
                    charger.rotate()

        with ThreadPoolExecutor(len(chargers)) as pool:
            for charger in chargers:
                pool.submit(live, charger)
            time.sleep(0.3)
            server.kill()
            ended.set()
        contract.close()
        server = start_server(data_dir, "--registration", "allowlist")
        contract = ContractClient(server.base_url)
        for charger in chargers:
            charger.contract = contract
    locked_out = [one.sn for one in chargers if not (one.gets_in() and one.works())]
    contract.close()
    server.stop()
    return locked_out


def test_chargers__server_killed_in_mid_rotation__all_get_in(tmp_path: Path) -> None:
    """A server that dies at any moment and comes back knows every secret that it told."""
    assert live_through_kills(tmp_path / "data", 3) == []


# ------------------------------------------------------------------------------- would it be seen?

BROKEN_ROTATION = """
from tellus.identity import rules
rules.secrets_after_issue = lambda secrets, fresh, now_ms, *, replace_unused: (fresh,)
"""
BROKEN_CLAIMS = {
    "anybody may register a known serial number": """
from tellus.fleet import registration, rules
kept = registration.decide_claim
def decide(mode, provisioning, device, *, proved, proof, now_ms):
    if device is not None:
        return rules.Claim.RENEW
    return kept(mode, provisioning, device, proved=True, proof=proof, now_ms=now_ms)
registration.decide_claim = decide
""",
    "proofs are not compared": """
from tellus.fleet.enrolment import EnrolmentTokens
EnrolmentTokens.is_token_of = lambda self, provisioning, text: True
""",
}


def test_harness__rotation_that_ends_the_old_secret_at_once__is_found_out(tmp_path: Path) -> None:
    """The cuts above lock chargers out where a rotation ends the old secret at once."""
    with open_yard(tmp_path / "data", BROKEN_ROTATION) as yard:
        assert [play_cuts(yard, 1, 10 * SETTLED_S) for _ in range(2)] != [[], []]


@pytest.mark.parametrize("what", BROKEN_CLAIMS)
def test_harness__registration_with_a_hole__is_found_out(tmp_path: Path, what: str) -> None:
    """The race above sees a hijack where registration lets one happen."""
    with open_yard(tmp_path / "data", BROKEN_CLAIMS[what]) as yard:
        found = list(itertools.chain(*(race_for_serial(yard) for _ in range(3))))
    assert any("hijacked" in one for one in found)
