"""The same document in the words of OpenAPI 3.0, for readers that do not know 3.1 yet.

The reference page is one of them. Only what ``openapi`` writes is translated: null types, list
types, exclusive bounds, examples and the licence's identifier.
"""

from typing import Any


def to_openapi30(document: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of an OpenAPI 3.1 document that is valid OpenAPI 3.0.3."""
    converted: dict[str, Any] = _convert(document)
    converted["openapi"] = "3.0.3"
    converted["info"].pop("summary", None)
    converted["info"].get("license", {}).pop("identifier", None)
    return converted


def _convert(node: Any, *, plain: bool = False) -> Any:
    """Translate a node; under ``example`` and ``default`` (``plain``) stands data, not schema."""
    if isinstance(node, list):
        return [_convert(item, plain=plain) for item in node]
    if not isinstance(node, dict):
        return node
    if plain:
        return dict(node)
    inner = {
        key: _convert(value, plain=key in ("example", "default", "enum"))
        for key, value in node.items()
    }
    return _schema(inner) if _is_schema(inner) else inner


def _is_schema(node: dict[str, Any]) -> bool:
    named = node.get("type")
    return (
        isinstance(named, list)
        or named == "null"
        or "oneOf" in node
        or "examples" in node
        or (isinstance(named, str) and ("exclusiveMinimum" in node or "exclusiveMaximum" in node))
    )


def _schema(node: dict[str, Any]) -> dict[str, Any]:
    schema = dict(node)
    kinds = schema.get("type")
    if kinds == "null":
        del schema["type"]
        schema |= {"nullable": True, "enum": [None]}
    elif isinstance(kinds, list):
        schema |= _of_kinds([kind for kind in kinds if kind != "null"])
        if len(schema.get("oneOf", ())) > 0:
            schema.pop("type", None)
        if "null" in kinds:
            schema["nullable"] = True
    if "oneOf" in node:
        schema |= _alternatives(node["oneOf"])
        if len(schema["oneOf"]) == 1:
            schema["allOf"] = schema.pop("oneOf")
    for bound, edge in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(schema.get(bound), int | float) and not isinstance(schema[bound], bool):
            schema |= {edge: schema[bound], bound: True}
    if "examples" in schema:
        schema["example"] = schema.pop("examples")[0]
    return schema


def _of_kinds(kinds: list[str]) -> dict[str, Any]:
    if len(kinds) == 1:
        return {"type": kinds[0]}
    return {"oneOf": [{"type": kind} for kind in kinds]}


def _alternatives(choices: list[dict[str, Any]]) -> dict[str, Any]:
    """Return alternatives without null, which 3.0 says beside them."""
    others = [choice for choice in choices if choice.get("enum") != [None]]
    return {"oneOf": others} | ({"nullable": True} if len(others) < len(choices) else {})
