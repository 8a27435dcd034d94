"""One run for people: its head, the table of its phases, and the table of its steps, tries and pods."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from pipetrail.cli.screen import Screen
from pipetrail.cli.table import Cell, Column, Row, Table, cut_to
from pipetrail.cli.words import ShortTimes, age_words, clean
from pipetrail.model import Micros

if TYPE_CHECKING:
    from pipetrail.analysis.phases import Phase
    from pipetrail.analysis.tree import Branch, Leaf, Times, Try
    from pipetrail.app.run import Told

Short = Callable[[Micros], str]

_COLOURS = {"Failed": "red", "Stuck": "red", "Zombie": "red", "Preempted": "yellow", "Pending": "yellow"}
_PHASES = {"interrupted": "red", "queued": "yellow", "waiting": "yellow", "admitted": "yellow"}
_ORDER = ("Failed", "Cancelled", "Unknown", "Pending", "Running")
_PHASES_FULL = 20  # more phases than this are shown as sums
_STEP = 30  # hundredths of the screen for the names of the steps
_FULL = 12  # more members than this are shown in groups
_BAD = 5  # of many members in one state so many are shown
_SLOW = 3
_SLOWER = 10_000_000  # a straggler takes this much longer than most, and half as long again


def text(found: "Told", screen: Screen, now: Micros, cluster: str) -> str:
    """The whole, each part after an empty line.

    :param now: to when what goes on is counted.
    :param cluster: what people call the cluster; empty where there is only one.
    """
    times = ShortTimes(screen.now())

    def short(at: Micros) -> str:
        return times(at).removesuffix(".000")

    parts = [_head(found, screen, now, short, cluster)]
    if found.phases:
        parts.append(_phase_table(found.phases, screen, now, short))
    if found.branches:
        parts.append(_tree_table(found.branches, screen, now, short))
    return "\n".join(parts)


def _head(found: "Told", screen: Screen, now: Micros, short: Short, cluster: str) -> str:
    run = found.run
    took = _took(run.created, run.finished, now)
    words = [("namespace", run.namespace), ("cluster", cluster), ("pipeline", run.pipeline), ("queue", run.queue)]
    lines = [Cell(f"{clean(run.name)}: {run.system}, {run.state} after {took}", _COLOURS.get(run.state), bold=True)]
    lines += [Cell(" · ".join(f"{name} {clean(value)}" for name, value in words if value))]
    times = [("created", run.created), ("started", run.started), ("finished", run.finished)]
    said = [f"{name} {short(at)}" for name, at in times if at is not None]
    said += [f"{run.attempts} attempts"] if run.attempts > 1 else []
    said += [f"{run.restarts} restart{'s' if run.restarts > 1 else ''}"] if run.restarts else []
    lines += [Cell(" · ".join(said)), Cell(f"id {clean(run.id)}", dim=True)]
    lines += [Cell(clean(run.why), "yellow")] if run.why else []
    table = Table([Column("", cut="end")], screen.width, screen.colour, header=False)
    return table.lines([cell] for cell in lines if cell.text)


def _phase_table(phases: "Sequence[Phase]", screen: Screen, now: Micros, short: Short) -> str:
    if len(phases) > _PHASES_FULL:
        return _totals(phases, screen, now, short)
    columns = [Column("PHASE"), Column("SINCE"), Column("TOOK", right=True), Column("WHY", cut="end")]
    rows: list[Row] = []
    for phase in phases:
        took = _took(phase.since, phase.until, now)
        rows.append([Cell(phase.name, _PHASES.get(phase.name)), short(phase.since), took, clean(phase.why)])
    return Table(columns, screen.width, screen.colour).lines(rows)


def _totals(phases: "Sequence[Phase]", screen: Screen, now: Micros, short: Short) -> str:
    """Many phases: each kind once, with the longest of it; and the one that goes on."""
    columns = [Column("PHASE"), Column("TIMES", right=True), Column("TOOK", right=True), Column("LONGEST", right=True)]
    columns += [Column("SINCE"), Column("WHY", cut="end")]
    rows: list[Row] = []
    for name in dict.fromkeys(phase.name for phase in phases):
        same = [phase for phase in phases if phase.name == name]
        lengths = [(phase.until if phase.until is not None else now) - phase.since for phase in same]
        longest = same[lengths.index(max(lengths))]
        shown = same[-1] if same[-1].until is None else longest
        row = [str(len(same)), age_words(sum(lengths)), age_words(max(lengths)), short(shown.since), clean(shown.why)]
        going = "…" if same[-1].until is None else ""
        rows.append([Cell(name + going, _PHASES.get(name)), *row])
    return Table(columns, screen.width, screen.colour).lines(rows)


def _tree_table(branches: "Sequence[Branch]", screen: Screen, now: Micros, short: Short) -> str:
    columns = [Column("STEP"), Column("STATE"), Column("STARTED"), Column("TOOK", right=True)]
    columns += [Column("RESTARTS", right=True), Column("NODE", 16, "middle"), Column("POD", 30, "middle")]
    columns += [Column("WHY", cut="end")]
    rows = _Rows(now, short, screen.width * _STEP // 100 if screen.width else 0)
    for branch in branches:
        rows.branch(branch)
    used = [i for i in range(len(columns)) if any(_shown(row[i]) for row in rows.found)]
    table = Table([columns[i] for i in used], screen.width, screen.colour)
    return table.lines([row[i] for i in used] for row in rows.found)


def _shown(cell: Cell | str) -> str:
    return cell if isinstance(cell, str) else cell.text


class _Rows:
    """The rows of the tree. What there is only one of does not get a row of its own."""

    def __init__(self, now: Micros, short: Short, widest: int) -> None:
        self.found: list[Sequence[Cell | str]] = []
        self._now = now
        self._short = short
        self._widest = widest

    def branch(self, branch: "Branch") -> None:
        """A step and what is below it."""
        step, tries = branch.step, branch.tries
        if len(tries) == 1 and len(tries[0].leaves) == 1:
            self._leaf(clean(step.name), tries[0].leaves[0], step.state)
            return
        # A pod that stays when its run is over keeps no step going that its system calls done.
        self._row(clean(step.name), step.state, branch.times, step.restarts)
        if len(tries) == 1:
            self._leaves("", tries[0])
            return
        for number, each in enumerate(tries):
            last = number == len(tries) - 1
            lead = "└ " if last else "├ "
            title = f"{lead}try {each.number}"
            if len(each.leaves) == 1:
                self._leaf(title, each.leaves[0])
                continue
            self._row(title, each.state, each.times, each.restarts)
            self._leaves("  " if last else "│ ", each)

    def _leaves(self, indent: str, each: "Try") -> None:
        """The members of a try; of many only failures, what is late, and how many others are like them."""
        lines = list(_chosen(each.leaves, self._now))
        ranks = Counter(leaf.replica for leaf in each.leaves)
        for number, (leaf, same) in enumerate(lines):
            lead = indent + ("└ " if number == len(lines) - 1 else "├ ")
            if not same:
                name = leaf.replica if ranks[leaf.replica] == 1 and leaf.replica else leaf.pod
                self._leaf(lead + clean(name), leaf)
                continue
            self.found.append(self._like(lead, leaf, same))

    def _like(self, lead: str, leaf: "Leaf", same: "Sequence[Leaf]") -> Sequence[Cell | str]:
        took = sorted(_length(each.times, self._now) for each in same)
        least, most = age_words(took[0]), age_words(took[-1])
        nodes = len({each.node for each in same if each.node})
        first = min((each.times.started for each in same if each.times.started is not None), default=None)
        since = self._short(first) if first is not None else "-"
        restarts = sum(each.restarts for each in same)
        where = f"{nodes} node{'s' if nodes != 1 else ''}"
        title = Cell(f"{lead}{len(same):,} more", dim=True)
        whys = list(dict.fromkeys(clean(each.why) for each in same if each.why))[:1]
        whys += [f"took {least} to {most}"] if least != most and leaf.times.finished is not None else []
        return [title, _state(leaf.state), since, most, str(restarts or ""), where, "", "; ".join(whys)]

    def _leaf(self, title: str, leaf: "Leaf", state: str = "") -> None:
        self._row(title, state or leaf.state, leaf.times, leaf.restarts, leaf)

    def _row(self, title: str, state: str, times: "Times", restarts: int, leaf: "Leaf | None" = None) -> None:
        since = self._short(times.started) if times.started is not None else "-"
        took = _took(times.started, times.finished, self._now)
        title = cut_to(title, self._widest, "middle") if self._widest else title
        row: list[Cell | str] = [title, _state(state), since, took, str(restarts or "")]
        if leaf is not None:
            row += [clean(leaf.node) or "-", Cell(clean(leaf.pod), dim=True), clean(leaf.why)]
        self.found.append(row if leaf is not None else [*row, "", "", ""])


def _chosen(leaves: "Sequence[Leaf]", now: Micros) -> "Iterator[tuple[Leaf, Sequence[Leaf]]]":
    """Which members to show: each by itself, or the first of some that are alike with all of those."""
    if len(leaves) <= _FULL:
        yield from ((leaf, ()) for leaf in leaves)
        return
    states = dict.fromkeys((*_ORDER, *(leaf.state for leaf in leaves)))
    for state in states:
        same = [leaf for leaf in leaves if leaf.state == state]
        bad = state in ("Failed", "Cancelled", "Unknown", "Pending")
        shown = same if len(same) <= _BAD else same[:_BAD] if bad else _late(same, now)
        yield from ((leaf, ()) for leaf in shown)
        rest = [leaf for leaf in same if leaf not in shown]
        if rest:
            yield rest[0], rest


def _late(leaves: "Sequence[Leaf]", now: Micros) -> "list[Leaf]":
    """Those that took much longer than most; of those that still run those that started much later."""
    first = min((leaf.times.started for leaf in leaves if leaf.times.started is not None), default=now)

    def lateness(leaf: "Leaf") -> Micros:
        times = leaf.times
        return _length(times, now) if times.finished is not None else (times.started or now) - first

    ordered = sorted(leaves, key=lateness)
    middle = lateness(ordered[len(ordered) // 2])
    bound = max(middle + _SLOWER, middle * 3 // 2)
    return [leaf for leaf in reversed(ordered[-_SLOW:]) if lateness(leaf) > bound]


def _state(state: str) -> Cell:
    return Cell(state, _COLOURS.get(state))


def _length(times: "Times", now: Micros) -> Micros:
    if times.started is None:
        return 0
    return max(0, (times.finished if times.finished is not None else now) - times.started)


def _took(since: Micros | None, until: Micros | None, now: Micros) -> str:
    """How long something took; ``…`` says that it goes on."""
    if since is None:
        return "-"
    return age_words(until - since) if until is not None else f"{age_words(now - since)}…"
