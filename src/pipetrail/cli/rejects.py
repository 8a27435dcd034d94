"""``pipetrail rejects``: input that could not be recorded, with the reason."""

from collections.abc import Callable, Sequence

import click

from pipetrail.cli import options
from pipetrail.cli.render import print_blocks, yaml_documents
from pipetrail.cli.screen import Screen
from pipetrail.cli.shapes import json_lines, reject_shape
from pipetrail.cli.table import Column, Table
from pipetrail.cli.words import ShortTimes, clean
from pipetrail.model import Reject


@click.command()
@options.output("table", "json", "yaml")
@options.journal_options
def rejects(journal: str, output: str) -> None:
    """Show input that could not be recorded: when, of what, and why. The last 1,000 are kept.

    With -o json each line has the input itself, as far as it could be read.
    """
    from pipetrail.stores.sqlite import summary
    from pipetrail.stores.sqlite.reading import JournalReader

    screen = Screen.current()
    short = ShortTimes(screen.now())
    table = Table(
        [Column("TIME"), Column("RESOURCE", 20, "middle"), Column("REASON", 45, "end"), Column("INPUT", 100, "end")],
        screen.width,
        screen.colour,
    )

    def lines(items: Sequence[Reject]) -> bytes:
        return table.lines(
            [short(each.at), clean(each.resource), clean(each.reason), clean(each.body[:1000])] for each in items
        ).encode()

    encode: dict[str, Callable[[Sequence[Reject]], bytes]] = {
        "table": lines,
        "json": lambda items: json_lines([reject_shape(each) for each in items]),
        "yaml": lambda items: yaml_documents([reject_shape(each) for each in items]),
    }
    with JournalReader(journal) as reader:
        shown = print_blocks(summary.rejects(reader), encode[output])
    if not shown and output == "table":
        click.echo("Nothing was rejected.", err=True)
