"""``config.md`` and ``config.schema.json``: the fields of the configuration file, with what stands under each."""

import types
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from docs._generate.markdown import block, code, first_paragraph, page, sentence, table
from pipetrail import config
from pipetrail.config import schema as schemas
from pipetrail.sinks import settings as common
from pipetrail.sinks.kinds import KINDS, kind

SOURCE = "src/pipetrail/config and src/pipetrail/sinks"

_INTRO = """The configuration is one YAML file, named with `--config` or `PIPETRAIL_CONFIG`; there is no default
place. All of it is optional, and what options of the command line say wins over it. Unknown keys are errors, and so is
a key that stands twice. `pipetrail config check FILE` prints every mistake with its line; `pipetrail record` refuses a
file with mistakes.

## In an editor

[config.schema.json](config.schema.json) is the JSON Schema of the same fields; `pipetrail config schema` prints it. An
editor with the YAML language server completes and checks the file when its first line names that schema:

```yaml
# yaml-language-server: $schema=pipetrail.schema.json
clusters: [{context: prod-eu}]
```

## Variables and files

In any text `${NAME}` is replaced by that variable of the environment, and a text that is `file:/path` by what that file
holds, without the end of its last line. What is missing is a mistake that names the variable or the file. `$${NAME}`
stands for `${NAME}` itself. For the section `sinks` only `record`, `deliver` and `config check` do so: who just reads
the journal needs no secrets."""

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
sinks:
  audit:
    type: file
    path: /var/log/pipetrail/events.jsonl
"""

SECTIONS: tuple[tuple[str, type[msgspec.Struct], str], ...] = (
    ("The file", config.Config, ""),
    ("clusters[]", config.ClusterConfig, "clusters[]."),
    ("retention", config.RetentionConfig, "retention."),
    ("sinks.NAME", common.Settings, ""),
    ("batch", common.Batching, "batch."),
    ("retry", common.Retrying, "retry."),
    ("limits", common.Limits, "limits."),
    ("Sinks that speak HTTP", common.HttpSettings, ""),
    ("auth", common.Auth, "auth."),
    ("tls", common.Tls, "tls."),
)

_NOTES = {
    "sinks.NAME": "Each sink has a name of its own (up to 40 of a to z, 0 to 9 and -), under which its cursor is kept; "
    "[Sinks](../how-to/sinks.md) says how to use them. These fields all sinks have:",
    "Sinks that speak HTTP": "Those of type {http} have these fields too:",
}


def kinds() -> dict[type[msgspec.Struct], list[str]]:
    """The settings of each kind of sink, with the words under ``type`` that mean it."""
    found: dict[type[msgspec.Struct], list[str]] = {}
    for word in KINDS:
        found.setdefault(kind(word).Settings, []).append(word)
    return found


def write() -> str:
    """The page."""
    http = [word for struct, words in kinds().items() if issubclass(struct, common.HttpSettings) for word in words]
    notes = {title: text.format(http=", ".join(map(code, sorted(http)))) for title, text in _NOTES.items()}
    parts = [_section(title, struct, prefix, notes.get(title, "")) for title, struct, prefix in SECTIONS]
    for struct, words in kinds().items():
        parts.append(_section(f"type: {' or '.join(words)}", struct, "", first_paragraph(struct.__doc__)))
        parts += [
            _section(f"{field.name} ({words[0]})", inner, f"{field.name}.", first_paragraph(inner.__doc__))
            for field in own_fields(struct)
            for inner in schemas.inner_structs(field.type)
            if inner not in _LINKS
        ]
    return page("Configuration file", SOURCE, _INTRO, block(EXAMPLE, "yaml"), *parts, _JOURNAL)


def _section(title: str, struct: type[msgspec.Struct], prefix: str, note: str) -> str:
    meanings = field_docs(struct)
    rows = [
        (code(prefix + field.name), _type(field.type), _default(field), meanings.get(field.name, ""))
        for field in own_fields(struct)
    ]
    return "\n\n".join(
        part
        for part in (f"## {title}", note, table(("Field", "Type", "Default", "Meaning"), rows) if rows else "")
        if part
    )


def own_fields(struct: type[msgspec.Struct]) -> list[msgspec.structs.FieldInfo]:
    """The fields that a Struct adds to the one it is made from, and those that are otherwise than there."""
    above = {_key(field) for base in struct.__bases__ if base is not msgspec.Struct for field in _fields(base)}
    return [field for field in msgspec.structs.fields(struct) if _key(field) not in above]


def _key(field: msgspec.structs.FieldInfo) -> tuple[object, ...]:
    return field.name, field.type, field.default


def _fields(struct: type) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(struct) if issubclass(struct, msgspec.Struct) else ()


_JOURNAL = """## The default journal

`$XDG_STATE_HOME/pipetrail/journal.db`, or `~/.local/state/pipetrail/journal.db` where that variable is not set. In
a pod name it, on a volume: see [Record from inside a cluster](../how-to/in-cluster.md)."""


def schema() -> str:
    """The JSON Schema of the file."""
    return schemas.schema()


def field_docs(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The text below each field of a Struct, as a sentence."""
    return {name: sentence(text) for name, text in schemas.field_docs(struct).items()}


_LINKS = {
    config.ClusterConfig: "[clusters](#clusters)",
    config.RetentionConfig: "[retention](#retention)",
    common.Settings: "[sinks](#sinksname)",
    common.Batching: "[batch](#batch)",
    common.Retrying: "[retry](#retry)",
    common.Limits: "[limits](#limits)",
    common.Auth: "[auth](#auth)",
    common.Tls: "[tls](#tls)",
}


def _type(found: Any) -> str:
    """A type as people say it."""
    words = {str: "text", bool: "yes or no", int: "number", float: "number", Any: "anything"}
    if found in words:
        return words[found]
    if isinstance(found, type) and issubclass(found, msgspec.Struct):
        return f"mapping, see {_LINKS[found]}" if found in _LINKS else "mapping, see below"
    if found == list[common.Rule] | common.Rule:
        return "rule or list of rules, see [Which events](../how-to/sinks.md#which-events)"
    origin, inner = get_origin(found), get_args(found)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_type(part) for part in inner if part is not type(None)))
    if origin is Literal:
        return ", ".join(code(str(word)) for word in inner)
    if origin is list:
        if inner[0] in _LINKS:
            return f"list, see {_LINKS[inner[0]]}"
        return f"list of {_type(inner[0])}s"
    if origin is dict:
        if inner[1] in _LINKS:
            return f"mapping by name, see {_LINKS[inner[1]]}"
        return "mapping"
    raise TypeError(f"the configuration has a field of type {found}: say in docs/_generate/settings.py how to write it")


def _default(field: msgspec.structs.FieldInfo) -> str:
    default = field.default
    if field.required:
        return "required"
    if default is msgspec.NODEFAULT or default is None:
        return ""
    if isinstance(default, bool):
        return code("true" if default else "false")
    if isinstance(default, float):
        return code(f"{default:g}")
    return code(str(default)) if default != "" else "empty"
