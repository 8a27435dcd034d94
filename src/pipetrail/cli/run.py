"""``pipetrail run``: one run as a tree of steps, tries and pods, and how long each of its phases took."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipetrail.cli import options
from pipetrail.cli.choosing import the_run
from pipetrail.cli.events import cluster_ids
from pipetrail.cli.render import EventTable, stdout, yaml_documents
from pipetrail.cli.screen import Screen
from pipetrail.cli.shapes import json_lines, whole_run_shape
from pipetrail.cli.table import cut_to
from pipetrail.cli.words import clean

if TYPE_CHECKING:
    from pipetrail.app.causes import Causes
    from pipetrail.app.run import Told


@click.command()
@click.argument("name")
@options.several("--cluster", metavar="NAME", help="Only in these clusters, by name or id.")
@options.several("-n", "--namespace", metavar="NAME", help="Only in these namespaces.")
@click.option("--events", is_flag=True, help="Its events too, between the beginnings of its phases.")
@options.output("tree", "json", "yaml")
@options.diagnosing_journal
def run(
    journal: str,
    resolvers: tuple[dict[str, object], ...],
    patience: options.Patience,
    catalogue: Path | None,
    name: str,
    cluster: tuple[str, ...],
    namespace: tuple[str, ...],
    events: bool,
    output: str,
) -> None:
    """Show one run: its steps, tries and pods, and how long it was queued, waited, pulled, ran and was interrupted.

    NAME is the run's name or id, or namespace/name; the name or uid of one of its objects will do too.

    \b
    pipetrail run ranker-train-9fz4d
    pipetrail run ml/sweep-88 --events
    pipetrail run sweep-88 -o json | jq '.phases[] | {name, seconds, why}'
    """
    from pipetrail.app.causes import causes
    from pipetrail.app.reading import Patience, RunReader
    from pipetrail.app.run import told
    from pipetrail.catalogue import load
    from pipetrail.stores.sqlite.reading import JournalReader
    from pipetrail.stores.sqlite.summary import labels

    screen = Screen.current()
    with JournalReader(journal) as reader:
        known = labels(reader)
        chosen = the_run(
            reader,
            name,
            screen.now(),
            resolvers,
            known=known,
            clusters=cluster_ids(cluster, known),
            namespaces=namespace,
            patience=patience,
        )
        found = told(reader, chosen)
        verdicts: Causes = {}
        if output != "tree":
            verdicts = causes(
                reader,
                [found.run],
                lambda: RunReader(reader, screen.now(), resolvers, patience=Patience(**patience)),
                lambda: load(catalogue),
            )
        several = len({state.cluster for state in reader.sources()}) > 1
    out = stdout()
    verdict = verdicts.get((found.run.cluster, found.run.id))
    if output == "json":
        out.write(json_lines([whole_run_shape(found, verdict, events)]))
        return
    if output == "yaml":
        out.write(yaml_documents([whole_run_shape(found, verdict, events)]))
        return
    from pipetrail.cli.runtree import text

    place = clean(known.get(found.run.cluster, found.run.cluster)) if several else ""
    out.write(text(found, screen, chosen.now, place).encode())
    if events:
        out.write(b"\nEVENTS\n" + _timeline(found, screen))


def _timeline(found: "Told", screen: Screen) -> bytes:
    """The events in order of time, with a line where each phase of the run begins."""
    table = EventTable(screen, namespace=False)
    # Laid out once as a whole for the widths of the columns; the header comes with the first block.
    parts = [table.block(found.events).partition(b"\n")[0] + b"\n"]
    rest = list(found.events)
    for phase in (*found.phases, None):
        count = next((i for i, event in enumerate(rest) if phase is not None and event.at >= phase.since), len(rest))
        if rest[:count]:
            parts.append(table.block(rest[:count]))
            rest = rest[count:]
        if phase is not None:
            line = f"── {phase.name}" + (f": {clean(phase.why)}" if phase.why else "")
            shown = cut_to(line, screen.width) if screen.width else line
            parts.append(f"{click.style(shown, fg='cyan') if screen.colour else shown}\n".encode())
    return b"".join(parts)
