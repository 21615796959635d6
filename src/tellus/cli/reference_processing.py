"""The reference page of the record of processing."""

from typing import Final

from tellus.privacy.model import Erased, Exported, ProcessedTable
from tellus.privacy.record import load_record

_HEAD: Final = """# Record of processing

Every table of the store and what is in it, for the record that data protection law asks for (GDPR,
article 30) and for whoever answers a data subject's request. The legal ground of each purpose is
for the operator to say. `GET /v1/admin/processing-record` adds the values of the settings.

About whom: `vehicle` is the vehicle itself, by its number; `driver` is what somebody did who drove
it, without a name; `customer` is an owner of chargers; `staff` works for the operator. Settings are
in days and explained in [Configuration](configuration.md)."""
_ERASED: Final = {
    Erased.VEHICLE: "with the vehicle, and by age",
    Erased.DEVICE: "with the device",
    Erased.AGE: "by age alone",
    Erased.NEVER: "not before its time",
}
_EXPORTED: Final = {
    Exported.KEY: "rows sealed under the vehicle's key",
    Exported.RECORD: "rows of its charging records",
    Exported.CHARGE: "rows of the connector while it charged",
    Exported.NO: "no",
}


def processing_page() -> str:
    """Return the page of all tables by feature."""
    parts = [_HEAD]
    feature = ""
    for table in load_record():
        if table.feature != feature:
            feature = table.feature
            parts.append(f"## {feature}")
        parts.append(_section(table))
    return "\n\n".join(parts)


def _section(table: ProcessedTable) -> str:
    settings = ", ".join(f"`{name}`" for name in table.settings)
    receivers = ", ".join(one.value for one in table.receivers) or "nobody"
    lines = [
        f"### {table.name}",
        "",
        table.purpose,
        "",
        f"- Kept: {table.kept}{f' ({settings})' if settings else ''}",
        f"- Who gets it: {receivers}",
        f"- Erased: {_ERASED[table.erased]}",
    ]
    if table.is_of_vehicles or table.exported is not Exported.NO:
        why_not = f". {table.why_not}" if table.why_not else ""
        lines.append(f"- In a vehicle's export: {_EXPORTED[table.exported]}{why_not}")
    lines += ["", "| About | What | Columns |", "|---|---|---|"]
    for group in table.groups:
        columns = " ".join(f"`{name}`" for name in group.names)
        lines.append(f"| {group.about.value} | {group.holds} | {columns} |")
    return "\n".join(lines)
