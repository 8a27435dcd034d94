"""Asking the process that delivers from a journal, and what stands in for it where none runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from pipetrail.cli import options
from pipetrail.cli.failures import FAILED, UNREACHABLE, Failure
from pipetrail.cli.words import clean
from pipetrail.sinks import state_path

if TYPE_CHECKING:
    from pipetrail.sinks.state import State


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
def own_state(journal: str, name: str) -> Iterator["State"]:
    """The state file, for a command about one sink where no delivery runs.

    :raises Failure: when there is none, or it has no such sink.
    :raises StateError: when it can't be used, as when a delivery runs that did not answer.
    """
    import os

    from pipetrail.sinks.state import State

    path = state_path(journal)
    if not os.path.exists(path):
        raise Failure(f"{path}: nothing was ever delivered from this journal; name it with --journal", UNREACHABLE)
    state = State(path)
    try:
        if state.position(name) is None:
            raise unknown(name, journal)
        yield state
    finally:
        state.close()


def names_of_sinks(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
    """The names of sinks that begin so, for the completion of a shell."""
    from pipetrail.config import ConfigError
    from pipetrail.sinks.schema import StateError

    config_file = context.params.get("config_file")
    try:
        found = _names(options.journal_of(context.params.get("journal"), config_file), config_file)
    except (ConfigError, StateError):
        return []  # the command itself says what is wrong
    return [name for name in found if name.startswith(begun)]


name_argument = click.argument("name", shell_complete=names_of_sinks)
"""``NAME`` of a sink."""


def unknown(name: str, journal: str, config_file: str | None = None) -> Failure:
    """The error for a name that no sink has; it lists those that there are."""
    names = _names(journal, config_file)
    known = f"there are {', '.join(names)}" if names else "none is known; name the configuration with --config"
    return Failure(clean(f"{name}: no sink of this name; {known}"), FAILED)


def _names(journal: str, config_file: str | None) -> list[str]:
    """All sinks that ever ran for a journal, and those of a configuration."""
    from pipetrail.config import sink_types
    from pipetrail.sinks.state import read_figures

    names = {each.name for each in read_figures(state_path(journal))}
    return sorted(names.union(sink_types(config_file) if config_file is not None else ()))
