"""Whether values have the form of a Struct: every mistake, with its path and with what is allowed there."""

import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from pipetrail.config.document import Where

Mistake = tuple[Where, str]


def name_of(where: Where) -> str:
    """A path as people read it: ``clusters[2].kubeconfig``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).lstrip(".")


def mistakes(where: Where, value: Any, kind: type[msgspec.Struct]) -> Iterator[Mistake]:
    """What is wrong with a mapping that should have the fields of a Struct, and with all below it."""
    name = name_of(where)
    before = f"{name}." if name else ""
    if not isinstance(value, dict):
        yield where, f"{name}: a mapping is expected"
        return
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    for key, item in value.items():
        if key not in fields:
            yield [*where, key], f"{before}{key}: unknown; allowed are {', '.join(fields)}"
        else:
            yield from _value([*where, key], item, fields[key].type)
    for field in fields.values():
        if field.required and field.name not in value:
            yield where, f"{before}{field.name}: it is missing"


def _value(where: Where, value: Any, wanted: Any) -> Iterator[Mistake]:
    """What is wrong with one value of a type."""
    inner = _struct(wanted)
    if inner is not None and not (value is None and type(None) in get_args(wanted)):
        yield from mistakes(where, value, inner)
        return
    if get_origin(wanted) is list and isinstance(value, list) and (each := _struct(get_args(wanted)[0])) is not None:
        for number, item in enumerate(value):
            yield from mistakes([*where, number], item, each)
        return
    words = _words(wanted)
    if words and isinstance(value, str):
        if value not in words:
            yield where, f"{name_of(where)}: {value!r} is none of {', '.join(words)}"
        return
    try:
        msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        yield where, f"{name_of(where)}: {error}"


def _struct(wanted: Any) -> type[msgspec.Struct] | None:
    """The Struct that a type wants, where it wants nothing else (but perhaps null)."""
    parts = get_args(wanted) if get_origin(wanted) in (Union, types.UnionType) else (wanted,)
    found = [part for part in parts if part is not type(None)]
    if len(found) == 1 and isinstance(found[0], type) and issubclass(found[0], msgspec.Struct):
        return found[0]
    return None


def _words(wanted: Any) -> list[str]:
    """The words that a type allows; nothing where it is no closed set of them."""
    if get_origin(wanted) is Literal:
        return [str(word) for word in get_args(wanted)]
    if get_origin(wanted) in (Union, types.UnionType):
        return [word for part in get_args(wanted) if part is not type(None) for word in _words(part)]
    return []
