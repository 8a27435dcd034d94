"""What went wrong lately, by cause, and what went wrong with a node, as tables for people."""

from collections.abc import Sequence

from pipetrail.analysis.diagnosis import Verdict
from pipetrail.app.overview import Group
from pipetrail.app.why import OfNode
from pipetrail.cli.render import EventTable
from pipetrail.cli.screen import Screen
from pipetrail.cli.table import Cell, Column, Row, Table
from pipetrail.cli.whytext import prose
from pipetrail.cli.words import ShortTimes, clean, object_words

_NARROW = 110  # columns of a screen that has no room for whose turn it is
_NAMES = 3  # runs named of a group
_EVENTS = 10  # of a node, the last ones
_COLOURS = {"Failed": "red", "Stuck": "red", "Zombie": "red"}


def groups_text(groups: Sequence[Group], screen: Screen, clusters: dict[str, str]) -> str:
    """One line for each cause, the worst first."""
    if not groups:
        return "Nothing failed in this time (--since, by default 24h), and nothing waits.\n"
    short = ShortTimes(screen.now())
    narrow = 0 < screen.width < _NARROW
    columns = [Column("RUNS", right=True), Column("NEWEST")]
    columns += [] if narrow else [Column("TURN"), Column("SURE")]
    columns += [Column("CLUSTER", 14, "end")] if clusters else []
    columns += [Column("CAUSE", 42, "end"), Column("WHERE", 100, "end")]
    rows: list[Row] = []
    for group in groups:
        first = group.first
        row: list[Cell | str] = [str(len(group.runs)), short(group.newest).partition(".")[0]]
        row += [] if narrow else [first.blame.replace("_", " "), first.confidence]
        row += [clean(clusters.get(first.cluster, first.cluster))] if clusters else []
        rows.append([*row, Cell(clean(cause_words(first)), _COLOURS.get(first.state)), clean(_where(group))])
    return Table(columns, screen.width, screen.colour).lines(rows)


def cause_words(verdict: Verdict) -> str:
    """A cause in few words."""
    return verdict.title or verdict.cause or f"not determinable: {verdict.reason or verdict.state}"


def _where(group: Group) -> str:
    """What the runs share, and their names."""
    about = object_words(group.about) if group.about.kind and len(group.runs) > 1 else ""
    names = [one.verdict.name for one in group.runs[:_NAMES]]
    left = len(group.runs) - len(names)
    said = ", ".join(names) + (f" and {left} more" if left else "")
    return f"{about}: {said}" if about else said


def node_text(found: OfNode, screen: Screen, clusters: dict[str, str]) -> str:
    """What went wrong with a node, and which runs that hit."""
    where = f" in {clusters.get(found.cluster, found.cluster)}" if clusters else ""
    short = ShortTimes(screen.now())
    since = f"{found.node}{where}: since {short(found.since).partition('.')[0]}"
    if not found.events:
        return prose(f"{since} nothing went wrong with this node, as far as it was recorded.", screen)
    hurt, all_ = len(found.verdicts), len(found.verdicts) + found.unhurt
    times = f"{len(found.events)} signs of trouble" if len(found.events) > 1 else "one sign of trouble"
    hit = f"{hurt} of {all_} runs that were on it then had trouble too" if all_ else "no run was on it then"
    parts = [prose(f"{since} {times}; {hit}.", screen)]
    if found.verdicts:
        columns = [Column("SINCE"), Column("STATE"), Column("RUN", 30, "middle"), Column("CAUSE", 100, "end")]
        rows: list[list[Cell | str]] = [
            [
                short(one.since).partition(".")[0],
                Cell(one.state, _COLOURS.get(one.state)),
                clean(one.name),
                clean(cause_words(one)),
            ]
            for one in sorted(found.verdicts, key=lambda one: (-one.since, one.run))
        ]
        parts.append(Table(columns, screen.width, screen.colour).lines(rows))
    parts.append(EventTable(screen, namespace=False).block(found.events[-_EVENTS:]).decode())
    return "\n".join(parts)
