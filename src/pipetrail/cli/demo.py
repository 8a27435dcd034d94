"""``pipetrail demo``: the recordings that come with pipetrail, played and looked at."""

import asyncio
import os
import shutil
import sys
from importlib.resources import as_file, files
from pathlib import Path

import click

from pipetrail.model.types import Origin

_ABOUT = {
    "job-oom-backofflimit": "a training Job runs out of memory three times and gives up",
    "kueue-priority-preemption": "Kueue takes a low-priority Job's quota for an urgent one",
    "pytorchjob-node-failure": "the node under a PyTorchJob's worker dies",
    "tekton-image-pull-failed": "a pipeline step names an image that does not exist",
}
_FACTS: tuple[Origin, ...] = ("kubernetes", "status", "gap")  # a verdict is what follows from them
_TOLD = 4  # facts shown of each recording
_ORDINARY = ("ContainersNotReady", "PodFailed")  # true of every start and end


def default_journal() -> str:
    """The demonstration's own journal, beside the real one."""
    from pipetrail.config import default_journal as real

    return str(Path(real()).with_name("demo.db"))


@click.command()
@click.option("--journal", type=click.Path(), help="The journal to play into; made anew. Default beside your own.")
def demo(journal: str | None) -> None:
    """Play four recordings of real controllers into a journal of their own, and say what was found.

    Nothing contacts a cluster.
    """
    from pipetrail.app.playing import PlayOptions, play
    from pipetrail.catalogue import load

    path = journal or default_journal()
    _forget(path)
    with as_file(files("pipetrail") / "demo") as folder:
        folders = sorted(entry for entry in folder.iterdir() if entry.is_dir())
        click.echo(f"Playing {len(folders)} recordings of real controllers (no cluster is contacted) ...")
        done = asyncio.run(play(folders, PlayOptions(journal=path, catalogue=load())))
    click.echo(f"{sum(one.frames for one in done):,} watch frames went the way of a live cluster into {path}\n")
    _tell(path, [one.cluster for one in done])
    program = _program()
    click.echo(
        f"""Look yourself (each command has --help, and -o json for machines):

  export PIPETRAIL_JOURNAL={path}
  {program} events --severity error
  {program} events --cluster job-oom-backofflimit
  {program} runs
  {program} why train-churn
  {program} objects --deleted
  {program} status

Record your own cluster (the current context of your kubeconfig; only reads):

  unset PIPETRAIL_JOURNAL
  {program} record"""
    )


def _program() -> str:
    """How this user can call the program again."""
    if shutil.which("pipetrail"):
        return "pipetrail"
    near = os.path.relpath(sys.argv[0])
    return near if not near.startswith("..") else os.path.abspath(sys.argv[0])


def _forget(path: str) -> None:
    """Remove the journal of an earlier demonstration, and nothing that another command made."""
    from pipetrail.stores.sqlite import Journal

    if os.path.exists(path):
        Journal(path).close()  # refuses what is no journal, or is being written
        for end in ("", "-wal", "-shm", ".lock"):
            Path(path + end).unlink(missing_ok=True)


def _tell(path: str, clusters: list[str]) -> None:
    from pipetrail.cli.screen import Screen
    from pipetrail.cli.table import Cell, Column, Table
    from pipetrail.cli.words import clean
    from pipetrail.model import Query, format_time
    from pipetrail.stores.sqlite import JournalReader

    screen = Screen.current()
    with JournalReader(path) as reader:
        for cluster in clusters:
            found = list(reader.events(Query(clusters=(cluster,), origins=_FACTS)))
            objects = len({event.about.uid for event in found if event.about.uid})
            click.secho(f"{cluster}: {_ABOUT.get(cluster, '')}", bold=True)
            click.echo(f"{len(found)} facts about {objects} objects; the first that look like trouble:")
            told: set[str] = set(_ORDINARY)
            rows: list[tuple[str, Cell, str, str]] = []
            for event in found:
                if event.severity != "info" and event.reason not in told and len(rows) < _TOLD:
                    told.add(event.reason)
                    colour = "red" if event.severity == "error" else "yellow"
                    about = f"{event.about.kind.lower()}/{clean(event.about.name)}"
                    reason = Cell(clean(event.reason), colour)
                    rows.append((f"  {format_time(event.at)[11:19]}", reason, about, clean(event.message)))
            columns = (Column(""), Column("", 28, "middle"), Column("", 34, "middle"), Column("", cut="end"))
            click.echo(Table(columns, screen.width or 100, screen.colour, header=False).lines(rows))
