"""``pipetrail diff``: what differs between a run and the last good one of its pipeline."""

from typing import TYPE_CHECKING

import click

from pipetrail.cli import options
from pipetrail.cli.choosing import the_run
from pipetrail.cli.events import cluster_ids
from pipetrail.cli.failures import FAILED, USAGE, Failure
from pipetrail.cli.fleet_shapes import diff_shape
from pipetrail.cli.render import stdout, yaml_documents
from pipetrail.cli.screen import Screen
from pipetrail.cli.shapes import json_lines
from pipetrail.cli.words import clean

if TYPE_CHECKING:
    from pipetrail.analysis.runs import Run
    from pipetrail.app.diff import Relatives


@click.command()
@click.argument("name", metavar="RUN")
@click.option(
    "--with", "other", metavar="RUN", help="Beside this run, however it ended, in place of the last good one."
)
@options.several("--cluster", metavar="NAME", help="Only in these clusters, by name or id.")
@options.several("-n", "--namespace", metavar="NAME", help="Only in these namespaces.")
@options.output("table", "json", "yaml")
@options.configured_journal
def diff(
    journal: str,
    resolvers: tuple[dict[str, object], ...],
    name: str,
    other: str | None,
    cluster: tuple[str, ...],
    namespace: tuple[str, ...],
    output: str,
) -> None:
    """Say what differs between a run and the last good run of its pipeline.

    RUN is a run's name or id, or namespace/name; the name or uid of one of its objects will do too. Runs without a
    pipeline are of one kind when their names are the same but for a number, a date or a hash behind them.

    \b
    pipetrail diff ranker-train-9fz4d
    pipetrail diff ranker-train-9fz4d --with ranker-train-7kx2p
    pipetrail diff sweep-88 -o json | jq '.differences[] | select(.what == "image")'
    """
    from pipetrail.app.diff import compared, relatives
    from pipetrail.stores.sqlite.reading import JournalReader
    from pipetrail.stores.sqlite.summary import labels

    screen = Screen.current()
    with JournalReader(journal) as reader:
        known = labels(reader)
        ids = cluster_ids(cluster, known)
        found = the_run(reader, name, screen.now(), resolvers, known=known, clusters=ids, namespaces=namespace)
        if other is None:
            kin = relatives(reader, found, resolvers)
            good = kin.good
            if good is None:
                raise Failure(_none_good(found.run, kin), FAILED)
        else:
            good = the_run(reader, other, screen.now(), resolvers, known=known, clusters=ids, namespaces=namespace)
            if (good.run.cluster, good.run.id) == (found.run.cluster, found.run.id):
                raise Failure(clean(f"{other} and {name} are the same run"), USAGE)
        told = compared(reader, found, good)
        several = len({state.cluster for state in reader.sources()}) > 1
    out = stdout()
    if output == "json":
        out.write(json_lines([diff_shape(told)]))
    elif output == "yaml":
        out.write(yaml_documents([diff_shape(told)]))
    else:
        from pipetrail.cli.difftext import text

        out.write(text(told, screen, found.now, known if several else None, chosen=other is not None).encode())


def _none_good(run: "Run", kin: "Relatives") -> str:
    """Why there is nothing to compare with, and what to type."""
    what = f"pipeline {kin.called}" if kin.pipeline else f"the name {kin.called}"
    if kin.others:
        text = (
            f"{run.name}: none of the {kin.others} other runs of {what} has succeeded"
            if kin.others > 1
            else (f"{run.name}: the only other run of {what} has not succeeded")
        )
    else:
        text = f"{run.name}: the journal holds no other run of {what}"
    narrowed = f"--pipeline {kin.called}" if kin.pipeline else f"--system {run.system}"
    hint = (
        f"`pipetrail runs {narrowed} -n {run.namespace or '…'}` lists what there is, and `--with RUN` takes any of it"
    )
    return clean(f"{text}; {hint}")
