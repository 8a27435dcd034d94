"""The JSON Schema of the file, for editors: made from the same Structs that read it."""

import ast
import inspect
import json
import textwrap
from typing import Any

import msgspec

from pipetrail.config.sinks import NAME
from pipetrail.config.types import Config
from pipetrail.sinks.kinds import KINDS, kind
from pipetrail.sinks.matching import FIELDS
from pipetrail.sinks.settings import Rule, Settings

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REF = "#/$defs/{name}"


def _rule() -> dict[str, Any]:
    """The schema of a rule. Words of a closed set are offered; they may be written in any case."""

    def value(allowed: tuple[str, ...]) -> dict[str, Any]:
        one: dict[str, Any] = {"type": ["string", "integer"]}
        one = {"anyOf": [{"enum": list(allowed)}, one]} if allowed else one
        return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}

    return {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {name: value(allowed) for name, allowed in FIELDS.items()},
    }


_RULE = _rule()


def schema() -> str:
    """The JSON Schema, as JSON."""
    structs: dict[str, type[msgspec.Struct]] = {word: kind(word).Settings for word in KINDS}
    (whole, *refs), parts = msgspec.json.schema_components(
        [Config, *structs.values()], schema_hook=_anything, ref_template=_REF
    )
    _describe(parts, whole, Config)
    for struct, ref in zip(structs.values(), refs, strict=True):
        _describe(parts, ref, struct)
    sinks = parts[_name(whole)]["properties"]["sinks"]
    sinks["propertyNames"] = {"pattern": f"^{NAME.pattern}$"}
    sinks["additionalProperties"] = {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"enum": list(structs), "description": field_docs(Settings)["type"]}},
        "allOf": [
            {"if": {"properties": {"type": {"const": word}}, "required": ["type"]}, "then": ref}
            for word, ref in zip(structs, refs, strict=True)
        ],
    }
    found = {"$schema": _DIALECT, "title": "pipetrail configuration", "$defs": parts, **whole}
    return json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def field_docs(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The text below each field of a Struct, its own and those that it took over, on one line each."""
    found: dict[str, str] = {}
    for each in reversed(struct.__mro__):
        if each is not msgspec.Struct and issubclass(each, msgspec.Struct):
            found |= _own_docs(each)
    return found


def _own_docs(struct: type[msgspec.Struct]) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(struct))).body[0]
    if not isinstance(tree, ast.ClassDef):
        raise TypeError(f"{struct} is no class")
    found = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        ):
            found[field.target.id] = " ".join(text.value.value.split()).replace("``", "`")
    return found


def _describe(parts: dict[str, Any], ref: dict[str, Any], struct: type[msgspec.Struct]) -> None:
    """Put the texts below the fields of a Struct, and of those inside it, into its schema."""
    properties = parts[_name(ref)].get("properties", {})
    texts = field_docs(struct)
    for field in msgspec.structs.fields(struct):
        if field.type == list[Rule] | Rule:
            properties[field.name] = {"anyOf": [_RULE, {"type": "array", "items": _RULE}], "default": []}
        if field.name in texts:
            properties[field.name]["description"] = texts[field.name]
        for inner in inner_structs(field.type):
            names = {inner.__name__, f"{inner.__module__}.{inner.__qualname__}".replace(".", "_")}
            for name in names & set(parts):
                _describe(parts, {"$ref": _REF.format(name=name)}, inner)


def inner_structs(found: Any) -> list[type[msgspec.Struct]]:
    """The Structs that a type is made of."""
    if isinstance(found, type) and issubclass(found, msgspec.Struct):
        return [found]
    return [struct for part in getattr(found, "__args__", ()) for struct in inner_structs(part)]


def _name(ref: dict[str, Any]) -> str:
    return str(ref["$ref"]).rpartition("/")[2]


def _anything(_: type) -> dict[str, Any]:
    return {}
