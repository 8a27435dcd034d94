"""``pipetrail export``: events in a file, as JSON lines (compressed if its name says so) or as Parquet."""

import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

import click

from pipetrail.cli import options
from pipetrail.cli.events import with_clusters
from pipetrail.cli.failures import USAGE, Failure
from pipetrail.cli.files import refuse_to_overwrite, whole_file
from pipetrail.cli.render import JsonEvents, blocks, stdout
from pipetrail.cli.screen import Screen
from pipetrail.model import Event, Query

_TELL_SECONDS = 0.2


@click.command()
@options.event_filters
@click.option(
    "--format",
    "format_",
    type=click.Choice(("jsonl", "parquet")),
    help="Default: what the file's name says, else jsonl.",
)
@click.option(
    "--output",
    "file",
    type=click.Path(),
    metavar="FILE",
    help="The file; .zst compresses JSON lines. Default: standard output.",
)
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@options.journal_options
def export(journal: str, query: Query, asked: str, format_: str | None, file: str | None, force: bool) -> None:
    """Write events to a file: all of them, or those that the filters choose.

    JSON lines are those of pipetrail events -o json. Parquet (pip install 'pipetrail[parquet]') has the same fields.

    \b
    pipetrail export --output events.jsonl.zst
    pipetrail export --since 7d --format parquet --output week.parquet
    """
    from pipetrail.stores.sqlite.reading import JournalReader

    screen = Screen.current()
    if format_ is None:
        format_ = "parquet" if file and file.endswith(".parquet") else "jsonl"
    if format_ == "parquet":
        need_parquet()
        if file is None and screen.terminal:
            raise click.UsageError("Parquet is no text: name a file with --output")
    if file is not None:
        refuse_to_overwrite(file, force, journal)
    with JournalReader(journal) as reader:
        query, _ = with_clusters(reader, query)
        events = _counted(reader.events(query), screen)
        count = _to_file(events, file, format_) if file is not None else _write(events, stdout(), format_)
    screen.progress("")
    if file is not None:
        click.echo(f"{file}: {count:,} events", err=True)


def need_parquet() -> None:
    """:raises Failure: when the extra is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise Failure("Parquet needs the extra: pip install 'pipetrail[parquet]'", USAGE) from error


def _to_file(events: Iterator[Event], file: str, format_: str) -> int:
    with whole_file(file) as part, open(part, "wb") as plain:
        if format_ == "parquet" or not file.endswith(".zst"):
            return _write(events, plain, format_)
        import zstandard

        with zstandard.ZstdCompressor(level=6).stream_writer(plain, closefd=False) as packed:
            return _write(events, packed, format_)


def _write(events: Iterator[Event], out: BinaryIO, format_: str) -> int:
    if format_ == "parquet":
        from pipetrail.cli.parquet import write_parquet

        return write_parquet(events, out)
    printer = JsonEvents()
    count = 0
    for block in blocks(events, 1024):
        out.write(printer.block(block))
        count += len(block)
    out.flush()
    return count


def _counted(events: Iterator[Event], screen: Screen, clock: Callable[[], float] = time.monotonic) -> Iterator[Event]:
    """The events, with how many there were so far on a terminal."""
    if not screen.talks:
        yield from events
        return
    told = clock()
    for number, event in enumerate(events, 1):
        yield event
        if number % 256 == 0 and clock() - told > _TELL_SECONDS:
            told = clock()
            screen.progress(f"{number:,} events…")
