"""``pipetrail sinks``: how far each sink is and what is wrong with it, its dead letters, its history, a probe."""

from typing import TYPE_CHECKING

import click
import msgspec
from click.core import ParameterSource

from pipetrail.cli import options
from pipetrail.cli.failures import FAILED, Failure
from pipetrail.cli.render import stdout, yaml_documents
from pipetrail.cli.screen import Screen
from pipetrail.cli.shapes import json_lines
from pipetrail.cli.sinks_asking import ask_delivery, name_argument, own_state, unknown
from pipetrail.cli.words import clean
from pipetrail.model import Micros
from pipetrail.sinks import state_path

if TYPE_CHECKING:
    from pipetrail.cli.sinks_shapes import DeadLetterShape, Known

_LETTERS_A_PAGE = 500
_TROUBLE_SECONDS = 2.0


@click.group(invoke_without_command=True)
@options.output("table", "wide", "json", "yaml")
@options.configured_sinks
@click.pass_context
def sinks(context: click.Context, journal: str, config_file: str | None, output: str) -> None:
    """Show each sink: how far it is, how far behind, how fast, and what went wrong last.

    With --config also sinks that never ran. As JSON: one line for each sink, as the reference describes it.
    """
    if context.invoked_subcommand is not None:
        for word in ("journal", "config_file", "output"):
            if context.get_parameter_source(word) is ParameterSource.COMMANDLINE:
                raise click.UsageError(f"write options behind `{context.invoked_subcommand}`", context)
        return
    from pipetrail.cli.sinks_shapes import sink_shape
    from pipetrail.cli.sinks_table import table

    screen = Screen.current()
    found = known(journal, config_file)
    if output in ("table", "wide"):
        stdout().write(table(found, screen, trouble=trouble_of(journal), wide=output == "wide").encode())
        return
    shapes = [sink_shape(each, screen.now()) for each in found]
    stdout().write(json_lines(shapes) if output == "json" else yaml_documents(shapes))


@sinks.command()
@name_argument
@click.option("--since", type=options.When(), required=True, help="From this time on: 2h, yesterday, 2026-11-24.")
@options.journal_options
def replay(name: str, since: Micros, journal: str) -> None:
    """Send a sink again what happened since then, as far as the journal has it.

    It goes on with what comes after that. Events keep their ids, so a receiver that knows them has each once.
    """
    answer = ask_delivery(journal, {"do": "replay", "sink": name, "since": since})
    if answer is None:
        answer = {"changes": _replay_here(journal, name, since)}
        click.echo("No delivery is running: it is sent when one does.", err=True)
    click.echo(f"{name} is sent about {int(answer.get('changes', 0)):,} changes again.")


def _replay_here(journal: str, name: str, since: Micros) -> int:
    from pipetrail.app.feeding import JournalFeed

    feed = JournalFeed(journal)
    try:
        read, last = feed.first_since(since), feed.last()
    finally:
        feed.close()
    with own_state(journal, name) as state:
        read = state.move(name, read)
    return max(0, last - read)


@sinks.command("dead-letters")
@name_argument
@click.argument("what", type=click.Choice(("list", "retry", "drop")), default="list")
@click.argument("ids", nargs=-1, type=int, metavar="[ID]...")
@click.option("--all", "whole", is_flag=True, help="Retry or drop all of them.")
@options.output("table", "json", "yaml")
@options.journal_options
def dead_letters(name: str, what: str, ids: tuple[int, ...], whole: bool, output: str, journal: str) -> None:
    """Show what a sink's receiver refused for ever, try it again, or throw it away.

    An ID is the SEQ that the list shows. What is retried stays a dead letter until the receiver has taken it.
    """
    if what == "list":
        if ids or whole:
            raise click.UsageError("`list` takes no IDs: it lists all")
        _list(name, journal, output)
        return
    if bool(ids) == whole:
        raise click.UsageError(f"say which to {what}: their IDs, or --all")
    seqs = None if whole else sorted(set(ids))
    answer = ask_delivery(journal, {"do": what, "sink": name, "seqs": seqs})
    if answer is None:
        with own_state(journal, name) as state:
            count = state.retry_dead(name, seqs) if what == "retry" else state.drop_dead(name, seqs)
    else:
        count = int(answer.get("count", 0))
    words = f"{count:,} dead letter{'' if count == 1 else 's'}"
    if seqs is not None and count < len(seqs):
        raise Failure(f"{words} of the {len(seqs):,} named: the others are none of {name}; `list` shows them", FAILED)
    later = "" if answer is not None else " when a delivery runs"
    click.echo(
        f"{words} of {name} {'is' if count == 1 else 'are'} " + (f"tried again{later}." if what == "retry" else "gone.")
    )


