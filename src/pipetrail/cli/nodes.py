"""``pipetrail nodes``: which nodes fail more than others would with the same work, and what happened to them."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from pipetrail.cli import options
from pipetrail.cli.events import cluster_ids
from pipetrail.cli.fleet_shapes import node_shape
from pipetrail.cli.render import TIMES, print_blocks, stdout, yaml_documents
from pipetrail.cli.screen import Screen
from pipetrail.cli.shapes import json_lines
from pipetrail.cli.table import Cell, Column, Row, Table, wrapped
from pipetrail.cli.words import clean
from pipetrail.model import Micros

if TYPE_CHECKING:
    from pipetrail.app.nodes import Ranked

_NARROW = 100
_LEAST = 0.0001  # a smaller chance is only said to be smaller
_COLOURS = {"lemon": "red", "suspect": "yellow"}
_FACTS = {
    "not_ready": "not ready",
    "rebooted": "rebooted",
    "gpu": "GPU fault",
    "hardware": "hardware fault",
    "disk_pressure": "short of disk",
    "memory_pressure": "short of memory",
    "runtime": "kubelet or runtime trouble",
    "spot": "spot notice",
    "drained": "drained",
}
_EXCUSES = {
    "user": "known to be the program's or its configuration's",
    "announced": "announced before (spot, drain)",
    "followed": "after another of the same gang",
    "repeated": "the same on two nodes of the run",
    "together": "lost at once with another run",
}


@click.command()
@options.several("--cluster", metavar="NAME", help="Only these clusters, by name or id.")
@click.option(
    "--since", type=options.When(), help="Only pods that ended since, and what happened since: 30d, yesterday."
)
@options.output("table", "json", "yaml")
@options.configured_journal
def nodes(
    journal: str,
    resolvers: tuple[dict[str, object], ...],
    cluster: tuple[str, ...],
    since: Micros | None,
    output: str,
) -> None:
    """Rank nodes by the runs that failed on them, against what others would have with the same pipelines.

    \b
    pipetrail nodes --since 30d
    pipetrail nodes -o json | jq 'select(.verdict == "lemon") | {node, failed, expected, xids}'
    """
    from pipetrail.app.nodes import ranked
    from pipetrail.catalogue import load
    from pipetrail.stores.sqlite.reading import JournalReader
    from pipetrail.stores.sqlite.summary import labels

    screen = Screen.current()
    with JournalReader(journal) as reader:
        known = labels(reader)
        found = ranked(reader, load(), screen.now(), resolvers, clusters=cluster_ids(cluster, known), since=since)
    several = len({each.cluster for each in found}) > 1
    encode: Callable[[Sequence[Ranked]], bytes]
    if output == "json":
        encode = _json
    elif output == "yaml":
        encode = _yaml
    else:
        encode = NodeTable(screen, known if several else None).block
    if not print_blocks(found, encode):
        if output == "table":
            click.echo("No pod of a run ended on a node, and nothing happened to one.", err=True)
    elif output == "table":
        stdout().write(_notes(found, screen).encode())


def _json(found: "Sequence[Ranked]") -> bytes:
    return json_lines([node_shape(each) for each in found])


def _yaml(found: "Sequence[Ranked]") -> bytes:
    return yaml_documents([node_shape(each) for each in found])


class NodeTable:
    """Nodes for people, one line each.

    :param clusters: what people call the clusters, by id; None leaves the column out.
    """

    def __init__(self, screen: Screen, clusters: dict[str, str] | None = None) -> None:
        self._clusters = clusters
        self._narrow = 0 < screen.width < _NARROW
        columns = [Column("CLUSTER", 15, "end")] if clusters is not None else []
        columns += [Column("NODE", 24, "middle"), Column("VERDICT")]
        columns += [] if self._narrow else [Column("RUNS", right=True), Column("PODS", right=True)]
        columns += [Column("FAILED", right=True), Column("EXPECTED", right=True), Column("TIMES", right=True)]
        columns += [] if self._narrow else [Column("95 %", right=True)]
        columns += [Column("CHANCE", right=True), Column("HAPPENED", 100, "end")]
        self._table = Table(columns, screen.width, screen.colour)

    def block(self, found: "Sequence[Ranked]") -> bytes:
        """The lines of some nodes."""
        return self._table.lines([self._row(each) for each in found]).encode()

    def _row(self, each: "Ranked") -> Row:
        standing, tally = each.standing, each.tally
        row: list[Cell | str] = []
        if self._clusters is not None:
            row.append(clean(self._clusters.get(each.cluster, each.cluster)))
        row += [clean(standing.node), Cell(standing.verdict, _COLOURS.get(standing.verdict))]
        if not self._narrow:
            row += [str(tally.runs), str(tally.attempts)]
        if standing.ratio is None or standing.low is None or standing.high is None:
            row += ["-"] * (4 if self._narrow else 5)
        else:
            row += [f"{standing.failed}/{standing.compared}", f"{standing.expected:.1f}", f"{standing.ratio:.1f}"]
            row += [] if self._narrow else [f"{standing.low:.1f}-{standing.high:.1f}"]
            row.append(_chance(standing.q))
        return [*row, _happened(each)]


def _chance(q: float | None) -> str:
    return "-" if q is None else f"<{_LEAST:.4f}" if q < _LEAST else f"{q:.4f}" if q < 0.01 else f"{q:.2f}"


def _happened(each: "Ranked") -> str:
    facts = each.facts
    words = []
    for name, title in _FACTS.items():
        count = facts.counts.get(name, 0)
        if name == "gpu" and facts.xids:
            codes = ", ".join(f"{code} {TIMES}{seen}" if seen > 1 else code for code, seen in facts.xids.items())
            words.append(f"Xid {clean(codes)}")
            count -= sum(facts.xids.values())
        if count > 0:
            words.append(f"{title} {TIMES}{count}" if count > 1 else title)
    return "; ".join(words)


def _notes(found: "Sequence[Ranked]", screen: Screen) -> str:
    """What the columns mean, and what is not held against any node."""
    from pipetrail.analysis.lemons import FOLD, LEAST_RUNS, LEVEL, SUSPICION

    tested = sum(each.standing.p is not None for each in found)
    excused: Counter[str] = Counter()
    for each in found:
        excused.update(each.tally.excused)
    texts = [
        "FAILED: the runs that failed on the node, of all that it had of pipelines that also ran elsewhere and neither"
        " always fail nor never. EXPECTED: how many it would be at the rate of each pipeline on all nodes. TIMES: the"
        " ratio; its interval is exact (Poisson, 95 %). CHANCE: that of so many or more on a node like the others,"
        f" exact by pipeline, corrected for {tested} node{'s' if tested != 1 else ''} (Benjamini-Hochberg)."
        f" lemon: CHANCE up to {LEVEL} and at least {LEAST_RUNS} failed runs. suspect: CHANCE up to {SUSPICION}."
        f" ordinary: {FOLD} times the failures of others can be ruled out. few data: neither can be told."
    ]
    if excused:
        parts = [f"{excused[name]} {title}" for name, title in _EXCUSES.items() if excused[name]]
        texts.append(f"Failed pods that are not held against a node: {', '.join(parts)}.")
    width = screen.width or 120
    lines = [line for text in texts for line in wrapped(text, width)]
    shown = [click.style(line, dim=True) if screen.colour else line for line in lines]
    return "\n" + "\n".join(shown) + "\n"
