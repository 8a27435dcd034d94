"""The section ``sinks``: each sink by the rules that hold for all, then by those of its kind."""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from pipetrail.config.document import Where
from pipetrail.config.secrets import masked, plain
from pipetrail.config.structure import Mistake, mistakes, name_of
from pipetrail.model import Delivery, Event, ObjectRef, Standing
from pipetrail.sinks.amounts import age, size
from pipetrail.sinks.kinds import KINDS, kind
from pipetrail.sinks.matching import Filter
from pipetrail.sinks.settings import HttpSettings, Rule, Settings
from pipetrail.sinks.tools import Tools

NAME = re.compile(r"[a-z0-9-]{1,40}")
_MOST_HOLD = 5.0
_STARTS = ("now", "oldest")


class Forgetful:
    """A memory that keeps nothing: for a sink that is made to see whether it can be."""

    def load(self) -> Mapping[str, bytes]:
        """Nothing."""
        return {}

    def put(self, key: str, value: bytes | None) -> None:
        """Forget it."""


def tools() -> Tools:
    """The world for a sink that is only looked at, or probed."""
    return Tools(now=lambda: time.time_ns() // 1000, memory=Forgetful())


def sink_mistakes(found: Any, unread: Sequence[Where] = ()) -> Iterator[Mistake]:
    """Every mistake in the section.

    :param unread: places whose variables or files are missing: what stands there is not what is meant.
    """
    if not isinstance(found, dict):
        yield ["sinks"], "sinks: a mapping is expected, from the name of each sink to its settings"
        return
    for name, value in found.items():
        if not isinstance(name, str) or not NAME.fullmatch(name):
            yield ["sinks", name], f"sinks.{name}: a name has up to 40 of a to z, 0 to 9 and -"
        else:
            told = any(where[:2] == ["sinks", name] for where in unread)
            for where, what in _sink(["sinks", name], value):
                told = True
                yield where, masked(what, value)
            if not told:
                yield from _made(["sinks", name], name, value)


def alerts_without_end(found: dict[str, Any]) -> Iterator[Where]:
    """The rules of sinks to Alertmanager that leave out each run that ends well, by which alerts end.

    The section has no mistakes. Whose run it is may be chosen; what became of it may not.
    """
    for name, value in found.items():
        if value["type"] != "alertmanager":
            continue
        match, drop = (_of_outcomes(value.get(word, [])) for word in ("match", "drop"))
        if all(match) and not Filter(match, []).keeps(_GOOD_RUN):
            yield ["sinks", name, "match"]
        if not Filter([], [rule for rule in drop if rule]).keeps(_GOOD_RUN):
            yield ["sinks", name, "drop"]


def _of_outcomes(found: list[Rule] | Rule) -> list[Rule]:
    rules = [found] if isinstance(found, dict) else found
    return [{field: value for field, value in rule.items() if field in _OUTCOMES} for rule in rules]


_OUTCOMES = frozenset({"blame", "category", "cause", "origin", "reason", "severity", "state", "type"})
_GOOD_RUN = Delivery(
    seq=1,
    event=Event(
        number=0,
        cluster="",
        at=0,
        observed_at=0,
        origin="run",
        about=ObjectRef(kind="", namespace="", name=""),
        reason="Succeeded",
    ),
    run=Standing(cluster="", system="", run="", name="", state="Succeeded", at=0),
)


def settings(found: dict[str, Any]) -> dict[str, Settings]:
    """The settings of each sink, of the type of its kind. The section has no mistakes."""
    return {name: _settings(value) for name, value in found.items()}


def _settings(value: dict[str, Any]) -> Settings:
    return msgspec.convert(plain(value, []), kind(value["type"]).Settings)


def _sink(where: Where, value: Any) -> Iterator[Mistake]:
    """What is wrong with one sink, as far as its kind need not be asked."""
    if not isinstance(value, dict):
        yield where, f"{name_of(where)}: a mapping is expected"
        return
    word = value.get("type")
    if word is None:
        yield where, f"{name_of(where)}.type: it is missing; it is one of {', '.join(KINDS)}"
        return
    if not isinstance(word, str) or word not in KINDS:
        yield [*where, "type"], f"{name_of(where)}.type: {word!r} is none of {', '.join(KINDS)}"
        return
    yield from mistakes(where, value, kind(word).Settings)
    yield from _common(where, value)


def _common(where: Where, value: dict[str, Any]) -> Iterator[Mistake]:
    """What is wrong with the values of the fields that all sinks have; what has the wrong type is told already."""

    def at(*path: str) -> tuple[Where, Any, str]:
        found: Any = value
        for part in path:
            found = found.get(part) if isinstance(found, dict) else None
        whole = [*where, *path]
        return whole, found, name_of(whole)

    try:
        Filter(_rules(value.get("match", [])), _rules(value.get("drop", [])))
    except ValueError as error:
        yield from (_placed(where, line) for line in str(error).splitlines())
    place, found, name = at("start")
    if isinstance(found, str) and found not in _STARTS:
        yield place, f"{name}: {found!r} is none of {', '.join(_STARTS)}"
    for path, least, most in _BOUNDS:
        place, found, name = at(*path)
        if isinstance(found, int | float) and not isinstance(found, bool) and not least <= found <= most:
            yield place, f"{name}: {found} is not between {least:,.12g} and {most:,.12g}"
    for path, parse in _PARSED:
        place, found, name = at(*path)
        if isinstance(found, str):
            try:
                parse(found)
            except ValueError as error:
                yield place, f"{name}: {error}"
    if issubclass(kind(value["type"]).Settings, HttpSettings):
        from pipetrail.sinks.http import checked

        for field in ("url", "proxy"):
            place, found, name = at(field)
            try:
                checked(found if isinstance(found, str) else "http://told-already", name)
            except ValueError as error:
                yield place, str(error)


def _rules(found: Any) -> list[Rule] | Rule:
    """Rules as far as they have the form of some: what has not is told already."""
    try:
        rules: list[Rule] | Rule = msgspec.convert(found, list[Rule] | Rule)
    except msgspec.ValidationError:
        return []
    return rules


_BOUNDS: tuple[tuple[tuple[str, ...], float, float], ...] = (
    (("hold",), 0, _MOST_HOLD),
    (("batch", "events"), 1, 100_000),
    (("batch", "seconds"), 0, 60),
    (("retry", "first"), 0.01, 600),
    (("retry", "longest"), 0.01, 3600),
    (("limits", "rate"), 0, 1_000_000),
    (("limits", "queue"), 1, 1_000_000),
    (("limits", "dead_letters"), 1, 10_000_000),
    (("timeout",), 0.1, 3600),
)
_PARSED: tuple[tuple[tuple[str, ...], Callable[[str], int]], ...] = (
    (("batch", "bytes"), size),
    (("retry", "give_up"), age),
)


def _made(where: Where, name: str, value: dict[str, Any]) -> Iterator[Mistake]:
    """What the kind itself says against settings that have the right form."""
    try:
        kind(value["type"]).make(name, _settings(value), tools())
    except ValueError as error:
        yield from (_placed(where, masked(line, value)) for line in str(error).splitlines())


def _placed(where: Where, text: str) -> Mistake:
    """A mistake that begins with its place inside a sink: ``match[0].reason: …``."""
    found = _PLACE.match(text)
    if found is None:
        return where, f"{name_of(where)}: {text}"
    place: Where = [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", found[0])]
    return [*where, *place], f"{name_of(where)}.{text}"


_PLACE = re.compile(r"[a-z_]+(\.[^:. \[\]]+|\[\d+\])*(?=: )")
