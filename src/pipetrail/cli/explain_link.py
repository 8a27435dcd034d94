"""``pipetrail explain-link``: which rule linked an event to its run, and what was tried."""

import click
import msgspec

from pipetrail.cli import options
from pipetrail.cli.failures import FAILED, USAGE, Failure
from pipetrail.cli.words import clean
from pipetrail.model import Link


@click.command("explain-link")
@click.argument("event")
@options.output("text", "json")
@options.configured_journal
def explain_link(journal: str, resolvers: tuple[dict[str, object], ...], event: str, output: str) -> None:
    """Say which rule linked an event to its run, what was looked at on the way, and what was tried.

    EVENT is an id, as `pipetrail events -o json` shows it. The objects count as they were seen last.
    """
    from pipetrail.app.runs import linker_of
    from pipetrail.stores.sqlite.reading import JournalReader

    with JournalReader(journal) as reader:
        try:
            found = reader.event(event)
        except ValueError as error:
            raise Failure(str(error), USAGE) from error
        if found is None:
            raise Failure(f"{event}: {journal} does not hold this event", FAILED)
        explained = linker_of(reader, found.cluster, resolvers).explain(found)
    if output == "json":
        click.echo(msgspec.json.encode(explained).decode())
        return
    for link in explained.links:
        click.echo(_words(link))
    if not explained.links:
        click.echo("It belongs to no run.")
    for title, lines in (("Way", explained.way), ("Identities", explained.identities), ("Tried", explained.tried)):
        if lines:
            click.echo(f"\n{title}")
            for line in lines:
                click.echo(f"  {clean(line)}")


def _words(link: Link) -> str:
    parts = [f"{link.rel} of {link.system} {link.run_name or link.run}"]
    named = (
        ("step", link.step),
        ("attempt", link.attempt),
        ("run attempt", link.run_attempt),
        ("replica", link.replica),
    )
    parts += [f"{name} {value}" for name, value in named if value is not None]
    return clean(f"{', '.join(parts)}: by {link.via} ({link.confidence})")
