"""What the sandbox says once it is ready: what it is, and the first five steps."""

import os
import sys
import textwrap
from string import Template
from typing import Final

from tellus.simulator.stories import Story

_READY: Final = Template("""
The sandbox is ready: $sites sites, $chargers chargers, $connectors connectors, all simulated.
A play platform: registration is open, the data may go at any time. Nothing here is for production.

  API          $base_url
  Reference    $base_url/docs
  Credentials  $env_file
  Status       $tellus status
  Stories      $tellus sandbox --stories    (what is wrong with this fleet, and what only seems so)

What to try next, in another terminal in this folder:

# 0  Take the credentials.
  set -a; . ./$env_file; set +a
# 1  Get a token; it lasts a day.
  TOKEN=$$(curl -s "$$TELLUS_BASE_URL/v1/operator/oauth/token" -u "$$TELLUS_CLIENT_ID:$$TELLUS_CLIENT_SECRET" -d grant_type=client_credentials | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
# 2  List the sites.
  curl -s "$$TELLUS_BASE_URL/v1/operator/sites" -H "Authorization: Bearer $$TOKEN"
# 3  Look at a charger and its connectors.
  curl -s "$$TELLUS_BASE_URL/v1/operator/devices/$device_id" -H "Authorization: Bearer $$TOKEN"
# 4  Watch two chargers live (Ctrl-C ends it).
  $python -m websockets "$stream_url/v1/operator/stream?devices=$device_id,$other_id&token=$$TOKEN"
# 5  Start charging: a car arrives. Then ask what became of the command, as often as you like.
  COMMAND=$$(curl -s -X POST "$$TELLUS_BASE_URL/v1/operator/devices/$device_id/connectors/1/start" -H "Authorization: Bearer $$TOKEN" | sed 's/.*"command_id":"\\([^"]*\\)".*/\\1/')
  curl -s "$$TELLUS_BASE_URL/v1/operator/commands/$$COMMAND" -H "Authorization: Bearer $$TOKEN"

Ctrl-C ends the platform and its chargers.
""")  # noqa: E501 - lines to copy stand whole


def describe_ready(
    *, base_url: str, env_file: str, sites: int, chargers: int, connectors: int,
    devices: tuple[str, str],
) -> str:  # fmt: skip
    """Return what to print; lines to copy begin with two spaces and follow a ``#`` line.

    The first of ``devices`` is the charger that is always free.
    """
    python = os.path.relpath(sys.executable)
    if python.startswith(".."):
        python = sys.executable
    beside = os.path.join(os.path.dirname(python), "tellus")  # noqa: PTH118, PTH120 - stays relative
    return _READY.substitute(
        base_url=base_url,
        stream_url=base_url.replace("http", "ws", 1),
        env_file=env_file,
        sites=sites,
        chargers=chargers,
        connectors=connectors,
        device_id=devices[0],
        other_id=devices[1],
        python=python,
        tellus=beside,
    )


def describe_stories(told: list[tuple[Story, dict[str, list[str]]]]) -> str:
    """Return what is planted: each story with its truth, its decoy and the chargers of both."""
    lines = ["What is planted in the fleet of the sandbox, with the serial numbers:"]
    for number, (story, cast) in enumerate(told, 1):
        lines += ["", f"{number}  {story.title} ({story.slug})"]
        for role, text in (("truth", story.truth), ("decoy", story.decoy)):
            whole = f"{role}  {text} [{', '.join(cast[role])}]"
            lines += textwrap.wrap(whole, 100, initial_indent="   ", subsequent_indent=" " * 10)
    return "\n".join(lines)
