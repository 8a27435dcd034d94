"""The tables of ``pipetrail sinks``: how each sink is, and its dead letters."""

from collections.abc import Callable, Sequence

import click

from pipetrail.cli.screen import Screen
from pipetrail.cli.sinks_shapes import DeadLetterShape, Known, lag_seconds
from pipetrail.cli.table import Cell, Column, Table, coloured, wrapped
from pipetrail.cli.words import ShortTimes, age_words, clean, object_words, size_words
from pipetrail.model import ObjectRef
from pipetrail.model.times import SECOND, parse_time

_STATES = {
    "new": Cell("new", "cyan"),
    "starting": Cell("starting", "cyan"),
    "closed": Cell("ok", "green"),
    "half-open": Cell("trying", "yellow"),
    "open": Cell("waiting", "red"),
    "full": Cell("FULL", "red", bold=True),
    "stopped": Cell("stopped", "yellow"),
}
_ROOM = 120  # a narrower screen shows what went wrong below the table
_LATE_SECONDS = 60.0


def table(found: Sequence[Known], screen: Screen, *, trouble: str, wide: bool) -> str:
    """All sinks, one line each; then what went wrong, where there is no room for it in the lines.

    :param trouble: why the recorder can't keep the delivery running; empty where it can.
    """
    head = coloured(f"The delivery is not running: {clean(trouble)}.\n", "red", screen) if trouble else ""
    if not found:
        return head + "There are no sinks. Name the configuration that has some with --config.\n"
    width = 0 if wide else screen.width
    beside = not width or width >= _ROOM
    columns = [
        Column("NAME", 25, "middle"),
        Column("TYPE"),
        Column("STATE"),
        Column("CURSOR", right=True),
        Column("LAG", right=True),
        Column("BEHIND", right=True),
        Column("RATE", right=True),
        Column("RETRIES", right=True),
        Column("DEAD", cut="end", right=True),
    ]
    if wide:
        columns += [Column(word, right=True) for word in ("SENT", "BYTES", "HELD", "FILTERED", "SKIPPED")]
    if beside:
        columns.append(Column("LAST ERROR", 100, "end"))
    lines = Table(columns, width, screen.colour).lines([_row(each, screen, wide, beside) for each in found])
    return head + lines + ("" if beside else _errors(found, screen))


def _row(known: Known, screen: Screen, wide: bool, beside: bool) -> list[Cell | str]:
    figures, now = known.figures, screen.now()
    if known.state == "new":
        row: list[Cell | str] = [clean(figures.name), clean(figures.type), _STATES["new"], *["-"] * (11 if wide else 6)]
        return [*row, "it never ran"] if beside else row
    behind = lag_seconds(figures, now)
    dead = figures.dead_letters
    row = [
        clean(figures.name),
        clean(figures.type),
        _STATES.get(known.state, Cell(clean(known.state))),
        str(figures.read),
        f"{figures.lag_events:,}",
        Cell(_age(behind), "red" if behind > _LATE_SECONDS else None),
        f"{figures.rate_now(now):,.0f}/s",
        f"{figures.retries:,}",
        Cell(f"{dead:,}" if dead else "-", "red" if dead else None),
    ]
    if wide:
        row += [f"{figures.sent:,}", size_words(figures.bytes), f"{figures.held:,}", f"{figures.filtered:,}"]
        row.append(Cell(f"{figures.skipped:,}", "red" if figures.skipped else None))
    return [*row, _error(known, screen)] if beside else row


def _age(seconds: float) -> str:
    """A time span for a column; nothing to speak of is a dash."""
    return "-" if seconds < 1 else age_words(int(seconds * SECOND))


def _error(known: Known, screen: Screen) -> str:
    """What went wrong last, and when."""
    figures = known.figures
    if not figures.last_error or figures.last_error_at is None:
        return "-"
    return f"{ShortTimes(screen.now())(figures.last_error_at)} {clean(figures.last_error)}"


def _errors(found: Sequence[Known], screen: Screen) -> str:
    """The same below the table, for a narrow screen."""
    told = [(clean(each.figures.name), _error(each, screen)) for each in found if each.figures.last_error]
    text = ""
    for name, error in told:
        first, *rest = wrapped(f"{name}: {error}", screen.width - 2)
        text += "".join(f"  {line}\n" for line in [first, *rest][:3])
    title = click.style("Last errors", bold=True) if screen.colour else "Last errors"
    return f"{title}\n{text}" if told else ""


def letters_table(screen: Screen) -> Callable[[Sequence[DeadLetterShape]], str]:
    """What makes lines of dead letters, page by page."""
    columns = [Column("SEQ", right=True), Column("GIVEN UP"), Column("OBJECT", 29, "path")]
    columns += [Column("EVENT", 20, "end"), Column("REASON", 100, "end")]
    lines = Table(columns, screen.width, screen.colour)
    short = ShortTimes(screen.now())

    def row(letter: DeadLetterShape) -> list[Cell | str]:
        about = letter.event.about
        named = ObjectRef(kind=about.kind, namespace=about.namespace, name=about.name)
        words = clean(object_words(named))
        return [str(letter.seq), short(parse_time(letter.at)), words, clean(letter.event.reason), clean(letter.reason)]

    return lambda page: lines.lines([row(letter) for letter in page])
