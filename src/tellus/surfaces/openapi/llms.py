"""``/llms.txt``: what is here, for machines that read text."""

from typing import Any

_HEAD = """\
# tellus

> The cloud side of a fleet of EV chargers: an open, self-hosted implementation of the Tellus Open
> Platform API v1.3. Operators watch and control their chargers, chargers report.
{sandbox}
## Documents

- [OpenAPI 3.1](/openapi.json): every operation with its parameters, schemas and examples
- [API reference](/docs): the same for people, with calls to try
- [Readiness](/readyz?verbose): whether the platform takes work
- [Metrics](/metrics): Prometheus text format

## How to call it

1. `POST /v1/operator/oauth/token` with `client_id`, `client_secret` and
   `grant_type: client_credentials` gives a bearer token for 24 hours.
2. `GET /v1/operator/sites` and `GET /v1/operator/devices` list the fleet,
   `GET /v1/operator/devices/{{device_id}}` tells the current state of one charger.
3. The WebSocket `/v1/operator/stream?devices=ID,ID` sends live telemetry.
4. `POST /v1/operator/devices/{{device_id}}/connectors/{{connector_id}}/start` issues a command;
   `GET /v1/operator/commands/{{command_id}}` tells what became of it.

Every answer is `{{"code": 0, "message": "success", "data": …}}`; a failure has another `code`, its
HTTP status, and perhaps `details`. Power is in kW (positive into the vehicle), energy in kWh, times
are RFC 3339 in UTC.
"""

_SANDBOX = """
This is a sandbox: its chargers are simulated.
"""


def describe_site(document: dict[str, Any], *, sandbox: bool) -> str:
    """Return the index of a site that serves ``document``: its operations by tag, its codes."""
    parts = [_HEAD.format(sandbox=_SANDBOX if sandbox else "")]
    by_tag: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            line = f"- `{method.upper()} /v1{path}`: {operation['summary']}"
            by_tag.setdefault(operation["tags"][0], []).append(line)
    for tag, lines in by_tag.items():
        parts.append(f"## {tag}\n\n" + "\n".join(lines) + "\n")
    codes = [
        f"- {row['code']} (HTTP {row['http']}): {row['meaning']}; try again: {row['retry']}"
        for row in document["x-error-codes"]
    ]
    parts.append("## Error codes\n\n" + "\n".join(codes) + "\n")
    return "\n".join(parts)
