"""Asking the process that delivers from a journal, and what stands in for it where none runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipetrail.cli import options
from pipetrail.cli.failures import FAILED, UNREACHABLE, Failure
from pipetrail.cli.words import clean

if TYPE_CHECKING:
    from pipetrail.sinks.state import State

F = TypeVar("F", bound=Callable[..., Any])


def sink_options(command: F) -> F:
    """``--journal`` and ``--config``; the command gets ``journal``, the file to use, and ``config_file`` or None."""

    @wraps(command)
    def found(*args: Any, journal: str | None, config_file: str | None, **rest: Any) -> Any:
        whole = options.journal_of(journal, config_file)
        return command(*args, journal=whole, config_file=config_file, **rest)

    for decorator in reversed(options.JOURNAL_OPTIONS):
        found = decorator(found)
    return found  # type: ignore[return-value]


def state_path(journal: str) -> str:
    """The file in which delivery keeps how far each sink is."""
    return journal + ".sinks"


def ask_delivery(journal: str, request: dict[str, Any]) -> dict[str, Any] | None:
    """What the delivery of a journal answers; None where none runs.

    :raises Failure: when it refuses, fails, or does not answer.
    """
    from pipetrail.control import ask

    try:
        answer = ask(state_path(journal), request)
    except (OSError, ValueError) as error:
        raise Failure(f"the delivery of {journal} does not answer ({error})", UNREACHABLE) from error
    if answer is None:
        return None
    if not answer.get("ok"):
        raise Failure(clean(str(answer.get("error") or "the delivery refused, and gave no reason")), FAILED)
    result = answer.get("result")
    return result if isinstance(result, dict) else {}


@contextmanager
def own_state(journal: str) -> Iterator["State"]:
    """The state file, for a command that changes it where no delivery runs.

    :raises Failure: when there is none.
    :raises StateError: when it can't be used, as when a delivery runs that did not answer.
    """
    import os

    from pipetrail.sinks.state import State

    path = state_path(journal)
    if not os.path.exists(path):
        raise Failure(f"{path}: nothing was ever delivered from this journal; name it with --journal", UNREACHABLE)
    state = State(path)
    try:
        yield state
    finally:
        state.close()


def names_of_sinks(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """The names of sinks that begin so, for the completion of a shell."""
    from pipetrail.config import ConfigError, sink_types
    from pipetrail.sinks.schema import StateError
    from pipetrail.sinks.state import read_figures

    config_file = context.params.get("config_file")
    try:
        found = {
            each.name
            for each in read_figures(state_path(options.journal_of(context.params.get("journal"), config_file)))
        }
        found |= set(sink_types(config_file)) if config_file is not None else set()
    except (ConfigError, StateError):
        return []  # the command itself says what is wrong
    return sorted(name for name in found if name.startswith(begun))


name_argument = click.argument("name", shell_complete=names_of_sinks)
"""``NAME`` of a sink."""


def unknown(name: str, journal: str, config_file: str | None = None) -> Failure:
    """The error for a name that no sink has; it lists those that there are."""
    from pipetrail.config import sink_types
    from pipetrail.sinks.state import read_figures

    names = {each.name for each in read_figures(state_path(journal))}
    names |= set(sink_types(config_file)) if config_file is not None else set()
    known = f"there are {', '.join(sorted(names))}" if names else "none is known; name the configuration with --config"
    return Failure(clean(f"{name}: no sink of this name; {known}"), FAILED)
