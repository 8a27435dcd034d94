"""The configuration file: YAML into checked values, and every mistake at once, each with its place."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from pipetrail.analysis.resolvers.configured import Configured
from pipetrail.model import Micros
from pipetrail.model.times import parse_age

_SIZES = {
    "": 1,
    "k": 1000,
    "m": 1000**2,
    "g": 1000**3,
    "t": 1000**4,
    "ki": 1024,
    "mi": 1024**2,
    "gi": 1024**3,
    "ti": 1024**4,
}


class ConfigError(Exception):
    """The configuration can't be used; one line for each mistake."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


class ClusterConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cluster to record."""

    context: str | None = None
    """Context of the kubeconfig; its current one if absent."""
    kubeconfig: str | None = None
    """The kubeconfig; KUBECONFIG or ~/.kube/config if absent."""
    name: str | None = None
    """The cluster's name in the journal; by default the uid of its namespace kube-system."""
    namespaces: list[str] = []
    """Record only these namespaces, with namespaced rights; all if empty."""


class RetentionConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept."""

    size: str = "10Gi"
    """The journal's greatest size. The oldest events go first. 0: no bound."""
    age: str = "0"
    """The greatest age of an event. 0: no bound."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    journal: str | None = None
    """The journal file; by default in the user's state directory."""
    clusters: list[ClusterConfig] = []
    """The clusters to record; by default the current context of the kubeconfig."""
    retention: RetentionConfig = msgspec.field(default_factory=RetentionConfig)
    """What is kept, and for how long."""
    event_ttl: str = "1h"
    """How long the clusters keep Events (--event-ttl of their API servers): a longer blind time may have lost some."""
    stuck_after: str = "1h"
    """How long a run may wait without a change before `pipetrail runs` calls it Stuck. 0: for ever."""
    zombie_after: str = "15m"
    """How long a run may say that it runs with no pod alive before it is called a Zombie. 0: for ever."""
    listen: str | None = None
    """Where /livez, /readyz and /metrics are served: by default 127.0.0.1:8380, in a pod 0.0.0.0:8380. Empty: no."""
    full_text: bool = True
    """Whether messages are indexed for search."""
    catalogue: str | None = None
    """A folder of own files for the catalogue of causes, read over the ones of pipetrail; see docs/how-to/why.md."""
    resolvers: list[dict[str, Any]] = []
    """Labels, annotations or owners that name runs of in-house systems; see docs/how-to/runs.md."""


