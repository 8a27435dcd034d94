"""``pipetrail runs``: what people run, rather than pods."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from pipetrail.cli import options
from pipetrail.cli.events import cluster_ids
from pipetrail.cli.render import print_blocks, yaml_documents
from pipetrail.cli.screen import Screen
from pipetrail.cli.shapes import json_lines, run_shape
from pipetrail.cli.table import Cell, Column, Row, Table
from pipetrail.cli.words import ShortTimes, age_words, clean
from pipetrail.model import Micros

if TYPE_CHECKING:
    from pipetrail.analysis.runs import Run

STATES = ("pending", "running", "succeeded", "failed", "cancelled", "preempted", "stuck", "zombie", "unknown")
_NARROW = 100  # columns of a screen that has no room for pipeline and tries
_COLOURS = {"Failed": "red", "Stuck": "red", "Zombie": "red", "Preempted": "yellow", "Pending": "yellow"}


@click.command()
@options.several("--cluster", metavar="NAME", help="Only these clusters, by name or id.")
@options.several("-n", "--namespace", metavar="NAME", help="Only these namespaces.")
@options.several("--system", metavar="NAME", help="Only runs of these systems: argo, pytorchjob, job …")
@options.several("--pipeline", metavar="NAME", help="Only runs of these pipelines.")
@options.several("--queue", metavar="NAME", help="Only runs in these queues.")
@options.several("--state", metavar="WORD", check=options.among(STATES), help=f"Only {', '.join(STATES)}.")
@click.option("--since", type=options.When(), help="Only runs that were created or ended since: 2h, yesterday, 03:12.")
@options.output("table", "json", "yaml", "name")
@options.configured_journal
def runs(
    journal: str,
    resolvers: tuple[dict[str, object], ...],
    cluster: tuple[str, ...],
    namespace: tuple[str, ...],
    system: tuple[str, ...],
    pipeline: tuple[str, ...],
    queue: tuple[str, ...],
    state: tuple[str, ...],
    since: Micros | None,
    output: str,
) -> None:
    """Show runs, the newest first: executions that a person started or a schedule fired.

    \b
    pipetrail runs --state failed --since yesterday
    pipetrail runs --system argo -o json
    pipetrail runs --queue team-a --state pending
    """
    from pipetrail.app.runs import runs_of
    from pipetrail.stores.sqlite.reading import JournalReader
    from pipetrail.stores.sqlite.summary import labels

    screen = Screen.current()
    with JournalReader(journal) as reader:
        known = labels(reader)
        found = [
            run
            for run in runs_of(reader, screen.now(), resolvers, cluster_ids(cluster, known))
            if (not namespace or run.namespace in namespace)
            and (not system or run.system in system)
            and (not pipeline or run.pipeline in pipeline)
            and (not queue or run.queue in queue)
            and (not state or run.state.lower() in state)
            and (since is None or max(run.created or 0, run.finished or 0) >= since)
        ]
    encode: Callable[[Sequence[Run]], bytes]
    match output:
        case "json":
            encode = _json
        case "yaml":
            encode = _yaml
        case "name":
            encode = _names
        case _:
            several = len({run.cluster for run in found}) > 1
            encode = RunTable(screen, known if several else None, why=any(run.why for run in found)).block
    if not print_blocks(found, encode) and output == "table":
        click.echo("No runs match.", err=True)


def _json(found: "Sequence[Run]") -> bytes:
    return json_lines([run_shape(run) for run in found])


def _yaml(found: "Sequence[Run]") -> bytes:
    return yaml_documents([run_shape(run) for run in found])


def _names(found: "Sequence[Run]") -> bytes:
    return "".join(clean(run.id) + "\n" for run in found).encode()


class RunTable:
    """Runs for people, one line each.

    :param clusters: what people call the clusters, by id; None leaves the column out.
    :param why: whether a run waits, and so has something to say about it.
    """

    def __init__(self, screen: Screen, clusters: dict[str, str] | None = None, *, why: bool = True) -> None:
        self._now = screen.now()
        self._short = ShortTimes(self._now)
        self._clusters = clusters
        self._why = why
        self._narrow = 0 < screen.width < _NARROW
        columns = [Column("CREATED"), Column("STATE"), Column("SYSTEM"), Column("NAME", 30, "middle")]
        columns += [Column("NAMESPACE", 14, "end")]
        columns += [] if self._narrow else [Column("PIPELINE", 14, "end")]
        columns += [Column("CLUSTER", 14, "end")] if clusters is not None else []
        columns += [] if self._narrow else [Column("TRIES", right=True)]
        columns += [Column("WAITED", right=True), Column("TOOK", 100, "end", right=True)]
        columns += [Column("WHY", 100, "end")] if why else []
        self._table = Table(columns, screen.width, screen.colour)

    def block(self, found: "Sequence[Run]") -> bytes:
        """The lines of some runs."""
        return self._table.lines([self._row(run) for run in found]).encode()

    def _row(self, run: "Run") -> Row:
        row: list[Cell | str] = [
            self._short(run.created) if run.created is not None else "-",
            Cell(run.state, _COLOURS.get(run.state)),
            run.system,
            clean(run.name),
            clean(run.namespace) or "-",
        ]
        if not self._narrow:
            row.append(clean(run.pipeline) or "-")
        if self._clusters is not None:
            row.append(clean(self._clusters.get(run.cluster, run.cluster)))
        if not self._narrow:
            row.append(str(run.attempts))
        row += [_between(run.created, run.started), _between(run.started, run.finished)]
        return [*row, Cell(clean(run.why), dim=True)] if self._why else row


def _between(since: Micros | None, until: Micros | None) -> str:
    return age_words(max(0, until - since)) if since is not None and until is not None else "-"
