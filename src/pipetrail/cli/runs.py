"""``pipetrail runs``: what people run, rather than pods; with ``--follow`` as it changes."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipetrail.cli import options
from pipetrail.cli.events import cluster_ids
from pipetrail.cli.render import print_blocks, yaml_documents
from pipetrail.cli.screen import Screen
from pipetrail.cli.shapes import RunShape, json_lines, run_shape
from pipetrail.cli.table import Cell, Column, Row, Table
from pipetrail.cli.words import ShortTimes, age_words, clean
from pipetrail.model import Micros

if TYPE_CHECKING:
    from pipetrail.analysis.diagnosis import Verdict
    from pipetrail.analysis.runs import Run
    from pipetrail.app.causes import Causes
    from pipetrail.app.runs import LiveRuns

STATES = ("pending", "running", "succeeded", "failed", "cancelled", "preempted", "stuck", "zombie", "unknown")
_NARROW = 100  # columns of a screen that has no room for pipeline and tries
_POLL_SECONDS = 0.25
_LABEL = re.compile(r"([\w./-]+)=([\w.-]*)", re.ASCII)
_COLOURS = {"Failed": "red", "Stuck": "red", "Zombie": "red", "Preempted": "yellow", "Pending": "yellow"}


def _labels(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Labels as ``KEY=VALUE``, several with commas between."""
    found = []
    for word in (word.strip() for part in value for word in part.split(",") if word.strip()):
        parts = _LABEL.fullmatch(word)
        if parts is None:
            raise click.BadParameter(f"{word!r} is no label: write KEY=VALUE, such as team=ranking", ctx, param)
        found.append((parts[1], parts[2]))
    return tuple(found)


@click.command()
@options.several("--cluster", metavar="NAME", help="Only these clusters, by name or id.")
@options.several("-n", "--namespace", metavar="NAME", help="Only these namespaces.")
@options.several("--system", metavar="NAME", help="Only runs of these systems: argo, pytorchjob, job …")
@options.several("--pipeline", metavar="NAME", help="Only runs of these pipelines.")
@options.several("--queue", metavar="NAME", help="Only runs in these queues.")
@options.several("--node", metavar="NAME", help="Only runs that had a pod on one of these nodes.")
@click.option(
    "-l",
    "--label",
    multiple=True,
    callback=_labels,
    metavar="KEY=VALUE",
    help="Only runs of which an object has this label; of several labels, each.",
)
@options.several("--state", metavar="WORD", check=options.among(STATES), help=f"Only {', '.join(STATES)}.")
@click.option("--since", type=options.When(), help="Only runs that were created or ended since: 2h, yesterday, 03:12.")
@click.option("-f", "--follow", is_flag=True, help="Go on with each run that is new or changes, until Ctrl-C.")
@options.output("table", "json", "yaml", "name")
@options.diagnosing_journal
def runs(
    journal: str,
    resolvers: tuple[dict[str, object], ...],
    patience: options.Patience,
    catalogue: Path | None,
    cluster: tuple[str, ...],
    namespace: tuple[str, ...],
    system: tuple[str, ...],
    pipeline: tuple[str, ...],
    queue: tuple[str, ...],
    node: tuple[str, ...],
    label: tuple[tuple[str, str], ...],
    state: tuple[str, ...],
    since: Micros | None,
    follow: bool,
    output: str,
) -> None:
    """Show runs, the newest first: executions that a person started or a schedule fired.

    \b
    pipetrail runs --state failed --since yesterday
    pipetrail runs --system argo -o json
    pipetrail runs --queue team-a --state pending
    pipetrail runs --label team=ranking --follow
    """
    from pipetrail.app.causes import causes
    from pipetrail.app.reading import Patience, RunReader
    from pipetrail.app.runs import LiveRuns
    from pipetrail.catalogue import load
    from pipetrail.stores.sqlite.reading import JournalReader
    from pipetrail.stores.sqlite.summary import labels

    def chosen(run: "Run") -> bool:
        return (
            (not namespace or run.namespace in namespace)
            and (not system or run.system in system)
            and (not pipeline or run.pipeline in pipeline)
            and (not queue or run.queue in queue)
            and (not node or not set(node).isdisjoint(run.nodes))
            and run.carried.issuperset(label)
            and (not state or run.state.lower() in state)
            and (since is None or max(run.created or 0, run.finished or 0) >= since)
        )

    screen = Screen.current()
    with JournalReader(journal) as reader:
        known = labels(reader)
        live = LiveRuns(reader, resolvers, cluster_ids(cluster, known), **patience)

        def reading() -> RunReader:
            return RunReader(reader, screen.now(), resolvers, patience=Patience(**patience))

        def told(found: "Sequence[Run]") -> "Causes":
            return causes(reader, found, reading, lambda: load(catalogue))

        if follow:
            several = len({state.cluster for state in reader.sources()}) > 1 and len(cluster) != 1
            _follow(live, screen, chosen, _encoder(output, screen, known if several else None, told, live=True))
            return
        found = [run for run in live.runs(screen.now()) if chosen(run)]
        verdicts: Causes = told(found) if output != "name" else {}
    several = len({run.cluster for run in found}) > 1
    why = bool(verdicts) or any(run.why for run in found)
    encode = _encoder(output, screen, known if several else None, lambda _: verdicts, why=why)
    if not print_blocks(found, encode) and output == "table":
        click.echo("No runs match.", err=True)


