"""Bytes of the API into wire objects: fast where they are as expected, patient where they are not.

A line that does not fit its shape is read field by field: what parses is kept, the rest is default. A line that is no
JSON at all is a :class:`Broken`.
"""

import datetime as dt
import json
from collections.abc import Iterable
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import msgspec

from pipetrail.kube import answers, wire

T = TypeVar("T", bound=wire.Wire)

# ValueError: what tolerant parsing does not take either, and integers of more than 4,300 digits.
_ERRORS = (msgspec.DecodeError, ValueError, OverflowError, RecursionError)


class Broken(msgspec.Struct, frozen=True):
    """Bytes that are no frame, with the parser's word on why."""

    reason: str
    raw: bytes


class Decoder:
    """Decodes watch lines and list items whose objects have the shape ``kind``.

    ``bent`` counts the objects that did not fit and were read field by field.
    """

    def __init__(self, kind: type[T]) -> None:
        self.kind: type[wire.Wire] = kind
        self.bent = 0
        self._frames = msgspec.json.Decoder(wire.Frame[kind])  # type: ignore[valid-type]
        self._object = msgspec.json.Decoder(kind)
        self._raw = msgspec.json.Decoder(wire.RawFrame)

    def frames(self, lines: bytes) -> list[wire.Frame[Any] | Broken]:
        """The frames in some whole lines. ERROR frames hold a :class:`~pipetrail.kube.answers.Status`."""
        try:
            found = self._frames.decode_lines(lines)
        except _ERRORS:
            return [self._one(line) for line in lines.split(b"\n") if line.strip()]
        for frame in found:
            if frame.type == "ERROR":
                return [self._one(line) for line in lines.split(b"\n") if line.strip()]
        return found  # type: ignore[return-value]

    def _one(self, line: bytes) -> wire.Frame[Any] | Broken:
        try:
            frame = self._frames.decode(line)
            if frame.type != "ERROR":
                return frame
        except _ERRORS:
            pass
        try:
            raw = self._raw.decode(line)
            if raw.type == "ERROR":
                return wire.Frame("ERROR", msgspec.json.decode(raw.object, type=answers.Status))
            return wire.Frame(raw.type, self.item(raw.object))
        except _ERRORS:
            return self._mended(line)

    def _mended(self, line: bytes) -> wire.Frame[Any] | Broken:
        try:
            found = tolerant_json(line)
        except ValueError as error:
            return Broken(str(error)[:256], line)
        if not isinstance(found, dict) or not isinstance(found.get("type"), str):
            return Broken("no watch frame: it has no type", line)
        if not isinstance(found.get("object"), dict):
            return Broken("no watch frame: its object is none", line)
        self.bent += 1
        kind = answers.Status if found["type"] == "ERROR" else self.kind
        return wire.Frame(found["type"], lenient(found["object"], kind))

    def item(self, raw: bytes | msgspec.Raw) -> Any:
        """One object. Reads it field by field where it does not fit.

        :raises ValueError: when it is no JSON object.
        """
        try:
            return self._object.decode(raw)
        except _ERRORS:
            found = tolerant_json(bytes(raw))
            if not isinstance(found, dict):
                raise ValueError("no object") from None
            self.bent += 1
            return lenient(found, self.kind)


def tolerant_json(data: bytes) -> Any:
    """JSON as Python's own parser takes it: raw control characters and lone surrogates pass, the latter as a "?".

    :raises ValueError: when it is no JSON, or nested too deeply.
    """
    try:
        return _whole(json.loads(data.decode("utf-8", "replace"), strict=False))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _whole(value: Any) -> Any:
    """The value with lone surrogates, which no encoding takes, replaced."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode() if not value.isascii() else value
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {_whole(key): _whole(item) for key, item in value.items()}
    return value


def lenient(found: dict[str, Any], kind: type[T]) -> T:
    """An object of the wire shape ``kind`` with every field that can be converted, and defaults for the others."""
    values = {}
    for field in msgspec.structs.fields(kind):
        if field.encode_name not in found:
            continue
        value = found[field.encode_name]
        try:
            values[field.name] = msgspec.convert(value, field.type, strict=False)
        except _ERRORS:
            if (mended := _nested(value, field.type)) is not None:
                values[field.name] = mended
    return kind(**values)


def _nested(value: Any, kind: Any) -> Any:
    for option in get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,):
        origin = get_origin(option)
        inner: Any = get_args(option)[0] if origin is list else None
        if isinstance(value, dict) and _is_struct(option):
            return lenient(value, option)
        if isinstance(value, list) and _is_struct(inner):
            return [lenient(item, inner) for item in value if isinstance(item, dict)]
        if isinstance(value, dict) and origin is dict:
            return {key: item for key, item in value.items() if isinstance(item, str)}
        if option is str and isinstance(value, int | float | bool):
            return str(value)
    return None


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def fit(found: Any, kind: type[T]) -> T:
    """Decoded JSON as an object of the wire shape: strictly if it fits, else field by field."""
    try:
        return msgspec.convert(found, kind)
    except _ERRORS:
        return lenient(found, kind) if isinstance(found, dict) else kind()


def first_time(times: Iterable[dt.datetime | None], plausible: range) -> int | None:
    """The first of some times that is set and plausible, in microseconds."""
    for time in times:
        if time is not None:
            # A float holds microseconds of this era exactly, and is the fastest way to them.
            at = round(time.timestamp() * 1_000_000)
            if at in plausible:
                return at
    return None
