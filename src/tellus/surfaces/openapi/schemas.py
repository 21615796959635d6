"""From msgspec types to JSON Schema 2020-12, with component names that people can read.

A struct becomes a component once; its docstring is its description. What may be absent (``UNSET``)
is not required, never null. Names are stable: ``Page[SiteItem]`` is ``SitePage``, ``SiteItem`` is
``Site``; where two structs would share a name, the operator's keeps it and the others say whose.
"""

import inspect
import re
from collections.abc import Iterable
from typing import Any, Final, get_args, get_origin

import msgspec
from msgspec import inspect as types

from tellus.surfaces.openapi.words import FIELD_WORDS, TIME_FIELDS

Schema = dict[str, Any]

REFERENCE: Final = "#/components/schemas/"

_BOUNDS: Final = {
    "ge": "minimum",
    "le": "maximum",
    "gt": "exclusiveMinimum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "min_length": "minLength",
    "max_length": "maxLength",
    "pattern": "pattern",
}
_NAMED: Final = {
    "AuditItem": "AuditEntry",
    "BatchItem": "BatchOutcome",
    "DeviceHealthItem": "ComponentHealth",  # what Device has as `health` is called DeviceHealth
    "SecretItem": "ClientSecret",
}
_SCALARS: Final[dict[type, str]] = {
    types.BoolType: "boolean",
    types.IntType: "integer",
    types.FloatType: "number",
    types.StrType: "string",
    types.NoneType: "null",
}
_FORMATS: Final[dict[type, str]] = {types.DateTimeType: "date-time", types.DateType: "date"}
_SURFACES: Final = (("operator_api", ""), ("device_api", "Charger"), ("admin_api", "Admin"))
_RULE_NUMBER: Final = re.compile(r",? ?\((?:rule|rules|semantics)[^)]*\)|(?<=\w), rule [A-Z]\d+\w?")


class SchemaBook:
    """All components of one document; asking for a type returns the schema to put in place."""

    def __init__(self, kinds: Iterable[Any]) -> None:
        self.components: dict[str, Schema] = {}
        self._names: dict[Any, str] = {}
        for kind in sorted(_structs_of(kinds), key=_precedence):
            self._names[kind] = self._free_name(kind)
        for kind, name in self._names.items():
            self.components[name] = self._object(kind)
        self.components = dict(sorted(self.components.items()))

    def schema(self, kind: Any) -> Schema:
        """Return the schema of any type that was among those the book was made of."""
        return self._of(types.type_info(kind))

    def name(self, kind: Any) -> str:
        """Return the component name of a struct."""
        return self._names[kind]

    def fields(self, kind: Any) -> list[tuple[str, Schema, bool]]:
        """Return (wire name, schema, required) of the fields of a struct."""
        info = types.type_info(kind)
        if not isinstance(info, types.StructType):
            raise TypeError(f"{kind!r} is no struct")
        return [(field.encode_name, self._field(field), field.required) for field in info.fields]

    def _free_name(self, kind: Any) -> str:
        taken = set(self._names.values())
        for name in _candidates(kind):
            if name not in taken:
                return name
        raise ValueError(f"no free component name for {kind!r}")

    def _object(self, kind: Any) -> Schema:
        fields = self.fields(kind)
        schema: Schema = {"type": "object"}
        words = describe(get_origin(kind) or kind)
        if words:
            schema["description"] = words
        required = [name for name, _, needed in fields if needed]
        if required:
            schema["required"] = required
        schema["properties"] = {name: field for name, field, _ in fields}
        return schema

    def _field(self, field: types.Field) -> Schema:
        schema = self._of(field.type)
        name = field.encode_name
        if schema == {"type": "string"} and (name in TIME_FIELDS or name.endswith("_at")):
            schema["format"] = "date-time"
        words = FIELD_WORDS.get(name)
        if words and "description" not in schema:
            # Beside a reference the words would replace those of what it refers to.
            schema |= {} if "$ref" in schema else {"description": words}
        default = field.default
        if default is not msgspec.NODEFAULT and not isinstance(default, msgspec.Struct):
            schema["default"] = msgspec.to_builtins(default)
        return schema

    def _of(self, info: types.Type) -> Schema:
        if isinstance(info, types.Metadata):
            return self._of(info.type) | dict(info.extra_json_schema or {})
        if isinstance(info, types.StructType):
            return {"$ref": REFERENCE + self._names[info.cls]}
        if isinstance(info, types.UnionType):
            return self._union(info)
        if isinstance(info, types.CollectionType):
            return _list_of(info, self._of(info.item_type))
        if isinstance(info, types.DictType):
            held = self._of(info.value_type)
            return {"type": "object"} | ({"additionalProperties": held} if held else {})
        return _plain(info)

    def _union(self, info: types.UnionType) -> Schema:
        choices = [self._of(one) for one in info.types]
        plain = [choice["type"] for choice in choices if set(choice) == {"type"}]
        if len(plain) == len(choices):
            return {"type": plain}
        return {"oneOf": choices}