def _encoder(
    output: str,
    screen: Screen,
    clusters: dict[str, str] | None,
    told: "Callable[[Sequence[Run]], Causes]",
    *,
    why: bool = True,
    live: bool = False,
) -> "Callable[[Sequence[Run]], bytes]":
    """What makes bytes of some runs, with their causes."""

    def shapes(found: "Sequence[Run]") -> list[RunShape]:
        causes = told(found)
        return [run_shape(run, causes.get((run.cluster, run.id))) for run in found]

    match output:
        case "json":
            return lambda found: json_lines(shapes(found))
        case "yaml":
            return lambda found: yaml_documents(shapes(found))
        case "name":
            return _names
    table = RunTable(screen, clusters, why=why, live=live)
    return lambda found: table.block(found, told(found))


def _follow(
    live: "LiveRuns", screen: Screen, chosen: "Callable[[Run], bool]", encode: "Callable[[Sequence[Run]], bytes]"
) -> None:
    """Print the runs, the newest last; then each again that is new or changes. Ends on Ctrl-C."""
    told: dict[tuple[str, str, str], tuple[str, int, int] | None] = {}

    def changes() -> "Iterator[Run]":
        for run in reversed(live.runs(screen.now())):
            key = (run.cluster, run.system, run.id)
            news = (run.state, run.attempts, run.restarts) if chosen(run) else None
            if news is not None and news != told.get(key):
                yield run
            told[key] = news

    try:
        while True:
            if live.changed():
                print_blocks(changes(), encode)
            time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        return


def _names(found: "Sequence[Run]") -> bytes:
    return "".join(clean(run.id) + "\n" for run in found).encode()


class RunTable:
    """Runs for people, one line each.

    :param clusters: what people call the clusters, by id; None leaves the column out.
    :param why: whether there is something to say about one of the runs.
    :param live: whether runs come again when their state changes: then there is room for any state.
    """

    def __init__(
        self, screen: Screen, clusters: dict[str, str] | None = None, *, why: bool = True, live: bool = False
    ) -> None:
        self._now = screen.now()
        self._short = ShortTimes(self._now)
        self._clusters = clusters
        self._why = why
        self._state_width = max(map(len, STATES)) if live else 0
        self._narrow = 0 < screen.width < _NARROW
        columns = [Column("CREATED"), Column("STATE"), Column("SYSTEM"), Column("NAME", 30, "middle")]
        share = 11 if self._narrow and clusters is not None else 14
        columns += [Column("NAMESPACE", share, "end")]
        columns += [] if self._narrow else [Column("PIPELINE", 14, "end")]
        columns += [Column("CLUSTER", share, "end")] if clusters is not None else []
        columns += [] if self._narrow else [Column("TRIES", right=True)]
        columns += [] if self._narrow and why else [Column("WAITED", right=True)]
        columns += [Column("TOOK", 100, "end", right=True)]
        columns += [Column("WHY", 100, "end")] if why else []
        self._table = Table(columns, screen.width, screen.colour)

    def block(self, found: "Sequence[Run]", causes: "Causes") -> bytes:
        """The lines of some runs."""
        return self._table.lines([self._row(run, causes.get((run.cluster, run.id))) for run in found]).encode()

    def _row(self, run: "Run", verdict: "Verdict | None") -> Row:
        row: list[Cell | str] = [
            # Objects are created in whole seconds.
            self._short(run.created).removesuffix(".000") if run.created is not None else "-",
            Cell(run.state.ljust(self._state_width), _COLOURS.get(run.state)),
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
        if not (self._narrow and self._why):
            row.append(_between(run.created, run.started))
        row.append(_between(run.started, run.finished))
        return [*row, Cell(clean(_why(run, verdict)), dim=True)] if self._why else row


def _why(run: "Run", verdict: "Verdict | None") -> str:
    """What it waits for in the words of its queue or scheduler, else the cause that it failed of or got over."""
    if run.why or verdict is None or not verdict.cause:
        return run.why
    return f"got over {verdict.cause}" if verdict.recovered else verdict.cause


def _between(since: Micros | None, until: Micros | None) -> str:
    return age_words(max(0, until - since)) if since is not None and until is not None else "-"
