"""The few lines that every example needs to speak to the platform; the standard library alone.

Where the platform is, and who asks, comes from the environment: TELLUS_BASE_URL, TELLUS_CLIENT_ID
and TELLUS_CLIENT_SECRET, as `.env.tellus` of a sandbox has them.
"""

import base64
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any


class RefusedError(Exception):
    """The platform refused a call; the envelope says why."""

    def __init__(self, status: int, envelope: dict[str, Any]) -> None:
        super().__init__(f"{status}: {envelope.get('message')} ({envelope.get('code')})")
        self.status = status
        self.envelope = envelope


class Platform:
    """An operator's client."""

    def __init__(self) -> None:
        self.base_url = os.environ["TELLUS_BASE_URL"]
        identity = f"{os.environ['TELLUS_CLIENT_ID']}:{os.environ['TELLUS_CLIENT_SECRET']}"
        basic = "Basic " + base64.b64encode(identity.encode()).decode()
        grant = {"grant_type": "client_credentials"}
        answer = self._send("POST", "/v1/operator/oauth/token", grant, basic)
        self.token = json.loads(answer)["data"]["access_token"]

    def get(self, path: str, **query: Any) -> Any:
        """Return the data of an answer."""
        target = f"{path}?{urllib.parse.urlencode(query)}" if query else path
        return json.loads(self._send("GET", target, None))["data"]

    def post(self, path: str, body: Any = None) -> Any:
        """Ask for something to be done; return the data of the answer."""
        return json.loads(self._send("POST", path, {} if body is None else body))["data"]

    def delete(self, path: str) -> None:
        """Take something back."""
        self._send("DELETE", path, None)

    def download(self, path: str) -> bytes:
        """Return a file."""
        return self._send("GET", path, None)

    def items(self, path: str, **query: Any) -> Iterator[Any]:
        """Yield all items of a list, page by page."""
        page = 1
        while found := self.get(path, **query, page=page, size=100)["items"]:
            yield from found
            page += 1

    def _send(self, method: str, target: str, body: Any, authorization: str = "") -> bytes:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base_url + target, data, method=method)  # noqa: S310
        request.add_header("Authorization", authorization or f"Bearer {self.token}")
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                content: bytes = answer.read()
        except urllib.error.HTTPError as error:
            raise RefusedError(error.code, json.loads(error.read())) from None
        return content
