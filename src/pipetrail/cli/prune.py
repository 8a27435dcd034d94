"""``pipetrail prune``: take the oldest history away now, rather than when the bounds of the recorder say so."""

from typing import TYPE_CHECKING

import click
import msgspec

from pipetrail.cli import options
from pipetrail.cli.asking import ask_recorder
from pipetrail.cli.screen import Screen
from pipetrail.cli.words import ShortTimes
from pipetrail.model import Micros

if TYPE_CHECKING:
    from pipetrail.stores.sqlite.summary import Segment


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What would go: so many segments with so many events, of this time."""

    segments: int
    events: int
    since: Micros | None
    until: Micros | None


@click.command()
@click.option("--before", type=options.When(), help="Take away what was stored before: 30d, yesterday, 2026-11-24.")
@click.option(
    "--max-size", type=options.Size(), help="Take the oldest away until no more than this is in use: 10Gi, 500M."
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@options.journal_options
def prune(journal: str, before: Micros | None, max_size: int | None, dry_run: bool) -> None:
    """Take the oldest history away, at once and for good.

    History goes in whole segments (up to 500,000 events), so a little more may stay than was asked for. The space is
    used again by new events; the file itself does not shrink. A running recorder is asked to do it.
    """
    if before is None and max_size is None:
        raise click.UsageError("say what may go: --before or --max-size")
    now = Screen.current().now()
    age = None if before is None else now - before
    if age is not None and age < 0:
        raise click.BadParameter("it is in the future", param_hint="--before")
    if dry_run:
        _tell(forecast_of(journal, max_size, before), now)
        return
    result = ask_recorder(journal, {"do": "prune", "size": max_size, "age": age})
    if result is None:
        result = _prune_here(journal, max_size, age, now)
    events, segments = int(result.get("events", 0)), int(result.get("segments", 0))
    versions, objects = int(result.get("versions", 0)), int(result.get("objects", 0))
    if not (events or versions or objects):
        click.echo("Nothing went: no whole segment is that old or that much too large.")
        return
    click.echo(
        f"{events:,} events in {_many(segments, 'segment')} went, with {_many(versions, 'version')} of objects"
        f" and {_many(objects, 'object')}."
    )


def _prune_here(journal: str, size: int | None, age: Micros | None, now: Micros) -> dict[str, int]:
    """Prune without a recorder."""
    import os

    from pipetrail.stores.sqlite import Journal, MissingJournal, Retention
    from pipetrail.stores.sqlite.retention import prune as prune_journal

    if not os.path.exists(journal):
        raise MissingJournal(f"{journal}: no journal there; name it with --journal")
    writer = Journal(journal)
    try:
        done = prune_journal(writer, Retention(size=size, age=age), now)
    finally:
        writer.close()
    return {"segments": done.segments, "events": done.events, "versions": done.versions, "objects": done.objects}


def forecast_of(journal: str, size: int | None, before: Micros | None) -> Forecast:
    """What a prune would take away, as nearly as the journal tells without doing it."""
    from pipetrail.stores.sqlite.reading import JournalReader
    from pipetrail.stores.sqlite.summary import segments, summary

    with JournalReader(journal) as reader:
        found = segments(reader)
        used = summary(reader).used
    each = used / max(1, sum(segment.events for segment in found))  # bytes an event, its share of all else included
    gone: list[Segment] = []
    for segment in found:
        too_large = size is not None and used > size
        too_old = before is not None and segment.stored_until < before
        if not (too_large or too_old):
            break
        gone.append(segment)
        used -= int(segment.events * each)
    return Forecast(
        segments=len(gone),
        events=sum(segment.events for segment in gone),
        since=min((segment.since for segment in gone), default=None),
        until=max((segment.until for segment in gone), default=None),
    )


def _tell(found: Forecast, now: Micros) -> None:
    if found.since is None or found.until is None:
        click.echo("Nothing would go: no whole segment is that old or that much too large.")
        return
    short = ShortTimes(now)
    click.echo(
        f"{found.events:,} events in {_many(found.segments, 'segment')} would go, of {short(found.since)} to"
        f" {short(found.until)}, with the versions of objects that only they needed."
    )


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
