"""``pipetrail status``: what is recorded, how far it got, what was missed, what is lacking."""

from collections.abc import Sequence

import click
import msgspec

from pipetrail.cli import options
from pipetrail.cli.render import stdout, yaml_documents
from pipetrail.cli.screen import Screen
from pipetrail.cli.shapes import GapShape, SourceShape, json_lines
from pipetrail.cli.table import Cell, Column, Table, coloured
from pipetrail.cli.words import ShortTimes, age_words, clean, size_words
from pipetrail.model import Gap, Micros, SourceState, format_time
from pipetrail.model.times import SECOND
from pipetrail.stores.sqlite.summary import Prune, Summary

_COLOURS = {"watching": "green", "blind": "red", "forbidden": "yellow", "listing": "cyan"}
_GAPS_SHOWN = 20
_PRUNES_SHOWN = 5
_LATE_SECONDS = 300  # a quiet watch is confirmed when it ends, each few minutes


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that a status is made of. ``writer`` is the process that writes the journal, None for nobody."""

    path: str
    sources: list[SourceState]
    gaps: list[Gap]
    labels: dict[str, str]
    summary: Summary
    writer: int | None


@click.command()
@options.output("table", "json", "yaml")
@options.journal_options
def status(journal: str, output: str) -> None:
    """Show for each cluster and kind how far the record got, its gaps and missing rights; and the journal's size.

    As JSON: one line for each source, as the reference describes it.
    """
    from pipetrail.stores.sqlite.reading import JournalReader
    from pipetrail.stores.sqlite.summary import labels, summary, writer_of

    screen = Screen.current()
    with JournalReader(journal) as reader:
        report = Report(
            path=journal,
            sources=sorted(reader.sources(), key=lambda source: (source.cluster, source.resource)),
            gaps=reader.gaps(),
            labels=labels(reader),
            summary=summary(reader),
            writer=writer_of(journal),
        )
    if output == "table":
        text = "\n".join(part for part in _parts(report, screen) if part)
        stdout().write(text.encode())
        return
    shapes = source_shapes(report, screen.now())
    stdout().write(json_lines(shapes) if output == "json" else yaml_documents(shapes))


def lag_of(source: SourceState, now: Micros) -> float | None:
    """For how many seconds nothing was heard for a source: what it does not know yet is no older than that."""
    return None if source.alive_at is None else round(max(0, now - source.alive_at) / SECOND, 3)


def source_shapes(report: Report, now: Micros) -> list[SourceShape]:
    """The JSON lines of a report."""
    return [
        SourceShape(
            source.cluster,
            source.resource,
            source.state,
            source.position,
            None if source.last_event_at is None else format_time(source.last_event_at),
            lag_of(source, now),
            source.events,
            [
                GapShape(
                    None if gap.since is None else format_time(gap.since), format_time(gap.until), gap.reason, gap.loss
                )
                for gap in report.gaps
                if (gap.cluster, gap.resource) == (source.cluster, source.resource)
            ],
            source.missing_rights,
            source.reason,
            None if source.alive_at is None else format_time(source.alive_at),
        )
        for source in report.sources
    ]


def _parts(report: Report, screen: Screen) -> list[str]:
    """The sections of the table, in order; empty ones have nothing to say."""
    now = screen.now()
    short = ShortTimes(now)
    clusters = list(dict.fromkeys(source.cluster for source in report.sources))
    parts = [_recorder(report, screen)]
    for cluster in clusters:
        sources = [source for source in report.sources if source.cluster == cluster]
        parts.append(_cluster(report, cluster, sources, screen, short, now))
    if not clusters:
        parts.append("Nothing was recorded yet.\n")
    parts += [_rights(report, screen), _gaps(report, len(clusters) > 1, screen, short)]
    return [*parts, _journal(report.path, report.summary, short)]


def _recorder(report: Report, screen: Screen) -> str:
    if report.writer is not None:
        who = f" (process {report.writer})" if report.writer else ""
        return coloured(f"A recorder is running{who}.\n", "green", screen)
    if report.sources and all(source.state == "played" for source in report.sources):
        return "No recorder is running: this journal was played from recordings.\n"
    return coloured("NO RECORDER IS RUNNING: nothing is being recorded now.\n", "red", screen)


def _cluster(
    report: Report, cluster: str, sources: Sequence[SourceState], screen: Screen, short: ShortTimes, now: Micros
) -> str:
    label = report.labels.get(cluster)
    title = f"{clean(label)} ({clean(cluster)})" if label and label != cluster else clean(cluster)
    table = Table(
        [
            Column("RESOURCE", 30, "middle"),
            Column("STATE"),
            Column("LAST EVENT"),
            Column("LAG", right=True),
            Column("EVENTS", right=True),
            Column("GAPS", right=True),
            Column("POSITION", 100, "end"),
        ],
        screen.width,
        screen.colour,
    )
    rows: list[list[Cell | str]] = []
    for source in sources:
        count = sum((gap.cluster, gap.resource) == (cluster, source.resource) for gap in report.gaps)
        lag = lag_of(source, now) if source.state != "played" else None
        late = lag is not None and lag > _LATE_SECONDS
        rows.append(
            [
                clean(source.resource),
                _state(source, report.writer is not None),
                "-" if source.last_event_at is None else short(source.last_event_at),
                Cell("-" if lag is None else age_words(int(lag * SECOND)), "red" if late else None),
                f"{source.events:,}",
                Cell(str(count) if count else "-", "yellow" if count else None),
                clean(source.position or "") or "-",
            ]
        )
    reasons = [
        f"  {clean(source.resource)}: {clean(source.reason)}\n"
        for source in sources
        if source.reason and source.state != "watching"
    ]
    return _bold(f"Cluster {title}\n", screen) + table.lines(rows) + "".join(reasons)


def _state(source: SourceState, running: bool) -> Cell:
    if not running and source.state in ("watching", "listing", "blind"):
        return Cell(f"was {source.state}", "yellow")  # the last that a recorder said of it
    return Cell(source.state, _COLOURS.get(source.state))


def _rights(report: Report, screen: Screen) -> str:
    missing = [
        f"  {clean(source.resource)}: {clean(right)}\n" for source in report.sources for right in source.missing_rights
    ]
    return _bold("Missing rights\n", screen) + "".join(missing) if missing else ""


def _gaps(report: Report, several: bool, screen: Screen, short: ShortTimes) -> str:
    if not report.gaps:
        return ""
    columns = [Column("CLUSTER", 15, "end")] if several else []
    columns += [Column("RESOURCE", 25, "middle"), Column("FROM"), Column("TO"), Column("LENGTH", right=True)]
    table = Table([*columns, Column("LOSS"), Column("REASON", 100, "end")], screen.width, screen.colour)
    rows = []
    for gap in report.gaps[-_GAPS_SHOWN:]:
        row: list[Cell | str] = [clean(report.labels.get(gap.cluster, gap.cluster))] if several else []
        row += [
            clean(gap.resource),
            "the beginning" if gap.since is None else short(gap.since),
            short(gap.until),
            "-" if gap.since is None else age_words(gap.until - gap.since),
            Cell(gap.loss, "yellow" if gap.loss == "possible" and gap.since is not None else None),
            clean(gap.reason),
        ]
        rows.append(row)
    earlier = len(report.gaps) - len(rows)
    title = f"Gaps (the last {len(rows)} of {len(report.gaps)}; all: -o json)\n" if earlier > 0 else "Gaps\n"
    return _bold(title, screen) + table.lines(rows)


def _journal(path: str, found: Summary, short: ShortTimes) -> str:
    lines = [f"Journal {clean(path)}"]
    free = max(0, found.size - found.used)
    lines.append(
        f"  {size_words(found.size)}" + (f", of which {size_words(free)} free" if free * 10 > found.size else "")
    )
    if found.oldest is not None and found.newest is not None:
        lines.append(f"  {found.events:,} events from {short(found.oldest)} to {short(found.newest)}")
    else:
        lines.append("  no events")
    lines.append(f"  {found.objects:,} objects")
    if found.rejects:
        lines.append(f"  {found.rejects:,} of the inputs could not be recorded: pipetrail rejects shows them")
    if found.prunes:
        lines.append(f"  {sum(prune.events for prune in found.prunes):,} events were pruned:")
        lines += [f"    {_pruned(prune, short)}" for prune in found.prunes[-_PRUNES_SHOWN:]]
    return "\n".join(lines) + "\n"


def _pruned(prune: Prune, short: ShortTimes) -> str:
    interval = f"from {short(prune.since)} to {short(prune.until)}"
    return f"{short(prune.at)}: {prune.events:,} events {interval}, for {prune.reason}"


def _bold(text: str, screen: Screen) -> str:
    return click.style(text, bold=True) if screen.colour else text
