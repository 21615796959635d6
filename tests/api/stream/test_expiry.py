"""A token that expires in the middle of a stream, on a platform whose clock is moved."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.client import Refused
from tests.contract.stream import open_stream
from tests.served import ServedApi, ServedPlatform

DAY_S = 86_400


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedPlatform]:
    """A served platform with a clock of its own."""
    platform = ServedPlatform(tmp_path / "data")
    yield platform
    platform.stop()


def test_token__that_expires_in_mid_stream__closes_with_4401_and_2002(
    served: ServedPlatform,
) -> None:
    """A day after its token was issued a stream ends within 5 s, and not before."""
    base_url = served.start()
    api = ServedApi(served, base_url)
    client, device = api.create_client(), api.register()
    with open_stream(base_url, [device.device_id], client.token) as stream:
        stream.read()
        served.clock.advance(DAY_S - 60)
        with pytest.raises(TimeoutError):
            stream.read(0.5)
        served.clock.advance(61)
        assert stream.closing(5.0) == (4401, "2002")
    with pytest.raises(Refused) as refusal:
        open_stream(base_url, [device.device_id], client.token)
    assert (refusal.value.reply.status, refusal.value.reply.code) == (401, 2002)
