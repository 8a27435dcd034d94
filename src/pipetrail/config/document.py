"""A YAML file as plain values, within bounds, with the line of each of them.

The text comes from a person, but perhaps through a template or a ConfigMap: it is bounded before anything is built from
it. Its parts are counted as they would be with all aliases written out, so that ten short lines of anchors (the
"billion laughs") are refused like a huge file. A key that stands twice is a mistake: YAML would let the last one win.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from pipetrail.config.errors import ConfigError

_MOST_BYTES = 1 << 20
_MOST_PARTS = 100_000
_MOST_DEPTH = 50

Where = list[Any]
"""A path to a value: keys and numbers."""


class Document(msgspec.Struct):
    """What a file holds: plain values, and the tree that knows their lines (None for an empty file).

    ``twice`` are the keys that stand twice: the line, and what is wrong.
    """

    path: str
    found: Any
    tree: yaml.Node | None
    twice: list[tuple[int, str]] = []

    def line(self, where: Where) -> int:
        """The line on which the value at a path begins, as exactly as the tree tells."""
        node = self.tree
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


def read(path: str) -> Document:
    """The file at a path.

    :raises ConfigError: when it can't be read, is no YAML, or is larger than any configuration.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: can't be read: {getattr(error, 'strerror', None) or error}"]) from error
    if len(data) > _MOST_BYTES:
        raise ConfigError([f"{path}: it is larger than 1 MiB: no configuration is"])
    try:
        if (line := _beyond(text)) is not None:
            raise ConfigError([f"{path}:{line}: too many or too deep values, perhaps by anchors (&) and aliases (*)"])
        tree = yaml.compose(text, Loader=yaml.CSafeLoader)
        found = yaml.load(text, Loader=yaml.CSafeLoader)
        return Document(path, found, tree, list(_twice(tree)) if tree is not None else [])
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        said = text.split("\n")[line - 1 : line]
        hint = " (a value that begins with { or [ or holds ': ' needs quotes)" if "{" in "".join(said) else ""
        raise ConfigError([f"{path}:{line}: no YAML: {error.problem}{hint}"]) from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError([f"{path}: no YAML: {str(error).splitlines()[0]}"]) from error


def _beyond(text: str) -> int | None:
    """The line where a file has more values than any configuration, or deeper ones; None where it has not."""
    parts = depth = 0
    sizes: dict[str, int] = {}  # of what stands behind each anchor
    open_: list[tuple[str | None, int]] = []
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            parts += sizes.get(event.anchor or "", _MOST_PARTS)  # what is not closed yet holds itself: it has no end
        elif isinstance(event, yaml.CollectionStartEvent):
            parts += 1
            depth += 1
            open_.append((event.anchor, parts))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
            anchor, before = open_.pop()
            if anchor is not None:
                sizes[anchor] = parts - before + 1
        elif isinstance(event, yaml.ScalarEvent):
            parts += 1
        if parts > _MOST_PARTS or depth > _MOST_DEPTH:
            return event.start_mark.line + 1 if event.start_mark is not None else 1
    return None


def _twice(tree: yaml.Node) -> Iterator[tuple[int, str]]:
    """Keys that stand twice in one mapping: the line, and what is wrong."""
    done: set[int] = set()
    left = [tree]
    while left:
        node = left.pop()
        if id(node) in done:
            continue
        done.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            left += node.value
        elif isinstance(node, yaml.MappingNode):
            lines: dict[str, int] = {}
            for key, value in node.value:
                left.append(value)
                if isinstance(key, yaml.ScalarNode):
                    line = key.start_mark.line + 1
                    if key.value in lines:
                        yield line, f"{key.value}: it stands in line {lines[key.value]} already"
                    lines.setdefault(key.value, line)
