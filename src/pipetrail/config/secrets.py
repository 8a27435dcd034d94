"""What a text stands for: ``${NAME}`` for a variable of the environment, ``file:/path`` for what a file holds.

So no password has to stand in the configuration, and none on a command line, where every user of the machine reads it.
Whatever came from there, and what stands under the name of a secret, is a :class:`Secret` while it is checked: no
mistake shows it. In the settings that a sink gets (:func:`plain`) it stays one where it may be part of how we log in.
"""

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

from pipetrail.config.document import Where

_VARIABLE = re.compile(r"\$(\$)?\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FILE = "file:/"
_MOST_BYTES = 1 << 20
_SECRET_FIELDS = frozenset({"auth", "headers", "proxy", "url"})
_NAMES = re.compile(r"(?i)(pass(word|phrase|wd)?|secret|token|api[-_]?key|authorization)$")

MASK = "***"


class Secret(str):
    """A text that is not shown: its representation is ``'***'``, and msgspec does not write it into a document."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(MASK)


def put_in(value: Any, where: Where, wrong: Callable[[Where, str], None]) -> Any:
    """A value of the file with all variables and files in its texts put in.

    :param wrong: told of each that is missing, with its place; the text then stays as it is.
    """
    if isinstance(value, dict):
        return {key: put_in(inner, [*where, key], wrong) for key, inner in value.items()}
    if isinstance(value, list):
        return [put_in(inner, [*where, number], wrong) for number, inner in enumerate(value)]
    if not isinstance(value, str):
        return value
    try:
        found = _from_file(value) if value.startswith(_FILE) else _from_variables(value)
    except ValueError as error:
        wrong(where, str(error))
        return value
    return Secret(found) if found != value or _named(where) else found


def plain(value: Any, where: Where) -> Any:
    """A value in which only those texts are a :class:`Secret` that can be one: others go into documents."""
    if isinstance(value, dict):
        return {key: plain(inner, [*where, key]) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner, [*where, number]) for number, inner in enumerate(value)]
    if isinstance(value, Secret) and not _named(where) and not _SECRET_FIELDS.intersection(where):
        return str(value)
    return value


def literals(value: Any, where: Where) -> Iterator[Where]:
    """Where a password or token stands in the file itself."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from literals(inner, [*where, key])
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from literals(inner, [*where, number])
    elif isinstance(value, str) and _named(where) and not value.startswith(_FILE) and not _VARIABLE.search(value):
        yield where


def masked(text: str, value: Any) -> str:
    """A text in which no secret of a value is left."""
    for secret in sorted(_secrets(value), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def _secrets(value: Any) -> Iterator[str]:
    if isinstance(value, Secret) and value:
        yield str(value)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _secrets(inner)


def _named(where: Where) -> bool:
    """Whether the name of a value says that it is a secret."""
    return bool(where) and isinstance(where[-1], str) and _NAMES.search(where[-1]) is not None


def _from_variables(text: str) -> str:
    def value(found: re.Match[str]) -> str:
        escaped, name = found.groups()
        if escaped:
            return found[0][1:]
        if name not in os.environ:
            raise ValueError(f"the variable {name} is not set; write $${{{name}}} where no variable is meant")
        return os.environ[name]

    return _VARIABLE.sub(value, text)


def _from_file(text: str) -> str:
    path = text.removeprefix("file:")
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise ValueError(f"the file {path} is larger than 1 MiB")
        return data.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise ValueError(f"the file {path} is no text in UTF-8") from error
    except OSError as error:
        raise ValueError(f"the file {path} can't be read: {error.strerror or error}") from error
