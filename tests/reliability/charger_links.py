"""Chargers that register, get tokens and rotate over links that may be cut at any point."""

import json
import random
import secrets
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from tests.contract.client import ContractClient, Reply

CUTS = ("none", "request lost", "half sent", "answer lost")


class Cutter:
    """Sends requests whose answer nobody waits for."""

    def __init__(self, base_url: str, seed: int = 1) -> None:
        parts = urlsplit(base_url)
        self._address = (parts.hostname or "", parts.port or 0)
        self._rng = random.Random(seed)

    def send(self, cut: str, path: str, body: Any, token: str = "") -> None:
        """Send a request as far as ``cut`` says and hang up."""
        if cut == "request lost":
            return
        content = json.dumps(body).encode() if body is not None else b""
        lines = [f"POST {path} HTTP/1.1", "host: x", "content-type: application/json"]
        lines += [f"authorization: Bearer {token}"] if token else []
        lines += [f"content-length: {len(content)}", "", ""]
        request = "\r\n".join(lines).encode() + content
        with socket.create_connection(self._address, timeout=10) as link:
            link.sendall(request[: len(request) // 2] if cut == "half sent" else request)
            time.sleep(self._rng.choice((0, 0, 0.001, 0.003)))


class CautiousCharger:
    """A charger as the documents want it: it keeps what worked until something newer works.

    ``proof`` is its enrolment token. What it holds is newest first; ``stranded`` tells whether
    there was no way in.
    """

    def __init__(self, contract: ContractClient, sn: str, proof: str = "") -> None:
        self.contract = contract
        self.cutter = Cutter(contract.base_url)
        self.sn = sn
        self.proof = proof
        self.device_id = ""
        self.held: list[str] = []
        self.bearer = ""

    # ------------------------------------------------------------------ the three calls

    def register(self, cut: str = "none") -> Reply | None:
        body = registration(self.sn)
        if cut != "none":
            self.cutter.send(cut, "/v1/device/register", body, self.proof)
            return None
        reply = register(self.contract, self.sn, self.proof)
        if reply.status == 200:
            self.device_id = reply.data["device_id"]
            self.held.insert(0, reply.data["device_secret"])
        return reply

    def token(self, cut: str = "none") -> bool:
        """Get a token with the newest secret that works, and forget the older ones then."""
        for secret in tuple(self.held):
            if cut != "none":
                self.cutter.send(cut, "/v1/device/token", self._credentials(secret))
                return False
            reply = self.contract.post("/v1/device/token", self._credentials(secret))
            if reply.status == 200:
                self.bearer = reply.json["access_token"]
                self.held = [secret]
                return True
            assert (reply.status, reply.code) == (401, 2001)
        return False

    def rotate(self, cut: str = "none") -> None:
        if not self.bearer:
            return
        if cut != "none":
            self.cutter.send(cut, "/v1/device/secret/rotate", None, self.bearer)
            return
        reply = self.contract.device(self.bearer).post("/v1/device/secret/rotate")
        assert reply.status == 200
        self.held.insert(0, reply.data["device_secret"])

    def act(self, act: str, cut: str) -> None:
        """One of the three calls, cut or not."""
        calls: dict[str, Callable[[str], Any]] = {
            "register": self.register,
            "token": self.token,
            "rotate": self.rotate,
        }
        calls[act](cut)

    # ------------------------------------------------------------------ what it comes to

    def gets_in(self) -> bool:
        """Whether the charger finds a way in: a secret it holds, else registering again."""
        for _ in range(3):
            if self.token():
                return True
            reply = self.register()
            if reply is None or reply.status != 200:
                return False
        return self.token()

    def works(self) -> bool:
        """Whether the charger's token is taken."""
        charger = self.contract.device(self.bearer)
        return charger.get("/v1/device/commands?connector_id=0").status == 400

    def _credentials(self, secret: str) -> dict[str, str]:
        return {
            "device_id": self.device_id,
            "device_secret": secret,
            "grant_type": "client_credentials",
        }


def registration(sn: str) -> dict[str, str]:
    """What a charger says of itself."""
    return {"sn": sn, "model": "TP-AC22", "manufacturer": "Maker", "firmware_version": "3.1.0"}


def register(contract: ContractClient, sn: str, proof: str = "", *, in_path: bool = False) -> Reply:
    """Register a serial number with a proof as bearer, or as prefix of the path."""
    prefix = f"/e/{proof}" if proof and in_path else ""
    headers = {"authorization": f"Bearer {proof}"} if proof and not in_path else {}
    return contract.post(f"{prefix}/v1/device/register", registration(sn), headers=headers)


def new_serial() -> str:
    """A serial number that nobody has."""
    return f"SN-{secrets.token_hex(8)}"
