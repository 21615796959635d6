"""The how-to pages work as printed."""

import json
import re
from pathlib import Path

from tests.docs.markdown import REPOSITORY, read_blocks
from tests.docs.pasting import Pasted, paste_into_shell

HOW_TO = REPOSITORY / "docs" / "how-to"


def find(steps: list[Pasted], part: str) -> str:
    """What the first block that holds ``part`` printed."""
    return next(step.output for step in steps if part in step.block.text)


def test_connect_a_charger__as_printed__takes_it_from_provisioning_to_rotation(
    reader_folder: Path,
) -> None:
    """A charger spoken by curl registers, reports, takes a command and rotates its secret."""
    steps = paste_into_shell(read_blocks(HOW_TO / "connect-a-charger.md", "sh"), reader_folder)
    success = '{"code":0,"message":"success","data":null}\n'
    assert '"data":{"commands":[]}' in find(steps, "send heartbeat")
    assert find(steps, "send telemetry ") == success
    assert find(steps, "send events ") == success
    assert find(steps, "send charging-records ") == success
    polled = find(steps, "command.json &")
    assert '"command":"start_charging","params":{"connector_id":1,"charge_power":50' in polled
    assert re.search(r'"status": ?"completed"', find(steps, "command-status"))
    batch = json.loads(find(steps, "send telemetry/batch"))
    outcomes = [item["outcome"] for item in batch["data"]["items"]]
    assert outcomes == ["stored", "stored", "rejected"]
