"""Two runs beside one another for people: what was set up differently, how long it took, what is new."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from pipetrail.cli.render import MARKS, TIMES
from pipetrail.cli.screen import Screen
from pipetrail.cli.table import Cell, Column, Row, Table, cut_to, wrapped
from pipetrail.cli.words import ShortTimes, age_words, clean
from pipetrail.model import Micros

if TYPE_CHECKING:
    from pipetrail.analysis.differing import Took
    from pipetrail.analysis.runs import Run
    from pipetrail.app.diff import Compared

_NARROW = 100
_MOST = 40  # settings that are listed
_DIGEST = re.compile(r"(sha256:[0-9a-f]{8})[0-9a-f]{24,}")
_NEVER = "Commands, arguments and the values of env variables are never kept, so they are not compared."


def text(
    told: "Compared", screen: Screen, now: Micros, clusters: dict[str, str] | None, *, chosen: bool = False
) -> str:
    """All of it as text.

    :param now: up to when the cluster of the run is known.
    :param clusters: what people call the clusters, by id, where there are several.
    :param chosen: whether a person chose the run to compare with.
    """
    parts = [_head(told, screen, now, clusters, chosen)]
    parts += [part for part in (_setup(told, screen), _changed(told, screen), _took(told, screen)) if part]
    parts += [part for part in (_news(told, screen), _limits(told, screen)) if part]
    return "\n".join(parts)


def _head(told: "Compared", screen: Screen, now: Micros, clusters: dict[str, str] | None, chosen: bool) -> str:
    run, good = told.run, told.good
    later = (good.created or 0) > (run.created or 0)
    role = "chosen" if chosen else f"the {'next' if later else 'last'} good run of {_kind(run)}"
    lines = [
        f"{_called(run, clusters)}: {_ended(run, now)}",
        f"beside {_called(good, clusters)}: {role}, {_ended(good, now)}",
    ]
    created = [run.created, good.created]
    if None not in created:
        apart = age_words(abs((run.created or 0) - (good.created or 0)))
        lines[1] += f", created {apart} {'later' if later else 'before'}"
    width = screen.width or max(map(len, lines))
    return "".join(f"{line}\n" for text in lines for line in wrapped(text, width))


def _kind(run: "Run") -> str:
    from pipetrail.analysis.kinship import stem

    return f"pipeline {clean(run.pipeline)}" if run.pipeline else f"the name {clean(stem(run.name))}"


def _called(run: "Run", clusters: dict[str, str] | None) -> str:
    where = f" ({clean(clusters.get(run.cluster, run.cluster))})" if clusters is not None else ""
    return f"{clean(run.namespace)}/{clean(run.name)}{where}" if run.namespace else f"{clean(run.name)}{where}"


def _ended(run: "Run", now: Micros) -> str:
    if run.started is None:
        return f"{run.state}, never started"
    until = run.finished if run.finished is not None else now
    return f"{run.state} after {age_words(until - run.started)}"


def _setup(told: "Compared", screen: Screen) -> str:
    if not told.differences:
        return "Nothing that is kept of their setup differs.\n"
    steps = any(each.roles for each in told.differences)
    columns = [Column("WHAT"), Column("SETTING", 36, "middle")]
    columns += [Column("STEPS", 14, "end")] if steps else []
    columns += [Column("BEFORE", 24, "middle"), Column("AFTER", 100, "middle")]
    rows: list[Row] = []
    for each in told.differences[:_MOST]:
        row: list[Cell | str] = [each.what, clean(each.name)]
        row += [clean(", ".join(each.roles)) or "all"] if steps else []
        rows.append([*row, _value(each.before), Cell(_value(each.after), "yellow")])
    more = len(told.differences) - _MOST
    rest = f"… and {more} more: see -o json\n" if more > 0 else ""
    return Table(columns, screen.width, screen.colour).lines(rows) + rest


def _value(found: str) -> str:
    return _DIGEST.sub(r"\1…", clean(found)) or "-"


def _changed(told: "Compared", screen: Screen) -> str:
    if not told.changed:
        return ""
    short = ShortTimes(screen.now())
    columns = [Column("CHANGED IN BETWEEN", 40, "middle"), Column("AT"), Column("WHERE", 100, "end")]
    rows: list[Row] = [
        [clean(f"{each.kind.lower()}/{each.name}"), short(each.at), clean(", ".join(each.paths))]
        for each in told.changed
    ]
    return Table(columns, screen.width, screen.colour).lines(rows)


def _took(told: "Compared", screen: Screen) -> str:
    if not told.durations:
        return ""
    columns = [Column("PHASE"), Column("BEFORE", right=True), Column("AFTER", right=True), Column("")]
    rows: list[Row] = [
        [each.name, _length(each.before), _after(each), Cell(_factor(each), "yellow")] for each in told.durations
    ]
    return Table(columns, screen.width, screen.colour).lines(rows)


def _length(length: Micros | None) -> str:
    return "-" if length is None else age_words(length)


def _after(each: "Took") -> str:
    return f"{_length(each.after)}…" if each.open else _length(each.after)


def _factor(each: "Took") -> str:
    """Only what is far from what it was: phases are known in whole seconds."""
    if each.before is None or each.after is None:
        return "new" if each.before is None else "" if each.open else "gone"
    second = 1_000_000
    if abs(each.after - each.before) < 5 * second or not each.before:
        return ""
    factor = each.after / each.before
    return f"{TIMES}{factor:.1f}" if factor >= 1.25 or factor <= 0.8 else ""


def _news(told: "Compared", screen: Screen) -> str:
    bad = [each for each in told.news if each.severity != "info"]
    plain = [each for each in told.news if each.severity == "info"]
    found = ""
    if bad:
        short = ShortTimes(screen.now())
        columns = [Column("NEW"), Column("REASON", 30, "end"), Column("COUNT", right=True), Column("OF", 16, "end")]
        columns += [] if 0 < screen.width < _NARROW else [Column("FIRST")]
        columns += [Column("MESSAGE", 100, "end")]
        rows: list[Row] = []
        for each in bad:
            row: list[Cell | str] = [MARKS[each.severity], clean(each.reason), str(each.count), clean(each.kind)]
            row += [] if 0 < screen.width < _NARROW else [short(each.first)]
            rows.append([*row, clean(each.message)])
        found = Table(columns, screen.width, screen.colour).lines(rows)
    if plain:
        words = ", ".join(f"{each.reason}{f' {TIMES}{each.count}' if each.count > 1 else ''}" for each in plain)
        found += _lines([f"{'also ' if bad else ''}new, and ordinary: {clean(words)}"], screen)
    return found


def _limits(told: "Compared", screen: Screen) -> str:
    texts = [_NEVER]
    if told.unread:
        texts.append(f"Used by both and not recorded, so not compared: {clean(', '.join(told.unread))}.")
    return _lines(texts, screen, dim=True)


def _lines(texts: Sequence[str], screen: Screen, *, dim: bool = False) -> str:
    lines = [line for each in texts for line in (wrapped(each, screen.width) if screen.width else [each])]
    lines = [cut_to(line, screen.width) if screen.width else line for line in lines]
    return "".join(f"{click.style(line, dim=True) if dim and screen.colour else line}\n" for line in lines)
