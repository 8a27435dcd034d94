"""``pipetrail catalogue``: what a reason means, who says it, and what to do about the causes behind it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipetrail.cli import options
from pipetrail.cli.failures import FAILED, USAGE, Failure
from pipetrail.cli.screen import Screen
from pipetrail.cli.shapes import json_lines
from pipetrail.cli.table import Cell, Column, Table, wrapped
from pipetrail.cli.words import clean

if TYPE_CHECKING:
    from pipetrail.catalogue import Catalogue, Cause, Entry

_NARROW = 100  # columns of a screen that has no room for whose turn it is
_PROSE = 100  # wider lines are hard to read


@click.command()
@click.argument("word", metavar="[REASON]", required=False)
@click.option("-m", "--message", metavar="TEXT", default="", help="Say which causes this message of REASON names.")
@options.several("--category", metavar="NAME", help="Only causes of these categories: gpu, quota, image …")
@options.catalogue_option
@options.output("text", "json")
def catalogue(word: str | None, message: str, category: tuple[str, ...], folder: Path | None, output: str) -> None:
    """Explain a reason or a cause, or list the causes by category.

    REASON is a word that events and states carry (OOMKilled, FailedScheduling, exit:137, xid:79), or the id of a cause.

    \b
    pipetrail catalogue
    pipetrail catalogue OOMKilled
    pipetrail catalogue FailedScheduling -m "0/4 nodes are available: 4 Insufficient nvidia.com/gpu."
    """
    from pipetrail.catalogue import CatalogueError, load

    if word is None and message:
        raise click.UsageError("--message needs the REASON that it came with")
    if word is not None and category:
        raise click.UsageError("--category is for the list: it can't be given with a REASON")
    try:
        known = load(folder)
    except CatalogueError as error:
        raise Failure(str(error), USAGE) from error
    shown = _json(known, word, message, category) if output == "json" else _text(known, word, message, category)
    click.echo(shown, nl=False)


def _json(known: "Catalogue", word: str | None, message: str, category: Sequence[str]) -> bytes:
    from pipetrail.cli import catalogue_shapes as shapes

    if word is None:
        return json_lines([shapes.cause_shape(known, cause) for cause in _chosen(known, category)])
    reason, entries = _meant(known, word)
    if not entries:
        return json_lines([shapes.cause_shape(known, known.cause(reason))])
    if message:
        found = known.sub_causes(reason, message)
        return json_lines([shapes.NamedShape(shapes.cause_shape(known, cause), fields) for cause, fields in found])
    return json_lines([shapes.reason_shape(known, reason, entry) for entry in entries])


def _text(known: "Catalogue", word: str | None, message: str, category: Sequence[str]) -> str:
    screen = Screen.current()
    if word is None:
        return _list(_chosen(known, category), screen)
    width = min(screen.width or _PROSE, _PROSE)
    reason, entries = _meant(known, word)
    if not entries:
        lines = _cause_lines(known.cause(reason), {}, width)
        lines += _signal_lines(known, reason, width)
    elif message:
        found = known.sub_causes(reason, message)
        lines = ["This message names no cause that the catalogue knows."] if not found else []
        for cause, fields in found:
            lines += [*([""] if lines else []), *_cause_lines(cause, fields, width)]
    else:
        lines = _reason_lines(known, reason, entries, width)
        lines += _sub_cause_lines(known, reason, screen)
    return "".join(line + "\n" for line in lines)


def _chosen(known: "Catalogue", categories: Sequence[str]) -> list["Cause"]:
    """The causes of some categories, or all, by category and then in the order of their files."""
    there = sorted({cause.category for cause in known.causes.values()})
    for name in categories:
        if name not in there:
            raise click.UsageError(f"no category {name!r}: there are {', '.join(there)}")
    return sorted(
        (cause for cause in known.causes.values() if not categories or cause.category in categories),
        key=lambda cause: cause.category,
    )


def _meant(known: "Catalogue", word: str) -> tuple[str, list["Entry"]]:
    """The reason that a word means, and its entries; the id of a cause without any.

    :raises Failure: when it means neither, with those that are near.
    """
    if word in known.causes:
        return word, []
    if entries := known.said_by(word):
        return word, entries
    by_case = {entry.reason.casefold(): entry.reason for entry in known.entries}
    if reason := by_case.get(word.casefold()):
        return reason, known.said_by(reason)
    from difflib import get_close_matches

    names = {**{cause: cause for cause in known.causes}, **by_case}
    near = [names[name] for name in get_close_matches(word.casefold()[:100], names, cutoff=0.65)]
    hint = f" Did you mean {' or '.join(near)}?" if near else " `pipetrail catalogue` lists the causes."
    raise Failure(f"the catalogue has no reason and no cause {clean(word[:200])}.{hint}", FAILED)


def _list(causes: Sequence["Cause"], screen: Screen, headings: bool = True) -> str:
    wide = not 0 < screen.width < _NARROW
    columns = [Column("CAUSE"), *([Column("TURN"), Column("RETRY")] if wide else []), Column("MEANS", 100, "end")]
    indent = "  " if headings else ""
    rows: list[list[Cell | str]] = []
    category = ""
    for cause in causes:
        if headings and cause.category != category:
            category = cause.category
            rows.append([Cell(clean(category), bold=True), *([""] * (len(columns) - 1))])
        turn = [cause.turn.partition(":")[0], cause.retry] if wide else []
        rows.append([indent + cause.id, *turn, clean(cause.title)])
    return Table(columns, screen.width, screen.colour).lines(rows)


def _reason_lines(known: "Catalogue", reason: str, entries: Sequence["Entry"], width: int) -> list[str]:
    """What each component means by a reason, and then the causes that they point to."""
    lines = [clean(reason)]
    for entry in entries:
        said = f"{entry.component} says it of {entry.kind} ({', '.join(entry.types)}, {entry.severity}): {entry.says}."
        lines += _prose(said, width)
        if entry.role == "symptom":
            lines += _prose("It is a symptom: it never says why. Look for what came before.", width)
        if entry.unverified:
            lines += _prose("Nobody has checked this word against its source.", width)
    for name in dict.fromkeys(entry.cause for entry in entries if entry.cause):
        lines += ["", *_cause_lines(known.cause(name), {}, width)]
    if makers := known.makers(reason):
        lines += ["", "Who can have made it; the first that applies"]
        for maker in makers:
            signs = [f"the container's reason is {maker.terminated}"] if maker.terminated else []
            signs += [f"before it came {' or '.join(maker.earlier)}"] if maker.earlier else []
            title = known.cause(maker.cause).title
            lines += _prose(f"{maker.cause} ({title}): {' and '.join(signs) or 'otherwise'}", width)
    return lines


def _sub_cause_lines(known: "Catalogue", reason: str, screen: Screen) -> list[str]:
    names = list(dict.fromkeys(row.cause for row in known.rows_for(reason)))
    if not names:
        return []
    table = _list([known.cause(name) for name in names], screen, headings=False)
    return ["", "What its message can say", *table.splitlines()]


def _cause_lines(cause: "Cause", fields: Mapping[str, str], width: int) -> list[str]:
    from pipetrail.catalogue import filled

    facts = f"Turn: {cause.turn}. Worth a retry: {cause.retry}. Sure at most: {cause.most}."
    return [
        *wrapped(clean(f"{cause.id} ({cause.category}): {filled(cause.title, fields)}"), width),
        *_prose(filled(cause.meaning, fields), width),
        *_prose(f"To do: {filled(cause.do, fields)}", width),
        *_prose(facts, width),
    ]


def _signal_lines(known: "Catalogue", cause: str, width: int) -> list[str]:
    signals = known.signals(cause)
    said = ", ".join(f"{entry.reason} ({entry.component})" for entry in signals.entries)
    read = ", ".join(dict.fromkeys(reason for reasons, _ in signals.rows for reason in reasons))
    lines = [*(_prose(f"Reasons: {said}", width) if said else [])]
    return lines + (_prose(f"Read in messages of: {read}", width) if read else [])


def _prose(text: str, width: int) -> list[str]:
    return [f"  {line}" for line in wrapped(clean(text), width - 2)]
