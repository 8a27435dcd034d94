"""``pipetrail events``: what happened, from the journal; with ``--follow`` what happens."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click
import msgspec

from pipetrail.cli import options
from pipetrail.cli.failures import FAILED, Failure
from pipetrail.cli.render import (
    CsvEvents,
    EventNames,
    EventTable,
    JsonEvents,
    Printer,
    YamlEvents,
    print_blocks,
    stdout,
)
from pipetrail.cli.screen import Screen
from pipetrail.model import Event, ObjectQuery, Query

if TYPE_CHECKING:
    from pipetrail.app.runs import LiveRuns
    from pipetrail.stores.sqlite import JournalReader

_NEWEST = 500  # on a terminal
_FOLLOW_NEWEST = 20
_POLL_SECONDS = 0.25


@click.command()
@options.event_filters
@options.several("--pipeline", metavar="NAME", help="Only events of runs of these pipelines; see `pipetrail runs`.")
@click.option("-f", "--follow", is_flag=True, help="Go on with new events as they are stored, until Ctrl-C.")
@click.option(
    "--newest",
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"Only the last N; 0: all. Default: all; for a table on a terminal {_NEWEST}, with --follow {_FOLLOW_NEWEST}.",
)
@options.output("table", "wide", "json", "yaml", "name", "csv")
@options.configured_journal
def events(
    journal: str,
    resolvers: tuple[dict[str, object], ...],
    query: Query,
    asked: str,
    pipeline: tuple[str, ...],
    follow: bool,
    newest: int | None,
    output: str,
) -> None:
    """Show what happened, by time.

    OBJECT is kind/name or namespace/kind/name, with kubectl's short names for kinds: po/train-0, ml/job/train.

    \b
    pipetrail events --since 2h --severity warning,error
    pipetrail events ml/pod/train-0 -o wide
    pipetrail events -n ml --kind pod --reason OOMKilled -o json
    pipetrail events --text "failed to pull" --follow

    \b
    Marks: ! warning, ✗ error; a message with ×4 came four times.
    """  # noqa: RUF002
    from pipetrail.stores.sqlite.reading import JournalReader

    screen = Screen.current()
    with JournalReader(journal) as reader:
        query, names = with_clusters(reader, query)
        printer = _printer(output, screen, query, names, reader)
        table = screen if output in ("table", "wide") else None
        runs = None
        if pipeline:
            from pipetrail.app.runs import LiveRuns

            runs = PipelineRuns(LiveRuns(reader, resolvers, query.clusters), screen, pipeline, query.runs)
            query = msgspec.structs.replace(query, runs=runs.ids())
            if not query.runs and table is not None:
                click.echo("No such run of this pipeline was recorded; see `pipetrail runs`.", err=True)
        if follow:
            _follow(reader, query, newest, printer, runs)
            return
        if runs is not None and not query.runs:
            stdout().write(printer.start())
            return
        shown = _list(reader, query, newest, printer, table)
        if not shown and asked and not _is_known(reader, query):
            raise Failure(f"{asked}: {journal} holds neither this object nor an event about it", FAILED)


class PipelineRuns:
    """The runs of some pipelines, which the events of a journal know by their ids only.

    :param named: ids and names of runs; where some are given, only these runs.
    """

    def __init__(self, live: "LiveRuns", screen: Screen, pipelines: tuple[str, ...], named: tuple[str, ...]) -> None:
        self._live = live
        self._screen = screen
        self._pipelines = pipelines
        self._named = named

    def ids(self) -> tuple[str, ...]:
        """The ids of the runs that there are now."""
        found = (run for run in self._live.runs(self._screen.now()) if run.pipeline in self._pipelines)
        named = self._named
        return tuple(dict.fromkeys(run.id for run in found if not named or run.id in named or run.name in named))

    def fresh(self, known: tuple[str, ...]) -> tuple[str, ...]:
        """Those that are not known yet, as far as it is time to look."""
        return tuple(set(self.ids()).difference(known)) if self._live.changed() else ()


def with_clusters(reader: "JournalReader", query: Query) -> tuple[Query, dict[str, str] | None]:
    """The query with clusters by their ids, and what people call them where the answer can hold several."""
    from pipetrail.stores.sqlite.summary import labels

    known = labels(reader)
    several = len({state.cluster for state in reader.sources()}) > 1 and len(query.clusters) != 1
    query = msgspec.structs.replace(query, clusters=cluster_ids(query.clusters, known))
    return query, known if several else None


def cluster_ids(words: tuple[str, ...], known: dict[str, str]) -> tuple[str, ...]:
    """The ids of clusters that are named by id or by what people call them."""
    found = [id_ for word in words for id_ in (word, *(number for number, label in known.items() if label == word))]
    return tuple(dict.fromkeys(found))


def _printer(
    output: str, screen: Screen, query: Query, clusters: dict[str, str] | None, reader: "JournalReader"
) -> Printer:
    match output:
        case "json" | "yaml":

            def newer(event: Event) -> str | None:
                if event.origin != "verdict":
                    return None
                from pipetrail.app.causes import newer as found  # brings the diagnosis with it

                return found(reader, event)

            return JsonEvents(newer) if output == "json" else YamlEvents(newer)
        case "csv":
            return CsvEvents()
        case "name":
            return EventNames()
    return EventTable(screen, wide=output == "wide", namespace=len(query.namespaces) != 1, clusters=clusters)


def _list(reader: "JournalReader", query: Query, newest: int | None, printer: Printer, screen: Screen | None) -> int:
    """Print what matches; returns how much it was. ``screen`` is that of a table, which has a bound on a terminal."""
    if newest is None and screen is not None and screen.terminal:
        found = list(reader.events(msgspec.structs.replace(query, newest=_NEWEST + 1)))
        if len(found) > _NEWEST:
            click.echo(f"The last {_NEWEST} of {_how_many(reader, query)} events; all: --newest 0", err=True)
        matching: Iterator[Event] = iter(found[-_NEWEST:])
    else:
        matching = reader.events(msgspec.structs.replace(query, newest=newest or 0))
    stdout().write(printer.start())
    shown = print_blocks(matching, printer.block)
    if not shown and screen is not None:
        click.echo("No events match.", err=True)
    return shown


def _how_many(reader: "JournalReader", query: Query) -> str:
    """How many events match, where that is known without counting them."""
    from pipetrail.stores.sqlite.summary import summary

    return f"{summary(reader).events:,}" if query == Query() else "more"


def _is_known(reader: "JournalReader", query: Query) -> bool:
    """Whether there is an object that the query names."""
    wanted = ObjectQuery(
        clusters=query.clusters, namespaces=query.namespaces, kinds=query.kinds, names=query.names, uids=query.uids
    )
    return next(iter(reader.objects(wanted)), None) is not None


def _follow(
    reader: "JournalReader", query: Query, newest: int | None, printer: Printer, runs: PipelineRuns | None
) -> None:
    """Print what is there, then what comes, by ``seq``: so nothing is left out that is stored late. Ends on Ctrl-C.

    :param runs: where only the runs of pipelines are asked for: the query has the ids of those that there are.
    """
    out = stdout()
    seen = 0

    def show(events: Sequence[Event]) -> bytes:
        nonlocal seen
        seen = max(seen, *(event.seq for event in events))
        return printer.block(events)

    try:
        begun = seen = reader.last_seq()
        if newest is None and query.since is None:
            newest = _FOLLOW_NEWEST
        before = reader.events(msgspec.structs.replace(query, newest=newest or 0))
        out.write(printer.start())
        if query.runs or runs is None:
            print_blocks((event for event in before if event.seq <= begun), printer.block)
        out.flush()
        while True:
            last = reader.last_seq()
            fresh = runs.fresh(query.runs) if runs is not None else ()
            if fresh or (query.runs and last > seen):
                print_blocks(_late(reader, query, fresh, begun, seen), printer.block)
                query = msgspec.structs.replace(query, runs=(*query.runs, *fresh))
            if last > seen:
                if query.runs or runs is None:
                    print_blocks(reader.events(msgspec.structs.replace(query, after_seq=seen, order="seq")), show)
                seen = max(seen, last)
            time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        return


def _late(reader: "JournalReader", query: Query, fresh: tuple[str, ...], begun: int, seen: int) -> list[Event]:
    """Events that were passed over, and turn out to be of a run that is asked for.

    Their links may come after them, and so may the objects that tell the pipeline of a run.

    :param fresh: the runs that are new in the answer.
    :param begun: where the following began; what a new run left before that is not shown, as of the other runs.
    """
    found: dict[int, Event] = {}
    known = query.runs
    if known and seen:
        for event in reader.events(msgspec.structs.replace(query, raised_after=seen, order="seq")):
            found[event.seq] = event
    if fresh:
        for event in reader.events(msgspec.structs.replace(query, runs=fresh, after_seq=begun, order="seq")):
            if not any(link.run in known for link in event.links):
                found[event.seq] = event
    return [found[seq] for seq in sorted(found) if seq <= seen]
