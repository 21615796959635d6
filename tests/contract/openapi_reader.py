"""Reads an OpenAPI 3.1 document into the notation of the contract model.

It understands what API descriptions of this kind use: `$ref`, `allOf` beside `properties`,
`oneOf`/`anyOf` with null, type lists, enums, bounds. What it cannot express becomes `ANY`.
"""

from typing import Any

from tests.contract.shapes import (
    ANY,
    Answer,
    Audience,
    Field,
    Form,
    Kind,
    Operation,
    Parameter,
    Shape,
)

_METHODS = ("get", "put", "post", "patch", "delete")
_KINDS = {kind.value: kind for kind in Kind}
_MAX_DEPTH = 12


class Document:
    """An OpenAPI document with its references resolved on demand."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw

    def resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        """The node itself, or what its `$ref` points to."""
        while "$ref" in node:
            target: Any = self.raw
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = target
        return node

    def flat(self, node: dict[str, Any]) -> dict[str, Any]:
        """A schema with its references and its `allOf` parts merged into one."""
        node = self.resolve(node)
        if "allOf" not in node:
            return node
        merged: dict[str, Any] = {}
        own = {key: value for key, value in node.items() if key != "allOf"}
        for part in (*map(self.flat, node["allOf"]), own):
            properties = {**merged.get("properties", {}), **part.get("properties", {})}
            required = [*merged.get("required", []), *part.get("required", [])]
            merged = {**merged, **part, "properties": properties, "required": required}
        return merged

    def shape(self, node: dict[str, Any], depth: int = 0) -> Shape:
        """The shape that a schema describes."""
        node = self.flat(node)
        if depth > _MAX_DEPTH:
            return ANY
        for choice in ("oneOf", "anyOf"):
            if choice in node:
                return self._alternatives(node[choice], depth)
        kind, nullable = _kind_of(node)
        return Shape(
            kind,
            lo=node.get("minimum"),
            hi=node.get("maximum"),
            longest=node.get("maxLength"),
            fewest=node.get("minItems"),
            most=node.get("maxItems"),
            choices=tuple(c for c in _choices(node) if isinstance(c, str)),
            items=self.shape(node.get("items") or {}, depth + 1) if kind is Kind.ARRAY else None,
            fields=self._fields(node, depth) if kind is Kind.OBJECT else (),
            nullable=nullable,
        )

    def _fields(self, node: dict[str, Any], depth: int) -> tuple[Field, ...]:
        required = node.get("required", ())
        return tuple(
            Field(name, self.shape(schema, depth + 1), required=name in required)
            for name, schema in node.get("properties", {}).items()
        )

    def _alternatives(self, nodes: list[dict[str, Any]], depth: int) -> Shape:
        shapes = [self.shape(node, depth + 1) for node in nodes]
        others = [shape for shape in shapes if shape.kind is not Kind.NULL]
        if len(others) != 1:
            return ANY
        return others[0].or_null() if len(others) < len(shapes) else others[0]

    def parameter(self, node: dict[str, Any]) -> Parameter:
        """One parameter of an operation."""
        node = self.resolve(node)
        schema = self.resolve(node.get("schema", {}))
        return Parameter(
            node["name"],
            node["in"],
            self.shape(schema),
            required=node.get("required", False),
            default=schema.get("default"),
        )

    def body_schema(self, node: dict[str, Any]) -> dict[str, Any] | None:
        """The JSON schema of a request body or of an answer, if there is one."""
        content = self.resolve(node).get("content", {})
        schema: dict[str, Any] | None = content.get("application/json", {}).get("schema")
        return schema

    def answer(self, status: int, node: dict[str, Any]) -> Answer:
        """What the document says about one HTTP status; the form is told by the properties."""
        schema = self.body_schema(node)
        failed = status >= 400
        if schema is None:
            return Answer(Form.FAILURE if failed else Form.ENVELOPE, described=False)
        if failed:
            return Answer(Form.FAILURE)
        properties = self.flat(schema).get("properties", {})
        if {"code", "message"} <= properties.keys() and "access_token" not in properties:
            return Answer(Form.ENVELOPE, self.shape(properties.get("data", {})))
        form = Form.TOKEN if "access_token" in properties else Form.BARE
        return Answer(Form.FRAME if status == 101 else form, self.shape(schema))

    def operation(self, method: str, path: str, node: dict[str, Any]) -> Operation:
        """One operation of the document."""
        body = self.resolve(node.get("requestBody", {}))
        schema = self.body_schema(body)
        audience, scope = self._credentials(path, node)
        return Operation(
            method.upper(),
            path,
            audience,
            scope,
            parameters=tuple(self.parameter(item) for item in node.get("parameters", ())),
            request=self.shape(schema) if schema is not None else None,
            body_required=body.get("required", False) if schema is not None else True,
            answers=tuple(
                (int(status), self.answer(int(status), answer))
                for status, answer in node.get("responses", {}).items()
                if status.isdigit()
            ),
            takes_file=bool(body.get("content")) and schema is None,
            security_stated="security" in node or "security" in self.raw,
        )

    def _credentials(self, path: str, node: dict[str, Any]) -> tuple[Audience, str | None]:
        security = node.get("security", self.raw.get("security"))
        if not security:
            return Audience.ANYONE, None
        scopes: list[str] = next(iter(security[0].values()), [])
        if "/device/" in path:
            return Audience.DEVICE, None
        legacy = "/customer/" in path or "/cp/" in path
        return (Audience.PEER if legacy else Audience.OPERATOR), (scopes[0] if scopes else None)


def _choices(node: dict[str, Any]) -> list[Any]:
    return [node["const"]] if "const" in node else node.get("enum", [])


def _kind_of(node: dict[str, Any]) -> tuple[Kind, bool]:
    declared = node.get("type")
    types = declared if isinstance(declared, list) else [declared] if declared else []
    nullable = "null" in types and len(types) > 1
    types = [name for name in types if name != "null" or len(types) == 1]
    if not types and "properties" in node:
        types = ["object"]
    if not types and _choices(node):
        types = ["string"]
    if len(types) != 1:
        return Kind.ANY, nullable
    if types[0] == "string" and node.get("format") == "date-time":
        return Kind.TIME, nullable
    return _KINDS[types[0]], nullable


def operations_of(raw: dict[str, Any], *, prefix: str = "") -> tuple[Operation, ...]:
    """All operations of an OpenAPI document; `prefix` is put before every path."""
    document = Document(raw)
    return tuple(
        document.operation(method, f"{prefix}{path}", item[method])
        for path, item in raw.get("paths", {}).items()
        for method in _METHODS
        if method in item
    )