def default_journal() -> str:
    """The journal of this user: ``$XDG_STATE_HOME/pipetrail/journal.db``."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return str(Path(state) / "pipetrail" / "journal.db")


def parse_size(text: str) -> int | None:
    """A size such as ``10Gi`` or ``500M`` in bytes; None for 0.

    :raises ValueError: when it is none.
    """
    digits = text.strip().rstrip("BbKkMmGgTtIi")
    unit = text.strip()[len(digits) :].lower().removesuffix("b")
    if unit not in _SIZES or not digits.isascii() or not digits.replace(".", "", 1).isdigit():
        raise ValueError(f"{text!r} is no size: write 500M, 10Gi or 0 for no bound")
    return int(float(digits) * _SIZES[unit]) or None


def parse_retention_age(text: str) -> Micros | None:
    """An age such as ``30d`` in microseconds; None for 0.

    :raises ValueError: when it is none.
    """
    if text.strip() == "0":
        return None
    age = parse_age(text.strip())
    if age is None:
        raise ValueError(f"{text!r} is no age: write 12h, 30d or 0 for no bound")
    return age or None


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of ``host:port``; an IPv6 address stands in brackets.

    :raises ValueError: when it is none.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is no address: write 127.0.0.1:8380")
    return host.strip("[]"), int(port)


def load(path: str | None, *, thorough: bool = False) -> Config:
    """The configuration in a file, or the defaults where none is named.

    :param thorough: whether files that it names are checked too; who uses them does so anyway.
    :raises ConfigError: with all that is wrong, one line each: file, line, what and what is allowed.
    """
    if path is None:
        return Config()
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: can't be read: {getattr(error, 'strerror', None) or error}"]) from error
    try:
        tree = yaml.compose(text, Loader=yaml.CSafeLoader)
        found = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        said = text.split("\n")[line - 1 : line]
        hint = " (a value that begins with { or [ or holds ': ' needs quotes)" if "{" in "".join(said) else ""
        raise ConfigError([f"{path}:{line}: no YAML: {error.problem}{hint}"]) from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError([f"{path}: no YAML: {str(error).splitlines()[0]}"]) from error
    if found is None:
        return Config()
    if not isinstance(found, dict):
        raise ConfigError([f"{path}:1: a mapping is expected, such as `journal: /var/lib/pipetrail/journal.db`"])
    mistakes = [*_mistakes(found), *(_catalogue_mistakes(found.get("catalogue")) if thorough else ())]
    errors = sorted((_line_of(tree, where), what) for where, what in mistakes)
    if errors:
        raise ConfigError([f"{path}:{line}: {what}" for line, what in errors])
    return msgspec.convert(found, Config)


def _mistakes(found: dict[Any, Any]) -> Iterator[tuple[list[Any], str]]:
    """Every mistake in a file, section by section, with its path."""
    fields = {field.name: field for field in msgspec.structs.fields(Config)}
    for key, value in found.items():
        if key not in fields:
            yield [key], f"{key}: unknown; allowed are {', '.join(fields)}"
            continue
        if key == "clusters" and isinstance(value, list):
            for number, entry in enumerate(value):
                yield from _section([key, number], entry, ClusterConfig)
        elif key == "retention":
            yield from _section([key], value, RetentionConfig)
        else:
            try:
                msgspec.convert(value, fields[key].type)
            except msgspec.ValidationError as error:
                yield [key], f"{key}: {error}"
    entries = found.get("resolvers")
    for number, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            try:
                Configured(entry)
            except ValueError as error:
                yield ["resolvers", number], f"resolvers[{number}].{error}"
    retention = found.get("retention")
    for key, parse in (("size", parse_size), ("age", parse_retention_age)):
        if isinstance(retention, dict) and isinstance(value := retention.get(key), str):
            try:
                parse(value)
            except ValueError as error:
                yield ["retention", key], f"retention.{key}: {error}"
    if isinstance(ttl := found.get("event_ttl"), str) and parse_age(ttl) is None:
        yield ["event_ttl"], f"event_ttl: {ttl!r} is no length of time: write 1h or 90m"
    for key in ("stuck_after", "zombie_after"):
        if isinstance(patience := found.get(key), str) and patience.strip() != "0" and parse_age(patience) is None:
            yield [key], f"{key}: {patience!r} is no length of time: write 1h, 90m or 0 for ever"
    if isinstance(listen := found.get("listen"), str) and listen:
        try:
            parse_address(listen)
        except ValueError as error:
            yield ["listen"], f"listen: {error}"


def _catalogue_mistakes(folder: Any) -> Iterator[tuple[list[Any], str]]:
    """What is wrong with the team's own files of the catalogue."""
    if not isinstance(folder, str):
        return
    from pipetrail.catalogue import CatalogueError
    from pipetrail.catalogue import load as load_catalogue

    try:
        load_catalogue(Path(folder))
    except CatalogueError as error:
        for line in error.errors:
            yield ["catalogue"], f"catalogue: {line}"


def _section(where: list[Any], value: Any, kind: type[msgspec.Struct]) -> Iterator[tuple[list[Any], str]]:
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")
    if not isinstance(value, dict):
        yield where, f"{name}: a mapping is expected"
        return
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    for key, item in value.items():
        if key not in fields:
            yield [*where, key], f"{name}.{key}: unknown; allowed are {', '.join(fields)}"
            continue
        try:
            msgspec.convert(item, fields[key].type)
        except msgspec.ValidationError as error:
            yield [*where, key], f"{name}.{key}: {error}"


def _line_of(node: yaml.Node | None, where: list[Any]) -> int:
    """The line on which the value at a path begins, as exactly as the tree tells."""
    line = node.start_mark.line + 1 if node is not None else 1
    for part in where:
        if isinstance(node, yaml.MappingNode):
            match = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if match is None:
                return line
            line, node = match[0].start_mark.line + 1, match[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line