def _list(name: str, journal: str, output: str) -> None:
    from pipetrail.cli.sinks_table import letters_table

    screen = Screen.current()
    shown = 0
    after = 0
    lines = letters_table(screen)
    while page := _letters(name, journal, after):
        shown += len(page)
        after = page[-1].seq
        if output == "table":
            stdout().write(lines(page).encode())
            continue
        stdout().write(json_lines(page) if output == "json" else yaml_documents(page))
    if not shown and output == "table":
        click.echo(f"{name} has no dead letters.")


def _letters(name: str, journal: str, after: int) -> "list[DeadLetterShape]":
    """The next dead letters behind a ``seq``."""
    from pipetrail.cli.sinks_shapes import letter_shape, letter_shape_of

    answer = ask_delivery(journal, {"do": "dead-letters", "sink": name, "after": after, "most": _LETTERS_A_PAGE})
    if answer is not None:
        return [letter_shape_of(each) for each in answer.get("letters", [])]
    with own_state(journal, name) as state:
        return [letter_shape(each) for each in state.dead_letters(name, after, _LETTERS_A_PAGE)]


@sinks.command()
@name_argument
@options.configured_sinks
def test(name: str, journal: str, config_file: str | None) -> None:
    """Ask a sink's receiver whether it would take something, and show what it said. Nothing is left there.

    The running delivery asks, with the settings and secrets that it has; where none runs, this command does.
    """
    answer = ask_delivery(journal, {"do": "sinks"})
    if answer is not None and any(each.get("name") == name for each in answer.get("sinks", [])):
        said = str((ask_delivery(journal, {"do": "probe", "sink": name}) or {}).get("said", ""))
    else:
        said = _probe_here(name, journal, config_file)
    click.echo(clean(f"{name}: {said}"))


def _probe_here(name: str, journal: str, config_file: str | None) -> str:
    import asyncio

    from pipetrail.config import load
    from pipetrail.config.sinks import tools
    from pipetrail.model import Permanent, Temporary
    from pipetrail.sinks.kinds import kind

    if config_file is None:
        raise unknown(name, journal)
    settings = load(config_file, sinks=True).sinks
    if name not in settings:
        raise unknown(name, journal, config_file)
    sink = kind(settings[name].type).make(name, settings[name], tools())

    async def asked() -> str:
        try:
            await sink.start()
            return await sink.probe()
        finally:
            await sink.stop()

    try:
        return asyncio.run(asked())
    except (Temporary, Permanent) as error:
        raise Failure(clean(f"{name}: {error}"), FAILED) from error


def known(journal: str, config_file: str | None) -> "list[Known]":
    """Each sink: as the delivery has it now, else as it was last written down, else as the configuration names it."""
    from pipetrail.cli.sinks_shapes import Known
    from pipetrail.config import sink_types
    from pipetrail.sinks.figures import SinkFigures, lag
    from pipetrail.sinks.state import read_figures

    found: dict[str, Known] = {}
    for name, word in (sink_types(config_file) if config_file is not None else {}).items():
        found[name] = Known("new", SinkFigures(name=name, type=word))
    last = _last_seq(journal)
    for each in read_figures(state_path(journal)):
        each.rate, each.lag_events = 0.0, lag(each, last) if last is not None else each.unsettled
        found[each.name] = Known("stopped", each)
    answer = ask_delivery(journal, {"do": "sinks"})
    for each in msgspec.convert((answer or {}).get("sinks", []), list[SinkFigures]):
        found[each.name] = Known(each.state, each)
    return [found[name] for name in sorted(found)]


def _last_seq(journal: str) -> int | None:
    """The newest change of the journal; None where there is none to read."""
    from pipetrail.stores.sqlite import JournalError, JournalReader

    try:
        with JournalReader(journal) as reader:
            return reader.last_seq()
    except JournalError:
        return None


def trouble_of(journal: str) -> str:
    """Why the recorder can't keep the delivery running; empty where it can, or no recorder runs."""
    from pipetrail.control import ask

    try:
        answer = ask(journal, {"do": "status"}, _TROUBLE_SECONDS)
    except (OSError, ValueError):
        return ""
    result = (answer or {}).get("result")
    return str(result.get("sinks") or "") if isinstance(result, dict) else ""
