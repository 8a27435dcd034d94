"""``config.md`` and ``config.schema.json``: the fields of the configuration file, with what stands under each."""

import ast
import inspect
import json
from typing import Any

import msgspec

from docs._generate.markdown import block, code, page, sentence, table
from pipetrail import config

SOURCE = "src/pipetrail/config.py"

_INTRO = """The configuration is one YAML file, named with `--config` or `PIPETRAIL_CONFIG`; there is no default
place. All of it is optional, and what options of the command line say wins over it. Unknown keys are errors.
`pipetrail config check FILE` prints every mistake with its line; `pipetrail record` refuses a file with mistakes.

Editors understand [config.schema.json](config.schema.json), the JSON Schema of the same fields."""

EXAMPLE = """
journal: /var/lib/pipetrail/journal.db
clusters:
- context: prod-eu
  name: prod-eu
- context: research
  namespaces: [ml-team-a, ml-team-b]
retention:
  size: 50Gi
  age: 90d
event_ttl: 1h
listen: 127.0.0.1:8380
"""

SECTIONS: tuple[tuple[str, type[msgspec.Struct], str], ...] = (
    ("The file", config.Config, ""),
    ("clusters[]", config.ClusterConfig, "clusters[]."),
    ("retention", config.RetentionConfig, "retention."),
)


def write() -> str:
    """The page."""
    parts = []
    for title, struct, prefix in SECTIONS:
        meanings = field_docs(struct)
        rows = [
            (code(prefix + field.name), _type(field.type), _default(field), meanings.get(field.name, ""))
            for field in msgspec.structs.fields(struct)
        ]
        parts.append(f"## {title}\n\n" + table(("Field", "Type", "Default", "Meaning"), rows))
    return page("Configuration file", SOURCE, _INTRO, block(EXAMPLE, "yaml"), *parts, _JOURNAL)


_JOURNAL = """## The default journal

`$XDG_STATE_HOME/pipetrail/journal.db`, or `~/.local/state/pipetrail/journal.db` where that variable is not set. In
a pod name it, on a volume: see [Record from inside a cluster](../how-to/in-cluster.md)."""


def schema() -> str:
    """The JSON Schema of the file."""
    found: dict[str, Any] = msgspec.json.schema(config.Config)
    found = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "pipetrail configuration", **found}
    for _, struct, _ in SECTIONS:
        described = found["$defs"].get(struct.__name__, {})
        for name, text in field_docs(struct).items():
            described.get("properties", {}).get(name, {})["description"] = text
    return json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def field_docs(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The string that stands under each field of a class."""
    tree = ast.parse(inspect.getsource(struct)).body[0]
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
            found[field.target.id] = sentence(text.value.value)
    return found


def _type(found: Any) -> str:
    words = {str: "text", bool: "yes or no", int: "number"}
    if found in words:
        return words[found]
    if found == str | None:
        return "text"
    text = str(found)
    if "ClusterConfig" in text:
        return "list, see [clusters](#clusters)"
    if "RetentionConfig" in text:
        return "mapping, see [retention](#retention)"
    if text == "list[str]":
        return "list of texts"
    if text.startswith("list[dict"):
        return "list of mappings"
    raise TypeError(f"the configuration has a field of type {text}: say in docs/_generate/settings.py how to write it")


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.default is msgspec.NODEFAULT or field.default is None:
        return ""
    if isinstance(field.default, bool):
        return code("true" if field.default else "false")
    return code(str(field.default)) if field.default != "" else "empty"
