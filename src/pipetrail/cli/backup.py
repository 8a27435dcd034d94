"""``pipetrail backup``: a copy of the journal as it is at one moment, while it is written."""

import os

import click

from pipetrail.cli import options
from pipetrail.cli.asking import ask_recorder
from pipetrail.cli.failures import FAILED, Failure
from pipetrail.cli.files import refuse_to_overwrite
from pipetrail.cli.screen import Screen
from pipetrail.cli.words import size_words


@click.command()
@click.argument("file", type=click.Path(), metavar="FILE")
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@options.journal_options
def backup(journal: str, file: str, force: bool) -> None:
    """Copy the journal to FILE while it is in use, and check the copy.

    A running recorder makes the copy itself. The copy is a journal like any other: pipetrail events --journal FILE.
    """
    from pipetrail.stores.sqlite.backup import backup as copy
    from pipetrail.stores.sqlite.errors import MissingJournal
    from pipetrail.stores.sqlite.opening import open_for_reading

    screen = Screen.current()
    refuse_to_overwrite(file, force, journal)
    db = open_for_reading(journal)  # a missing or damaged journal is told before anything is made
    try:
        screen.progress("copying…")
        if ask_recorder(journal, {"do": "backup", "to": os.path.abspath(file)}) is None:
            copy(db, file, lambda left, pages: screen.progress(f"copying… {100 - 100 * left // max(1, pages)} %"))
    finally:
        db.close()
        screen.progress("")
    try:
        open_for_reading(file).close()
    except MissingJournal as error:
        raise Failure(f"{file}: the recorder wrote it where this process does not see it", FAILED) from error
    click.echo(f"{file}: {size_words(os.path.getsize(file))}, checked")
