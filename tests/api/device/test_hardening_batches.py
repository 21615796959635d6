"""A batch is no way around the bound of the single upload."""

from typing import Any

import pytest

from tellus.kernel.batch import ITEM_BYTES
from tellus.surfaces.routes import BODY_BYTES
from tests.api.tenancy import Charger, event, record, sample

UPLOADS = {"telemetry": sample, "events": event, "charging-records": record}


def test_bound__of_an_item__is_that_of_the_single_upload() -> None:
    """Both doors take the same."""
    assert ITEM_BYTES == BODY_BYTES


@pytest.mark.parametrize("path", UPLOADS)
def test_batch__item_larger_than_the_single_upload__is_rejected_alone(
    charger: Charger, path: str
) -> None:
    """What the single upload refuses as too large is refused in a batch, and the others stored."""
    large: dict[str, Any] = UPLOADS[path]() | {"note": "x" * BODY_BYTES}
    if path == "events":
        large["data"] = {"note": "x" * BODY_BYTES}
    good = UPLOADS[path]()
    single = charger.send(path, large, expect=413)
    reply = charger.send(f"{path}/batch", {"items": [large, good]})
    outcomes = reply.data["items"]
    assert [item["outcome"] for item in outcomes] == ["rejected", "stored"]
    assert (outcomes[0]["code"], outcomes[0]["message"]) == (single.code, single.json["message"])
