"""``pipetrail deliver``: send what is recorded to the sinks of the configuration, until told to stop."""

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from pipetrail.cli import options
from pipetrail.cli.failures import FAILED, USAGE, Failure
from pipetrail.cli.screen import Screen
from pipetrail.cli.words import clean

if TYPE_CHECKING:
    from pipetrail.app.delivering import Options, Outcome, Progress


@click.command()
@click.option("--once", is_flag=True, help="End when all that is in the journal now was sent, or can't be.")
@click.option("--while-stdin", is_flag=True, hidden=True)
@click.option("--begun", type=int, hidden=True)
@click.option("-v", "--verbose", is_flag=True, help="Log what is done in detail.")
@options.configured_sinks
def deliver(
    journal: str, config_file: str | None, once: bool, while_stdin: bool, begun: int | None, verbose: bool
) -> None:
    """Send what is recorded, and what comes, to the sinks of the configuration.

    `pipetrail record` runs it by itself; alone it serves a journal that another process writes, or a backlog. Ctrl-C or
    SIGTERM stores how far each sink is, and ends; SIGHUP reads the configuration anew. With --once it ends with 1 where
    something could not be sent.
    """
    from pipetrail.app.delivering import Options
    from pipetrail.telemetry import start_logging

    if not config_file:
        raise Failure("name the configuration that has the sinks, with --config or PIPETRAIL_CONFIG", USAGE)
    screen = Screen.current()
    start_logging(json=not sys.stderr.isatty(), verbose=verbose)
    wanted = Options(journal=journal, config=config_file, once=once, while_stdin=while_stdin, begun=begun)
    whole = asyncio.run(_deliver(wanted, screen.progress if once and screen.talks else None))
    if not whole:
        raise SystemExit(FAILED)


async def _deliver(wanted: "Options", progress: "Progress | None") -> bool:
    from pipetrail.app.delivering import Delivering

    delivering = Delivering(wanted)
    whole = await delivering.run(progress)
    for each in delivering.outcomes:
        click.echo(_words(each), err=True)  # what a sink sends may go to the standard output
    return whole


def _words(found: "Outcome") -> str:
    """What became of a sink, in a line."""
    words = [f"{found.sent:,} sent"]
    words += [f"{found.left_out:,} left out by its rules"] if found.left_out else []
    words += [f"{found.dead_letters:,} new dead letters"] if found.dead_letters else []
    words += [f"not all of it: {clean(found.behind) or 'no answer'}"] if found.behind is not None else []
    return f"{found.name}: {', '.join(words)}"
