"""``errors.md``: how commands end, and the errors that have a name."""

import importlib
import inspect

from docs._generate.markdown import code, first_paragraph, page, table
from pipetrail.cli import failures
from pipetrail.kube import errors as api
from pipetrail.stores.sqlite import errors as journal

SOURCE = "src/pipetrail/cli/failures.py, src/pipetrail/stores/sqlite/errors.py and src/pipetrail/kube/errors.py"

_INTRO = """An expected error is one line on standard error and an exit code, never a traceback. A traceback is a bug:
please report it."""

CODES = {
    0: ("fine", "also when nothing matched a filter, and when a reader such as `head` went away"),
    1: (
        "failed or not found",
        "an object that was asked for by name is unknown; an output file is in the way; "
        "`record` ended before all was stored; the API server refused what `emit` sent; `deliver --once` could not "
        "send all; a receiver that `sinks test` asked said no",
    ),
    2: (
        "usage or configuration",
        "an unknown option, a value that can't be read, a mistake in the configuration file, an Event that the API "
        "server would refuse",
    ),
    3: ("no way there", "no cluster, no login, or no usable journal"),
    130: ("Ctrl-C", "a command that only reads was interrupted; `record` and `capture` end with 0"),
}

REMEDIES = {
    "MissingJournal": "Begin one with `pipetrail record` or `pipetrail play`, or name another with `--journal`",
    "NewerJournal": "Upgrade pipetrail. An older program never touches a newer journal",
    "CorruptJournal": "Move the file away (a new one is begun) or restore a [backup](../how-to/backup.md)",
    "ReadOnlyJournal": "Check the owner and mode of the file and of its folder: SQLite makes files beside it",
    "FullDisk": "Free some space, or lower `--max-size`. A running recorder drops its oldest segment by itself",
    "JournalBusy": "Stop the recorder that the message names, or use another journal",
    "NetworkDisk": "Use a local disk: see [Retention and disk](../how-to/retention.md)",
}

MEANINGS = {
    "Unauthorized": "The login is read again at once (kubeconfig, plug-in, token file)",
    "Forbidden": "The missing right is named by `status`; it is tried again every 30 s",
    "Absent": "The resource is waited for; discovery looks each minute",
    "Expired": "The resource is listed again; a [gap](gaps.md) is recorded if more than 5 s passed",
    "AheadOfServer": "The resource is listed again; the gap says `ServerWentBack`",
    "Unavailable": "It is tried again, with growing pauses up to 30 s, or after the time that the server asks for",
}


def write() -> str:
    """The page."""
    codes = table(("Exit code", "Means", "For example"), ((code(str(n)), *text) for n, text in CODES.items()))
    kinds = table(
        ("Error", "Exit code"),
        ((first_paragraph(_docstring(where)), code(str(number))) for where, number in failures._CODES.items()),
    )
    stored = table(
        ("Error", "Means", "What to do"),
        ((code(kind.__name__), first_paragraph(kind.__doc__), REMEDIES[kind.__name__]) for kind in journal_errors()),
    )
    asked = table(
        ("Error", "Means", "What a recorder does"),
        ((code(kind.__name__), first_paragraph(kind.__doc__), MEANINGS[kind.__name__]) for kind in api_errors()),
    )
    return page(
        "Errors and exit codes",
        SOURCE,
        _INTRO,
        f"## Exit codes\n\n{codes}",
        f"Named errors have a fixed code:\n\n{kinds}",
        "## Errors of the journal\n\nAll of them end a command with 3. What was committed is safe in each case.",
        stored,
        f"## Errors of the Kubernetes API\n\nNone of these ends a running recorder.\n\n{asked}",
    )


def journal_errors() -> list[type[Exception]]:
    """The kinds of journal errors, in the order of the source."""
    return [
        kind
        for _, kind in inspect.getmembers(journal, inspect.isclass)
        if issubclass(kind, journal.JournalError) and kind is not journal.JournalError
    ]


def api_errors() -> list[type[Exception]]:
    """The kinds of API errors."""
    return [
        kind
        for _, kind in inspect.getmembers(api, inspect.isclass)
        if issubclass(kind, api.ApiError) and kind is not api.ApiError
    ]


def _docstring(where: tuple[str, str]) -> str | None:
    module, name = where
    found: str | None = getattr(importlib.import_module(module), name).__doc__
    return found
