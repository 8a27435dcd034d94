"""How commands end: expected errors are one line and an exit code, never a traceback.

0 fine; 1 the asked-for thing failed or was not found; 2 usage or configuration; 3 no way to a cluster, server or
journal.
"""

import os
import sys
from typing import IO, Any

import click

FAILED, USAGE, UNREACHABLE = 1, 2, 3

# By name: to catch them needs no import of what the command at hand does not use.
_CODES = {
    ("pipetrail.stores.sqlite.errors", "JournalError"): UNREACHABLE,
    ("pipetrail.kube.errors", "ApiError"): UNREACHABLE,
    ("pipetrail.sinks.schema", "StateError"): UNREACHABLE,
    ("pipetrail.config.errors", "ConfigError"): USAGE,
    ("pipetrail.catalogue.reading", "CatalogueError"): USAGE,
    ("pipetrail.sources.playback", "NoRecording"): FAILED,
}


class Failure(click.ClickException):
    """An expected error: its text goes to standard error, each line after the program's name."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it."""
        for line in self.message.splitlines() or [""]:
            click.echo(f"pipetrail: {line}", file=file, err=file is None)


def failure_of(error: Exception) -> Failure | None:
    """What an error means to the caller, or None for one that is our own mistake."""
    for kind in type(error).__mro__:
        code = _CODES.get((kind.__module__, kind.__name__))
        if code is not None:
            return Failure(str(error), code)
    apsw = sys.modules.get("apsw")
    if apsw is not None and isinstance(error, apsw.Error):
        return Failure(f"the journal could not be read ({error}); if it was being pruned, try again", UNREACHABLE)
    if isinstance(error, OSError):
        what = error.strerror or str(error) or type(error).__name__
        return Failure(f"{os.fsdecode(error.filename)}: {what}" if error.filename else what, FAILED)
    return None


def hush() -> None:
    """Nobody reads standard output any more: let nothing complain about it on the way out."""
    try:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, sys.stdout.fileno())
        os.close(quiet)
    except (OSError, ValueError):
        return  # no real file behind it