def describe(documented: Any) -> str:
    """Return a docstring as Markdown, without the numbers of rules."""
    raw = getattr(documented, "__doc__", None)
    if not raw:
        return ""
    text = _RULE_NUMBER.sub("", inspect.cleandoc(raw)).replace("``", "`")
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text)


def _plain(info: types.Type) -> Schema:
    match info:
        case types.IntType() | types.FloatType() | types.StrType():
            return {"type": _SCALARS[type(info)]} | _bounds(info)
        case types.LiteralType():
            return _enum(info.values)
        case types.EnumType():
            return _enum([member.value for member in info.cls])
        case types.AnyType() | types.RawType():
            return {}
        case types.DateTimeType() | types.DateType():
            return {"type": "string", "format": _FORMATS[type(info)]}
    return {"type": _SCALARS[type(info)]}


def _enum(values: Iterable[Any]) -> Schema:
    listed = list(values)
    kind = "integer" if all(isinstance(value, int) for value in listed) else "string"
    return {"type": kind, "enum": listed}


def _bounds(info: Any) -> Schema:
    given = {word: getattr(info, name, None) for name, word in _BOUNDS.items()}
    return {word: value for word, value in given.items() if value is not None}


def _list_of(info: types.CollectionType, items: Schema) -> Schema:
    schema: Schema = {"type": "array", "items": items}
    if info.min_length is not None:
        schema["minItems"] = info.min_length
    if info.max_length is not None:
        schema["maxItems"] = info.max_length
    return schema


def _structs_of(kinds: Iterable[Any]) -> set[Any]:
    """Return every struct that ``kinds`` hold, at any depth."""
    found: set[Any] = set()
    waiting: list[types.Type] = [types.type_info(kind) for kind in kinds]
    while waiting:
        info = waiting.pop()
        match info:
            case types.StructType():
                if info.cls not in found:
                    found.add(info.cls)
                    waiting += [field.type for field in info.fields]
            case types.Metadata():
                waiting.append(info.type)
            case types.UnionType():
                waiting += info.types
            case types.CollectionType():
                waiting.append(info.item_type)
            case types.DictType():
                waiting.append(info.value_type)
            case _:
                continue
    return found


def _precedence(kind: Any) -> tuple[int, int, str, str]:
    """Order those who choose a name: the operator's first, and items before pages of them."""
    module = (get_origin(kind) or kind).__module__
    for inner in get_args(kind):
        module = inner.__module__
    return (_surface(module)[0], len(get_args(kind)), module, _plain_name(kind))


def _surface(module: str) -> tuple[int, str]:
    for rank, (ending, word) in enumerate(_SURFACES):
        if ending in module.rpartition(".")[2]:
            return rank, word
    return 0, ""


def _plain_name(kind: Any) -> str:
    origin = get_origin(kind)
    if origin is not None:
        return "".join(_plain_name(inner) for inner in get_args(kind)) + str(origin.__name__)
    name: str = kind.__name__
    return _NAMED.get(name, name.removesuffix("Item"))


def _candidates(kind: Any) -> list[str]:
    """Return the names a struct may take, best first."""
    short = _plain_name(kind)
    inner = next(iter(get_args(kind)), kind)
    module = (get_origin(inner) or inner).__module__
    feature = module.split(".")[1] if "." in module else module
    word = _surface(module)[1]
    return [short, word + short, feature.capitalize() + word + short]
